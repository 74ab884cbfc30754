"""What is asked, drawn afresh for every run from its secret seed: a notebook that knows the answers knows nothing."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from grader.exercise import Questions
from grader.records import Stage

PARTS = ("line",)
TRUE_SLOPE, TRUE_INTERCEPT = 2.0, 1.0  # of the points that the notebook is given


def make_questions(rng: np.random.Generator, sizes: Mapping[str, int]) -> Questions:
    """Stage -> name -> float32 array.

    `components.line` is asked just before the notebook trains: predictions to compare with targets, and points
    on a fresh line to fit. `trained.line` is asked after it. Only numpy arrays of float32 and int64 can cross
    into the box.
    """
    count = sizes["points"]
    x = rng.uniform(-1, 1, count)
    slope, intercept = rng.choice([-1, 1], 2) * rng.uniform(1, 3, 2)  # far from zero, where leaving one out would pass
    components = {
        "y_hat": rng.standard_normal(count),
        "y": rng.standard_normal(count),
        "x_fresh": x,
        "y_fresh": slope * x + intercept,
    }
    return {
        Stage.of("components", "line"): {name: array.astype(np.float32) for name, array in components.items()},
        Stage.of("trained", "line"): {"x": rng.uniform(-1, 1, count).astype(np.float32)},
    }
