"""The toy's three checks."""

from __future__ import annotations

import numpy as np

from grader.checks import check
from grader.evidence import NotAnswered
from grader.records import Address, Array, Blame, Evidence, Fault, Finding, Stage

FACTORS = {"one": 2, "two": 3}


def _answer(evidence: Evidence, source: Address, name: str) -> Array:
    if source.array(name) not in evidence.answers:
        raise NotAnswered(evidence.fault(source, name))
    return evidence.answers[source.array(name)]


@check()
def function_multiplies(evidence: Evidence, part: str, *, tolerance: float) -> Finding:
    """The function multiplies by the part's factor."""
    y = _answer(evidence, Address.of("components", part, "function"), "y")
    right = np.allclose(y, FACTORS[part] * evidence.questions[Stage.of("components", part).array("x")], atol=tolerance)
    return Finding(float(right), "multiplies" if right else "does not multiply")


@check(smaller_is_better=True, needs_training=True)
def training_lowers_the_loss(evidence: Evidence, part: str, *, zero_at: float, full_at: float) -> Finding:
    """The last loss is a small share of the first."""
    history = _answer(evidence, Address.of("trained", part, "history"), "history")
    if history.size < 2:
        raise NotAnswered(Fault(Blame.STUDENT, "expected a loss for every step"))
    share = float(history[-1] / history[0])
    return Finding(float(np.clip((share - zero_at) / (full_at - zero_at), 0, 1)), f"{share:.2f} of the loss is left")


@check(needs_training=True, presupposes=(training_lowers_the_loss,))
def fresh_process_agrees(evidence: Evidence, part: str, *, tolerance: float) -> Finding:
    """The trained number means the same in a process that has not trained it."""
    once = _answer(evidence, Address.of("quality", part, "apply"), "y")
    twice = _answer(evidence, Address.of("decode", part, "apply"), "y")
    x = evidence.questions[Stage.of("quality", part).array("x")]
    right = np.allclose(twice * x, once * once, atol=tolerance)
    return Finding(float(right), "agrees" if right else "does not agree")
