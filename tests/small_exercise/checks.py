"""The toy's three checks."""

from __future__ import annotations

import numpy as np

from grader.checks import check
from grader.evidence import answer, give_up
from grader.records import Address, Evidence, Finding, Stage

FACTORS = {"one": 2, "two": 3}


@check()
def function_multiplies(evidence: Evidence, part: str, *, tolerance: float) -> Finding:
    """The function multiplies by the part's factor."""
    (y,) = answer(evidence, Address.of("components", part, "function"), "y")
    right = np.allclose(y, FACTORS[part] * evidence.questions[Stage.of("components", part).array("x")], atol=tolerance)
    return Finding(float(right), "multiplies" if right else "does not multiply")


@check(smaller_is_better=True, needs_training=True)
def training_lowers_the_loss(evidence: Evidence, part: str, *, zero_at: float, full_at: float) -> Finding:
    """The last loss is a small share of the first."""
    (history,) = answer(evidence, Address.of("trained", part, "history"), "history")
    if history.size < 2:
        give_up("expected a loss for every step")
    share = float(history[-1] / history[0])
    return Finding(float(np.clip((share - zero_at) / (full_at - zero_at), 0, 1)), f"{share:.2f} of the loss is left")


@check(needs_training=True, presupposes=(training_lowers_the_loss,))
def fresh_process_agrees(evidence: Evidence, part: str, *, tolerance: float) -> Finding:
    """The trained number means the same in a process that has not trained it."""
    (once,) = answer(evidence, Address.of("quality", part, "apply"), "y")
    (twice,) = answer(evidence, Address.of("decode", part, "apply"), "y")
    x = evidence.questions[Stage.of("quality", part).array("x")]
    right = np.allclose(twice * x, once * once, atol=tolerance)
    return Finding(float(right), "agrees" if right else "does not agree")
