"""The checks. A check's name is a sentence that can be true, its docstring is what the student reads.

`@check(...)` makes a function a check; `grader.checks.check` lists what else it can say. A check reads evidence,
computes for itself what would be right, and returns a score in [0, 1]. It knows no points, and its numbers are
keyword-only without defaults: they are the rubric's.
"""

from __future__ import annotations

import numpy as np

from grader.checks import check
from grader.evidence import NotAnswered
from grader.records import Address, Array, Blame, Evidence, Fault, Finding, Stage

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


@check()
def fit_finds_a_fresh_line(evidence: Evidence, part: str, *, zero_at: float, full_at: float) -> Finding:
    """`fit` finds a line that it has not seen before."""
    x, y = (evidence.questions[Stage.of("components", part).array(name)] for name in ("x_fresh", "y_fresh"))
    return _explains(evidence, Address.of("components", part, "fit"), x, y, zero_at, full_at)


@check(needs_training=True)
def trained_line_meets_the_points(evidence: Evidence, part: str, *, zero_at: float, full_at: float) -> Finding:
    """The line that the notebook has trained goes through the points."""
    x = evidence.questions[Stage.of("trained", part).array("x")]
    return _explains(
        evidence, Address.of("trained", part, "line"), x, TRUE_SLOPE * x + TRUE_INTERCEPT, zero_at, full_at
    )


def _explains(evidence: Evidence, source: Address, x: Array, y: Array, zero_at: float, full_at: float) -> Finding:
    """The answered line's share of the variance of `y` `(N,)`: 1 where it explains all, partial credit below."""
    slope, intercept = (_number(evidence, source, name) for name in ("slope", "intercept"))
    share = 1 - float(np.mean((slope * x + intercept - y) ** 2) / np.var(y))
    score = float(np.clip((share - zero_at) / (full_at - zero_at), 0, 1))
    message = "the line goes through the points" if score == 1 else "expected a line that goes through the points"
    hint = "" if score == 1 else "Does the loss fall in every step?"
    return Finding(score, message, hint, {"explained variance": share})


def _number(evidence: Evidence, source: Address, name: str) -> float:
    """The one number of an answer; where there is none the check ends, with the reason that the box gave."""
    array = evidence.answers.get(source.array(name))
    if array is None:
        raise NotAnswered(evidence.fault(source, name))
    if array.size != 1:
        raise NotAnswered(Fault(Blame.STUDENT, f"expected {name} to be one number, got {array.size}"))
    return float(array.reshape(-1)[0])
