"""Remarks in the margin of a notebook: what an item's checks say, beside the cell that the item asks for."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from grader.notebook.format import is_code, source_of
from grader.records import CellRun, CheckVerdict, GradeReport, ItemVerdict, Notebook, Outcome
from grader.report.words import is_lost

Places = Mapping[str, tuple[int, ...]]  # item -> the cells beside which its remarks stand, one for each of its names
CALL = "()"  # at the end of a name: where it is called, not where it is defined


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


def places(notebook: Notebook, wanted: Mapping[str, Sequence[str]]) -> dict[str, tuple[int, ...]]:
    """The cells for each item's names: where a name is defined last, or called last for `name()`; none is left out.

    Found by the words in the source, so that a cell that does not parse is found too. Where a later name of an item
    is nowhere, its place is the first one's.
    """
    sources = {index: source_of(cell) for index, cell in enumerate(notebook["cells"]) if is_code(cell)}
    found = {}
    for item, names in wanted.items():
        cells = [_last(sources, name) for name in names]
        known = [cell for cell in cells if cell is not None]
        if known:
            found[item] = tuple(known[0] if cell is None else cell for cell in cells)
    return found


def marks(report: GradeReport, at: Places, names: Mapping[str, Sequence[str]]) -> dict[int, list[Mark]]:
    """What stands beside each cell; an item without a place stands in the list of items alone."""
    made: dict[int, list[Mark]] = {}
    for number, item in enumerate(report.items, start=1):
        cells = at.get(item.id, ())
        by_cell: dict[int, list[CheckVerdict]] = {cell: [] for cell in cells}
        for check in item.checks:
            if cells and is_lost(check):
                by_cell[cells[_which(check.id, names.get(item.id, ()))]].append(check)
        for cell, lost in by_cell.items():
            made.setdefault(cell, []).append(Mark(item, number, cell == cells[0], notes(lost)))
    return made


def notes(checks: Sequence[CheckVerdict]) -> tuple[Note, ...]:
    """What the checks say, each thing once: one unwritten function fails many checks with one message."""
    merged: dict[tuple[Outcome, str], Note] = {}
    for check in checks:
        key = says(check)
        known = merged.get(key)
        merged[key] = Note(*key, known.hint or check.hint if known else check.hint, known.checks + 1 if known else 1)
    return tuple(merged.values())


def says(check: CheckVerdict) -> tuple[Outcome, str]:
    """How the check ended and what it says of it."""
    return check.outcome, check.message or check.title or check.id


def troubles(cells: Sequence[CellRun]) -> dict[int, str]:
    """What a cell did instead of ending, as a student reads it."""
    told = {}
    for cell in cells:
        if cell.status == "error":
            told[cell.index] = f"This cell raised {cell.error}" if cell.error else "This cell raised an error"
        elif cell.status == "timeout":
            told[cell.index] = "This cell did not finish in the time there is for it, and was interrupted"
        elif cell.status == "died":
            told[cell.index] = "This cell ended the Python process; the cells after it ran in a new one"
        elif cell.status == "skipped":
            told[cell.index] = "This cell was not run"
    return told


def _which(check: str, names: Sequence[str]) -> int:
    """The number of the name that the check is about: `encoder_uses_the_image` is about `Encoder`."""
    subject = check.partition("_")[0].lower()
    return next((number for number, name in enumerate(names) if subject in name.lower()), 0)


def _last(sources: Mapping[int, str], name: str) -> int | None:
    call = name.endswith(CALL)
    owner, _, attribute = name.removesuffix(CALL).partition(".")
    if call:
        pattern = rf"(?<![\w.]){re.escape(owner)}[ \t]*\("
        unwanted = rf"^[ \t]*(?:def|class)[ \t]+{re.escape(owner)}\b"
    else:
        pattern = (
            rf"^[ \t]*(?:(?:async[ \t]+)?def|class)[ \t]+{re.escape(owner)}\b"
            rf"|^{re.escape(owner)}[ \t]*(?::[^=\n]*)?=[^=]"
        )
        unwanted = ""
    cells = [
        index
        for index, source in sources.items()
        if owner in source
        and re.search(pattern, source, re.MULTILINE)
        and not (unwanted and re.search(unwanted, source, re.MULTILINE))
        and (not attribute or re.search(rf"\b{re.escape(attribute)}\b", source))
    ]
    return cells[-1] if cells else None
