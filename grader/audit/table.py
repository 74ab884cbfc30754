"""The audit as a table for spreadsheets, and as a summary on a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

from rich.console import Console
from rich.text import Text

from grader.audit.problems import HEADINGS
from grader.audit.records import Audit, State, summary
from grader.audit.whatif import Change, Shift, moves
from grader.report.plain import plain
from grader.report.points import points_number, points_text
from grader.report.spreadsheet import cell
from grader.store.files import csv_bytes

_MOST = 12  # troubles of a kind, or submissions of a table, shown; all of them are in the files
_LONGEST = 220  # characters of one line
_LIST = 10_000  # characters of a list in the table
_NOT_AS_FORETOLD = {State.KEPT, State.UNEXPECTED, State.UNDECIDED}
_SPECIAL = {State.UNDECIDED: "?", State.UNJUDGED: ""}


def audit_csv(audit: Audit) -> bytes:
    """The matrix: one row a solution, one column an item with the points lost ("?" undecided, empty not judged)."""
    rows = []
    for row in audit.rows:
        others = " ".join(f"{s.item}:{s.state}" for s in row.squares if s.state in _NOT_AS_FORETOLD)
        who = {"solution": cell(row.name), "kind": cell(row.kind), "foretold": cell(" ".join(row.foretold))}
        lost = {square.item: _SPECIAL.get(square.state, points_number(square.lost_milli)) for square in row.squares}
        more = {
            "not_as_foretold": cell(others, _LIST),
            "checks_lost": cell(" ".join(f"{loss.item}.{loss.check}" for loss in row.losses), _LIST),
            "to_the_check": "" if row.to_the_check is None else "yes" if row.to_the_check else "no",
            "story": cell(row.story, _LONGEST),
        }
        rows.append({**who, **lost, **more})
    return csv_bytes(rows)


def print_audit(audit: Audit, console: Console, files: Sequence[Path] = ()) -> None:
    """What is wrong is printed by kind, then what could not be seen; the last line is the summary."""
    for kind, troubles in groupby(audit.troubles, key=lambda trouble: trouble.kind):
        found = list(troubles)
        _print(console, f"{HEADINGS[kind]} ({len(found)})", "bold red")
        for trouble in found[:_MOST]:
            _print(console, f"- {trouble.subject}: {trouble.text}")
        if len(found) > _MOST:
            _print(console, f"- and {len(found) - _MOST} more on the page")
    for note in audit.notes:
        _print(console, note, "dim")
    for path in files:  # unwrapped, so that it can be copied
        console.print(Text(f"File: {path}"), soft_wrap=True)
    _print(console, summary(audit), "green" if audit.sound else "bold red")


def print_seeds(faults: Sequence[str], solutions: int, seeds: int, console: Console, file: Path) -> None:
    """Each solution whose points depend on the seed; the last line counts them."""
    for text in [*faults, f"File: {file}"]:
        console.print(Text(text), soft_wrap=True)
    _print(console, seeds_line(faults, solutions, seeds), "bold red" if faults else "green")


def seeds_line(faults: Sequence[str], solutions: int, seeds: int) -> str:
    """How many solutions depend on the seed."""
    return f"{solutions} solutions, {seeds} seeds each: {len(faults)} differences."


def print_shifts(shifts: Sequence[Shift], changes: Sequence[Change], console: Console) -> None:
    """Who would gain or lose how much, and how many would not; the last line says that nothing was changed."""
    _print(console, f"With {', '.join(map(str, changes))}:", "bold")
    moved = [shift for shift in shifts if shift.items]
    for shift in moved[: 4 * _MOST]:
        sign = "+" if shift.gain_milli > 0 else ""
        points = (
            f"{points_text(shift.old_milli)} -> {points_text(shift.new_milli)} ({sign}{points_text(shift.gain_milli)})"
        )
        _print(console, f"- {shift.submission}: {points}: {'; '.join(moves(shift))}")
    if len(moved) > 4 * _MOST:
        _print(console, f"- and {len(moved) - 4 * _MOST} more in the table")
    if stale := sum(shift.reported_milli != shift.old_milli for shift in shifts):
        _print(
            console, f"{stale} of {len(shifts)} reports say other points than the rubric gives now; regrade them first."
        )
    _print(console, shifts_line(shifts))


def shifts_line(shifts: Sequence[Shift]) -> str:
    """How many would gain and lose, and that nothing was changed."""
    gain = sum(shift.gain_milli > 0 for shift in shifts)
    lose = sum(shift.gain_milli < 0 for shift in shifts)
    told = f"{gain} of {len(shifts)} would gain, {lose} would lose, {len(shifts) - gain - lose} would stay"
    unsure = sum(shift.undecided for shift in shifts)
    return f"{told}{f'; {unsure} wait for a person' if unsure else ''}. No report was changed."


def _print(console: Console, text: str, style: str = "") -> None:
    line = plain(text, 3 * _LONGEST).encode(console.encoding, "replace").decode(console.encoding)
    console.print(Text(line, style=style), soft_wrap=True)
