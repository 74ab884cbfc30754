"""No attack at all: the trouble that honest notebooks bring, which must not cost a point."""

from __future__ import annotations

from pathlib import Path

import pytest
from attack_arena import Arena
from attack_entries import Attack, parameters
from attack_trial import hold, next_one_is_graded_in_full

pytestmark = pytest.mark.attack


@pytest.mark.parametrize("attack", parameters("f"))
def test_the_verdict_is_exact_and_nothing_is_left(attack: Attack, arena: Arena, tmp_path: Path) -> None:
    hold(attack, arena, tmp_path)


def test_the_next_submission_is_graded_in_full(arena: Arena, tmp_path: Path) -> None:
    next_one_is_graded_in_full(arena, tmp_path)
