"""A plane through a trained model's codes, and the grid on it that a fresh box decodes for students to look at.

It does not affect the grade. The grid follows from the codes alone, without random numbers, so it need not be stored.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from grader.exercise import Questions
from grader.records import Address, Array, Evidence, Stage

SIDES = {"vae": 17, "cvae": 9}  # points per direction; a side of 2^n + 1 can be halved
DIGITS = {"vae": 1, "cvae": 10}  # decoded grids: one per digit that can be requested
EXTENT = 3.0  # standard deviations of the codes to either side
LEAST_REACH = 2.5  # if the codes hardly differ; codes from the prior reach about as far


@dataclass(frozen=True, slots=True)
class CodePlane:
    """A plane in the code space: a point and two orthonormal directions."""

    middle: Array  # (D,)
    directions: Array  # (2, D)
    reach: float  # the grid extends from -reach to reach along both directions

    def coordinates(self, codes: Array) -> Array:
        """The coordinates of codes `(N, D)`, projected orthogonally onto the plane: `(N, 2)`."""
        places: Array = (codes - self.middle) @ self.directions.T
        return places

    def grid(self, side: int) -> Array:
        """`side` times `side` codes, float32 `(side * side, D)`: rows from the top, each from left to right."""
        steps = np.linspace(-self.reach, self.reach, side)
        x, y = (axis.reshape(-1, 1) for axis in np.meshgrid(steps, steps[::-1]))
        codes: Array = self.middle + x * self.directions[0] + y * self.directions[1]
        return codes.astype(np.float32)


def plane_of(part: str, mu: Array, labels: Array) -> CodePlane | None:
    """A plane through codes `(N, D)` of images with these labels; None if D is below 2 or there are too few codes.

    If D is 2, it is the code space itself. Otherwise it goes through the mean code, along the two directions in which
    the digits' mean codes differ most; in a conditional model, whose codes need not contain the digit, along those in
    which the codes themselves differ most.
    """
    if mu.ndim != 2 or mu.shape[1] < 2 or len(mu) != len(labels):
        return None
    with np.errstate(all="ignore"):
        mu = mu.astype(np.float16).astype(np.float64)  # the plane stays the same for codes stored in half precision
        finite = np.isfinite(mu).all(axis=1)
        mu, labels = mu[finite], labels[finite]
        if len(mu) < 3:
            return None
        if mu.shape[1] == 2:
            middle, directions = np.zeros(2), np.eye(2)
        else:
            means = np.array([mu[labels == digit].mean(axis=0) for digit in np.unique(labels)])
            middle, directions = mu.mean(axis=0), _widest(mu if part == "cvae" or len(means) < 3 else means)
        at = (mu - middle) @ directions.T
        reach = float((np.abs(at.mean(axis=0)) + EXTENT * at.std(axis=0)).max())
    return CodePlane(middle, directions, max(reach, LEAST_REACH))


def _widest(points: Array) -> Array:
    """The first two principal directions of the points, `(2, D)`; the arbitrary signs make each sum non-negative."""
    directions = np.linalg.svd(points - points.mean(axis=0), full_matrices=False)[2][:2]
    return directions * np.where(directions.sum(axis=1, keepdims=True) < 0, -1.0, 1.0)


def plane_questions(evidence: Evidence, stages: Questions) -> Questions:
    """The grids to decode, for each part whose trained decoder a fresh box receives anyway.

    A part that was trained again for follow-through gets none: the student would look at a different model.
    """
    planes: Questions = {}
    for part in SIDES:
        decode = stages.get(Stage.of("decode", part))
        mu = evidence.answers.get(Address.of("quality", part, "encode").array("mu"))
        if decode is None or mu is None or not Stage.of("components", part).arrays(evidence.questions):
            continue
        plane = plane_of(part, mu, evidence.questions[Stage.of("quality", part).array("y")])
        if plane is not None:
            state = {name: array for name, array in decode.items() if name.startswith("decoder/")}
            points = plane.grid(SIDES[part])
            planes[Stage.of("plane", part)] = {
                **state,
                "codes": np.tile(points, (DIGITS[part], 1)),
                "labels": np.repeat(np.arange(DIGITS[part]), len(points)),
            }
    return planes


def count_of_images(part: str) -> int:
    """The number of images that the fresh box decodes for the plane."""
    return DIGITS[part] * SIDES[part] ** 2
