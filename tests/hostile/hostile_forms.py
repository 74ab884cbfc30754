"""The two forms of a property: a short one for every day, and a long one with another random seed each time.

A long form's seed is printed; `HOSTILE_SEED=<it>` repeats the run.
"""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.strategies import SearchStrategy

SEED = int(os.environ.get("HOSTILE_SEED", secrets.randbits(32)))
LONGEST = 320  # characters of an error


@dataclass(frozen=True)
class Form:
    """How many examples are tried, and whether they are the same every time."""

    examples: int
    same: bool

    def holds(self, strategy: SearchStrategy[Any], check: Callable[[Any], None]) -> None:
        """The property holds for every example."""
        tried, started = 0, time.process_time()

        def counted(example: Any) -> None:
            nonlocal tried
            tried += 1
            check(example)

        kept = settings(
            max_examples=self.examples,
            derandomize=self.same,
            database=None,
            deadline=None,  # a loaded machine is not a fault
            suppress_health_check=list(HealthCheck),
            phases=[Phase.explicit, Phase.generate, Phase.shrink],
        )
        tested = kept(given(strategy)(counted))
        try:
            (tested if self.same else seed(SEED)(tested))()
        finally:
            if not self.same:
                print(f"\n{tried} examples in {time.process_time() - started:.0f} s of CPU, HOSTILE_SEED={SEED}")


FORMS = pytest.mark.parametrize(
    "form",
    [
        pytest.param(Form(150, same=True), id="short"),
        pytest.param(Form(2000, same=False), id="long", marks=pytest.mark.long),
    ],
)


def check_reason(reason: str) -> None:
    """The property of every error: one short line that can be printed anywhere."""
    assert reason
    assert reason.isprintable(), repr(reason)
    assert len(reason) <= LONGEST, len(reason)
