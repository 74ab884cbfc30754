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
from grader.records import Address, Evidence, Finding, Stage

from .questions import FACTORS


@check()
def function_multiplies(evidence: Evidence, part: str, *, tolerance: float) -> Finding:
    """The function multiplies by the part's factor."""
    (y,) = answer(evidence, Address.of("components", part, "function"), "y")
    x = evidence.questions[Stage.of("components", part).array("x")]
    right = np.allclose(y, FACTORS[part] * x, atol=tolerance)
    message = f"{'multiplies' if right else 'does not multiply'} by {FACTORS[part]}"
    return Finding(float(right), message, "" if right else "Try it by hand on two numbers.")


@check(has_thresholds=True, smaller_is_better=True, needs_training=True)
def training_lowers_the_loss(evidence: Evidence, part: str) -> Measurement:
    """The last loss is a small share of the first."""
    (history,) = answer(evidence, Address.of("trained", part, "history"), "history")
    if history.size < 2:
        give_up("expected one loss per step")
    share = float(history[-1] / history[0])
    return Measurement(
        name="share of the first loss",
        value=share,
        standard_error=0.0,  # of the value; larger for one measured on random samples, and then the threshold is wider
        good="the loss falls",  # the message for full points; `fair` and `poor` are those for some and no points
        hint="Does the loss fall in every step?",
    )


@check(needs_training=True, presupposes=(training_lowers_the_loss,))
def fresh_process_agrees(evidence: Evidence, part: str, *, tolerance: float) -> Finding:  # second box
    """The trained number means the same in a process that has not trained it."""
    (once,) = answer(evidence, Address.of("quality", part, "apply"), "y")
    (twice,) = answer(evidence, Address.of("decode", part, "apply"), "y")
    x = evidence.questions[Stage.of("quality", part).array("x")]
    right = np.allclose(twice * x, once * once, atol=tolerance)
    return Finding(float(right), "agrees" if right else "does not agree")
