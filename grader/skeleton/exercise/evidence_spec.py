"""Which arrays each answer may hold; anything else that the box sends is refused before a check sees it."""

from __future__ import annotations

from collections.abc import Mapping

from grader.evidence import AnswerSpec, ArraySpec
from grader.records import Address

ONE_NUMBER = ArraySpec("float", 1)


def answer_specs(sizes: Mapping[str, int]) -> dict[Address, AnswerSpec]:
    """`stage/question`, as in `in_box/probe.py`, -> the arrays by name: kind, and how many numbers at most."""
    line = {"slope": ONE_NUMBER, "intercept": ONE_NUMBER}
    return {
        Address.of("components", "line", "loss"): {"loss": ONE_NUMBER},
        Address.of("components", "line", "fit"): line,
        Address.of("trained", "line", "line"): line,
    }
