"""The questions, and the allowed answers.

Every run draws new questions from its secret seed, so stored answers do not help a notebook.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from grader.evidence import AnswerSpec, ArraySpec
from grader.exercise import Questions
from grader.records import Address, Stage

TRUE_SLOPE, TRUE_INTERCEPT = 2.0, 1.0  # of the line through the notebook's points


def make_questions(rng: np.random.Generator, count: int) -> Questions:
    """Stage -> name -> float32 array `(count,)`.

    `components.line` is asked just before the notebook trains: predictions to compare with targets, and points
    on a new line to fit. `trained.line` is asked after training. Only numpy arrays of float32 and int64 can be sent
    into the box.
    """
    x = rng.uniform(-1, 1, count)
    slope, intercept = rng.choice([-1, 1], 2) * rng.uniform(
        1, 3, 2
    )  # not near zero, so that leaving one out is noticed
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


# Stage and question, as in `in_box/probe.py` -> the arrays by name: kind, and the largest number of values. Anything
# else that the box sends is refused before a check sees it.
_NUMBER = ArraySpec("float", 1)
_LINE = {"slope": _NUMBER, "intercept": _NUMBER}
ANSWERS: Mapping[Address, AnswerSpec] = {
    Address.of("components", "line", "loss"): {"loss": _NUMBER},
    Address.of("components", "line", "fit"): _LINE,
    Address.of("trained", "line", "line"): _LINE,
}
