"""Functions with which checks read evidence and make findings; a missing answer ends the check with the reason."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from grader.evidence import answer as answer
from grader.evidence import give_up as give_up
from grader.records import Address, Array, Evidence, Finding, Measured

NO_STEP = "no optimizer made a step"  # the fault that in_box/trained.py reports


def not_trained(evidence: Evidence, part: str) -> bool:
    """Whether the notebook never trained the part's model: no optimizer made a step, and there is no loss curve.

    A model that was trained without an optimizer has a loss curve. Where either is unknown, the model may be trained.
    """
    steps, history = (Address.of("trained", part, about) for about in ("steps", "history"))
    no_step = steps.array("mean_rate") not in evidence.answers and NO_STEP in evidence.fault(steps, "mean_rate").message
    return no_step and history.array("history") not in evidence.answers


def number(evidence: Evidence, address: Address, name: str) -> int:
    """An answer that is one whole number; ends the check if it is not."""
    (array,) = answer(evidence, address, name)
    if array.size != 1:
        give_up(f"expected one number, got {array.size}")
    return int(array.reshape(-1)[0])


def expect_shape(array: Array, shape: tuple[int, ...], name: str) -> Array:
    """The array, if it has the shape or can be reshaped to it without mixing rows; else the check ends."""
    if array.size != np.prod(shape) or (array.ndim > 1 and array.shape[0] != shape[0]):
        give_up(f"expected {name} of shape {shape}, got {array.shape}")
    return array.reshape(shape)


def between(value: float, *, zero_at: float, full_at: float) -> float:
    """Partial credit: 0 at `zero_at`, 1 at `full_at`, linear between; either may be the larger."""
    return float(np.clip((value - zero_at) / (full_at - zero_at), 0.0, 1.0))


def all_or_nothing(right: bool, yes: str, no: str, hint: str = "", measured: Measured | None = None) -> Finding:
    """A finding with all points or none."""
    return Finding(1.0 if right else 0.0, yes if right else no, "" if right else hint, measured or {})


def equal_shares(results: Mapping[str, str], good: str, hint: str, measured: Measured | None = None) -> Finding:
    """A finding with equal shares for several requirements: `results` maps each to "" or what is wrong with it."""
    wrong = [text for text in results.values() if text]
    score = 1 - len(wrong) / len(results)
    return Finding(score, good if not wrong else "; ".join(wrong), hint if wrong else "", measured or {})


def percent(share: float) -> str:
    """A share in percent, for instance "46 %"."""
    return f"{100 * share:.0f} %"


def shape_text(array: Array) -> str:
    """The shape as a student would write it."""
    return str(tuple(int(n) for n in array.shape))
