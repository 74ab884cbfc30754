"""Remarks in the margin of a notebook: what an item's checks say, beside the cell that the item asks for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from grader.records import CheckVerdict, GradeReport, ItemVerdict, Outcome
from grader.report.notebook import Places
from grader.report.words import is_lost


@dataclass(frozen=True, slots=True)
class Note:
    """What one or more checks say."""

    outcome: Outcome
    message: str
    hint: str = ""
    checks: int = 1


@dataclass(frozen=True, slots=True)
class Mark:
    """What stands beside a cell of one item."""

    item: ItemVerdict
    number: int  # of the item in the report, from 1
    first: bool  # whether this is the item's first place: its points stand here and nowhere else
    notes: tuple[Note, ...]


def marks(report: GradeReport, at: Places, names: Mapping[str, Sequence[str]]) -> dict[int, list[Mark]]:
    """What stands beside each cell; an item without a place stands in the list of items alone."""
    cell_marks: dict[int, list[Mark]] = {}
    for number, item in enumerate(report.items, start=1):
        cells = at.get(item.id, ())
        by_cell: dict[int, list[CheckVerdict]] = {cell: [] for cell in cells}
        for check in item.checks:
            if cells and is_lost(check):
                by_cell[cells[_which(check.id, names.get(item.id, ()))]].append(check)
        for cell, lost in by_cell.items():
            cell_marks.setdefault(cell, []).append(Mark(item, number, cell == cells[0], notes(lost)))
    return cell_marks


def notes(checks: Sequence[CheckVerdict]) -> tuple[Note, ...]:
    """What the checks say, each thing once: one unwritten function fails many checks with one message."""
    merged: dict[tuple[Outcome, str], Note] = {}
    for check in checks:
        key = says(check)
        earlier = merged.get(key)
        merged[key] = Note(
            *key, earlier.hint or check.hint if earlier else check.hint, earlier.checks + 1 if earlier else 1
        )
    return tuple(merged.values())


def says(check: CheckVerdict) -> tuple[Outcome, str]:
    """How the check ended and what it says of it."""
    return check.outcome, check.message or check.title or check.id


def _which(check: str, names: Sequence[str]) -> int:
    """The number of the name that the check is about: `encoder_uses_the_image` is about `Encoder`."""
    subject = check.partition("_")[0].lower()
    return next((number for number, name in enumerate(names) if subject in name.lower()), 0)
