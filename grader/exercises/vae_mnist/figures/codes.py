"""A picture of the hidden images' codes: two coordinates of each mean code."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from grader.exercises.vae_mnist.checks.answers import answer, give_up, percent, shape_text
from grader.exercises.vae_mnist.figures.drawing import NAMES, QUIET, SMALL, figure, write
from grader.records import Address, Array, Evidence, Figure, Stage

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas

SIDE = 640
RING = 2.448  # the radius that holds 95 % of a standard normal in two dimensions
LABEL = 0.075  # the least distance of two large digits, as a share of the picture's side
# Paul Tol's muted scheme, safe for common colour blindness, and grey; each point also has the shape of its digit.
COLOURS = (
    *("#332288", "#cc6677", "#117733", "#b8a13c", "#5aaed6", "#882255", "#44aa99", "#83832a", "#aa4499"),
    "#5c5c5c",
)


def code_map(evidence: Evidence, part: str) -> Figure:
    """The hidden images' codes, each drawn as the digit in its image."""
    (mu,) = answer(evidence, Address.of("quality", part, "encode"), "mu")
    labels = evidence.questions[Stage.of("quality", part).array("y")]
    if mu.ndim != 2 or len(mu) != len(labels) or mu.shape[1] < 2:
        give_up(f"expected a code of two numbers or more for each image, got shape {shape_text(mu)}")
    finite = np.isfinite(mu).all(axis=1)
    points, centre, share = flat(mu[finite].astype(np.float64))
    labels = labels[finite]
    reach = extent(points, centre)

    def paint(canvas: Canvas) -> None:
        from matplotlib.patches import Circle

        axes = canvas.add_axes((0, 0, 1, 1))
        (left, right), (low, high) = reach
        axes.set(xlim=(left, right), ylim=(low, high))
        axes.set_axis_off()
        axes.add_patch(Circle((float(centre[0]), float(centre[1])), RING, fill=False, edgecolor="#c3cad1", linewidth=2))
        for digit in range(10):
            codes = points[labels == digit]
            axes.scatter(
                codes[:, 0], codes[:, 1], marker=f"${digit}$", s=90, color=COLOURS[digit], linewidths=0, alpha=0.6
            )
        _name(axes, points, labels, right - left)

    two = mu.shape[1] == 2
    directions = (
        f", seen along the two directions in which they vary most (these hold {percent(share)} of the variance)"
    )
    where = "" if two else directions
    return figure(
        f"{part}-codes",
        f"{NAMES[part]}: codes of hidden test images",
        caption=f"The codes of hidden test images{where}. Small digit: one image; large digit: the median of its "
        "class. 95 % of the codes drawn from the prior lie inside the grey ring.",
        alt=f"{len(points)} codes of hidden images as coloured digits in a plane"
        + ("." if two else f" that holds {percent(share)} of their variance.")
        + f" Their standard deviation is {points.std(axis=0).max():.2g}; that of new codes is 1.",
        size=(SIDE, SIDE),
        paint=paint,
    )


def flat(mu: Array) -> tuple[Array, Array, float]:
    """Two coordinates of codes `(N, D)`: `(N, 2)`, those of the prior's mean, and their share of the variance.

    If D is 2, the codes are unchanged; else the coordinates are the first two principal components (Pearson, On Lines
    and Planes of Closest Fit, 1901).

    Raises:
        NotAnswered: if the codes are all the same.
    """
    if len(mu) < 2 or not (spread := mu.std(axis=0)).max() > 1e-12:
        give_up("the codes are all the same")
    if mu.shape[1] == 2:
        return mu, np.zeros(2), 1.0
    from sklearn.decomposition import PCA

    middle, scale = mu.mean(axis=0), float(spread.max())  # scaled, so that squares do not overflow
    components = PCA(2, svd_solver="full").fit((mu - middle) / scale)
    directions = components.components_
    towards = directions * np.sign(directions.sum(axis=1, keepdims=True) + 1e-12)  # fixes the arbitrary signs
    return (mu - middle) @ towards.T, -middle @ towards.T, float(components.explained_variance_ratio_.sum())


def extent(points: Array, centre: Array) -> tuple[tuple[float, float], tuple[float, float]]:
    """Limits of x and y, equally far apart, that include the ring and all but the outermost points."""
    low = np.minimum(np.quantile(points, 0.002, axis=0), centre - RING)
    high = np.maximum(np.quantile(points, 0.998, axis=0), centre + RING)
    middle, half = (low + high) / 2, float((high - low).max()) * 0.53
    x, y = ((float(at) - half, float(at) + half) for at in middle)
    return x, y


def _name(axes: Axes, points: Array, labels: Array, side: float) -> None:
    """Draws each class's digit at the median of its codes, or beside it with a line if that place is taken."""
    from matplotlib import patheffects

    digits = [digit for digit in range(10) if (labels == digit).any()]
    middles = np.array([np.median(points[labels == digit], axis=0) for digit in digits])
    places = apart(middles, LABEL * side)
    white = [patheffects.withStroke(linewidth=6, foreground="white")]
    for digit, middle, place in zip(digits, middles, places, strict=True):
        if np.hypot(*(place - middle)) > 0.4 * LABEL * side:
            axes.plot(*np.stack([middle, place]).T, color=QUIET, linewidth=1.5)
        look = {"weight": "bold", "color": COLOURS[digit], "path_effects": white, "zorder": 5}
        write(axes, (float(place[0]), float(place[1])), str(digit), size=2 * SMALL, **look)


def apart(places: Array, least: float) -> Array:
    """The places `(K, 2)` moved apart until no two are nearer than `least`, in at most 300 rounds."""
    angles = np.arange(len(places)) * 2 * np.pi / max(len(places), 1)
    positions = places + 1e-3 * least * np.stack(
        [np.cos(angles), np.sin(angles)], axis=1
    )  # so that equal places also move apart
    for _ in range(300):
        between = positions[:, None] - positions[None]
        distance = np.hypot(between[..., 0], between[..., 1]) + np.eye(len(places)) * least
        lacking = np.maximum(least - distance, 0)
        if not lacking.any():
            break
        positions = positions + 0.25 * (
            between / np.maximum(distance, 1e-9 * least)[..., None] * lacking[..., None]
        ).sum(axis=1)
    return positions
