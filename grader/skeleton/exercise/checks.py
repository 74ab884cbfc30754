"""The checks. A check's name is a statement that can be true; students read its docstring.

`@check(...)` makes a function a check; `grader.checks.check` lists all options. A check reads evidence and computes the
expected values itself. It returns a score in [0, 1] or, with `has_thresholds`, a measurement that is scored between
the rubric's `zero_at` and `full_at`. A check does not know points. Its numbers are keyword-only arguments without
defaults, because the rubric sets them.
"""

from __future__ import annotations

import numpy as np

from grader.checks import Measurement, check
from grader.evidence import answer, give_up
from grader.records import Address, Array, Evidence, Finding, Stage

from .questions import TRUE_INTERCEPT, TRUE_SLOPE


@check()
def loss_is_the_mean_square(evidence: Evidence, part: str, *, tolerance: float) -> Finding:
    """The loss is the mean of the squared errors."""
    loss = _number(evidence, Address.of("components", part, "loss"), "loss")
    y_hat, y = (evidence.questions[Stage.of("components", part).array(name)] for name in ("y_hat", "y"))
    right = abs(loss - float(np.mean((y_hat - y) ** 2))) <= tolerance
    return Finding(
        float(right),
        "the loss is the mean of the squared errors" if right else "expected the mean of the squared errors",
        "" if right else "Try it by hand on two points.",
        {"loss": loss},
    )


@check(has_thresholds=True)
def fit_finds_a_fresh_line(evidence: Evidence, part: str) -> Measurement:
    """`fit` finds a line that it has not seen before."""
    x, y = (evidence.questions[Stage.of("components", part).array(name)] for name in ("x_fresh", "y_fresh"))
    return _explained_variance(evidence, Address.of("components", part, "fit"), x, y)


@check(has_thresholds=True, needs_training=True)
def trained_line_meets_the_points(evidence: Evidence, part: str) -> Measurement:
    """The line that the notebook trained goes through the points."""
    x = evidence.questions[Stage.of("trained", part).array("x")]
    return _explained_variance(evidence, Address.of("trained", part, "line"), x, TRUE_SLOPE * x + TRUE_INTERCEPT)


def _explained_variance(evidence: Evidence, source: Address, x: Array, y: Array) -> Measurement:
    """The share of the variance of `y` `(N,)` that the answered line explains, at most 1."""
    slope, intercept = (_number(evidence, source, name) for name in ("slope", "intercept"))
    share = 1 - float(np.mean((slope * x + intercept - y) ** 2) / np.var(y))
    good = "the line's predictions meet the points"
    return Measurement("explained variance", share, 0.0, good, "Does the loss fall in every step?")


def _number(evidence: Evidence, source: Address, name: str) -> float:
    """The single number of an answer; without an answer, the check ends with the reason from the box."""
    (array,) = answer(evidence, source, name)
    if array.size != 1:
        give_up(f"expected {name} to be one number, got {array.size}")
    return float(array.reshape(-1)[0])
