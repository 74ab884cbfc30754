"""In a real box, a wrong solution loses its own item on component checks and no other; a correct one loses nothing.

Every day a few are asked; `make audit` asks all of them without a box, and the others are long tests here.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from grading import entries, graded, lost

from grader.audit import corpus
from grader.records import Outcome


@pytest.mark.parametrize("name", entries("honest"))
def test_a_correct_solution_loses_nothing(name: str, tmp_path: Path) -> None:
    report = graded(corpus.build(name), tmp_path)
    assert lost(report) == {}, report.events
    assert not report.needs_person


@pytest.mark.parametrize("name", entries("wrong"))
def test_a_wrong_solution_loses_its_own_item_and_no_other(name: str, tmp_path: Path) -> None:
    report = graded(corpus.build(name), tmp_path)
    losses = lost(report)
    solution = corpus.entry(name)
    assert sorted(losses) == sorted(solution.loses if solution.checks else []), (losses, report.events)
    assert not any(item.outcome is Outcome.NEEDS_REVIEW for item in report.items)
    assert not report.needs_person
