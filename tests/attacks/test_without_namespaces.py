"""The attacks on secrets and on what is written, in a box without namespaces: none gains, or gets more than names."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from attack_arena import Arena
from attack_entries import Attack, attacks
from attack_verdicts import GOT

pytestmark = pytest.mark.attack
TRIED = [
    attack
    for family in "bc"
    for attack in attacks(family)
    if attack.code and attack.exercise == "toy" and not (attack.long or attack.gpu or attack.isolation == "user")
]
# What they get all the same, and why that is no more than `SECURITY.md` says of such a box.
WEAKER = {
    "tests_on_disk": "that a path exists can be asked",
    "weights_on_disk": "the same",
    "repository_history": "the same",
    "parents_proc": "names and arguments of the machine's processes are in sight",
    "memory_files": "the same",
}


@pytest.mark.parametrize("attack", TRIED, ids=lambda attack: attack.name)
def test_an_attack_gains_no_points_and_leaves_no_files(attack: Attack, arena: Arena, tmp_path: Path) -> None:
    result = arena.tried(replace(attack, isolation="user", same_user=False), tmp_path)
    assert result.report is not None, result.refused
    assert result.points_milli <= arena.without(attack).points_milli
    assert (GOT in result.printed) <= (attack.name in WEAKER), result.printed[-1000:]
    assert arena.left_behind() == []


def test_every_weaker_attack_is_tried() -> None:
    assert set(WEAKER) <= {attack.name for attack in TRIED}
