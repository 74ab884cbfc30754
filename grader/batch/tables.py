"""The tables that a command for a class prints at its end: all results, or the changes that re-grading made."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table
from rich.text import Text

from grader.batch.class_records import STATE_WORDS, GradebookRow, StudentState
from grader.batch.history import WORDS, HistoryEvent
from grader.report.text import of_points, plain, points_text
from grader.report.words import reasons_for_person

AFTER_LATENESS = "after lateness"
MOST = 60  # rows; of a larger class, only those that need attention are shown
REASON = 100  # characters of a reason


def class_table(rows: Sequence[GradebookRow]) -> Table:
    """A row per submission: student, points, points after lateness, state and reason."""
    shown = [row for row in rows if len(rows) <= MOST or row.state not in {StudentState.GRADED, StudentState.MISSING}]
    some_late = any(row.counted_milli != row.points_milli for row in shown)
    stranger = "not on the roster" if any(row.student for row in rows) else ""
    table = Table(box=None, padding=(0, 2, 0, 0))
    for head in ("submission", "student", "points", *([AFTER_LATENESS] if some_late else []), "state"):
        table.add_column(head, overflow="fold", justify="right" if head in {"points", AFTER_LATENESS} else "left")
    for row in sorted(shown, key=lambda row: row.key):
        names = ", ".join(plain(student.name or student.id, 60) for student in row.students) or stranger
        cells = [plain(row.key, 60), names, _points(row)]
        if some_late:
            cells.append("" if row.counted_milli is None else points_text(row.counted_milli))
        table.add_row(*map(Text, cells), Text(_state(row)))
    if len(shown) < len(rows):
        table.caption = f"{len(rows) - len(shown)} more that need no attention"
    return table


def _points(row: GradebookRow) -> str:
    graded = row.graded_milli
    return "–" if row.points_milli is None or graded is None else of_points(row.points_milli, graded)


def _state(row: GradebookRow) -> str:
    why = row.reason or "; ".join(reasons_for_person(row.report)[:2]) if row.report else row.reason
    words = STATE_WORDS[row.state]
    return f"{words}: {plain(why, REASON)}" if why and row.state is not StudentState.MISSING else words


def moves_table(title: str, events: Sequence[HistoryEvent]) -> Table:
    """The changes per submission and item, with reasons, largest loss first."""
    table = Table(title=title, title_justify="left")
    for head in ("submission", "before", "now", "items", "reason"):
        table.add_column(head, justify="right" if head in {"before", "now"} else "left")
    for event in sorted(events, key=lambda e: ((e.new_milli or 0) - (e.old_milli or 0), e.submission)):
        items = ", ".join(f"{item} {points_text(was)} → {points_text(now)}" for item, (was, now) in event.items.items())
        points = ["–" if milli is None else points_text(milli) for milli in (event.old_milli, event.new_milli)]
        table.add_row(
            *map(
                Text,
                [
                    plain(event.submission, 60),
                    *points,
                    items,
                    plain(event.why or WORDS.get(event.what, event.what), 120),
                ],
            )
        )
    return table
