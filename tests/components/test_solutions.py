"""Every wrong solution of the corpus loses its own item on component checks and no other; honest ones lose nothing.

Every day honest solutions that change different things share a notebook; each by itself is a long test.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from grading import entries, graded, lost

from grader.audit import corpus
from grader.records import Outcome


@pytest.mark.parametrize("pack", corpus.packs("honest"), ids=lambda pack: pack[0])
def test_honest_solutions_together_lose_nothing(pack: list[str], tmp_path: Path) -> None:
    report = graded(corpus.build(*pack), tmp_path)
    assert lost(report) == {}, (pack, report.events)
    assert not report.needs_person


@pytest.mark.long
@pytest.mark.parametrize("name", corpus.names("honest"))
def test_an_honest_solution_loses_nothing(name: str, tmp_path: Path) -> None:
    report = graded(corpus.build(name), tmp_path)
    assert lost(report) == {}, report.events
    assert not report.needs_person


@pytest.mark.parametrize("name", entries("wrong"))
def test_a_wrong_solution_loses_its_own_item_and_no_other(name: str, tmp_path: Path) -> None:
    report = graded(corpus.build(name), tmp_path)
    found = lost(report)
    assert sorted(found) == sorted(corpus.solutions()[name].loses), (found, report.events)
    assert not any(item.outcome is Outcome.NEEDS_REVIEW for item in report.items)
    assert not report.needs_person
