"""Checks every attack: no point gained, none of a neighbour's lost, nothing left behind, and words to read."""

from __future__ import annotations

from pathlib import Path

import pytest
from attack_arena import Arena, graded
from attack_entries import Attack
from attack_files import written
from attack_notebooks import base
from attack_verdicts import GOT, INTERNALS, outcome_of

from grader.sandbox.gpu import boxes_get_gpu

NO_GPU = not boxes_get_gpu()
FULL = 9000  # thousandths: a right solution of the toy
LONGEST = 600  # characters of a sentence
CLEAN = Attack("clean", "a", "", "a right solution", "scored", base="right", train=True)


def hold(attack: Attack, arena: Arena, folder: Path) -> None:
    """The attack came to exactly what its entry says."""
    if attack.gpu and NO_GPU:
        pytest.skip("there is no GPU here")
    before = arena.without(attack)
    result = arena.tried(attack, folder)
    shown = "\n".join(result.differences(before))
    if attack.outcome != "bad_input":
        assert result.points_milli - before.points_milli == attack.change, shown
    assert outcome_of(result, before) == attack.outcome, shown
    assert result.says(attack.says), shown
    assert GOT not in result.printed, shown
    assert arena.left_behind() == []
    for sentence in result.sentences():
        for line in sentence.split("\n"):
            assert line.isprintable(), line
            assert len(line) <= LONGEST
            assert not INTERNALS.search(line), line


def next_one_is_graded_in_full(arena: Arena, folder: Path) -> None:
    """The same process grades a right solution, and all is as it was before the attacks."""
    result = graded(written(base("toy", "right"), folder), folder, CLEAN)
    assert result.points_milli == FULL, result.sentences()
    assert outcome_of(result, result) == "scored"
    assert arena.left_behind() == []
