"""What came of a class, as a table on a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table
from rich.text import Text

from grader.batch.records import Row, State
from grader.report.plain import plain
from grader.report.points import of_points, points_text
from grader.report.words import reasons_for_person

MOST = 60  # rows; of a larger class, those that somebody must look at
WORDS = {State.LOOK: "needs a look", State.REFUSED: "not gradable", State.MISSING: "nothing handed in"}


def class_table(rows: Sequence[Row]) -> Table:
    """A row for each submission: points, what counts of them, where it stands and why."""
    shown = [row for row in rows if len(rows) <= MOST or row.state not in {State.GRADED, State.MISSING}]
    some_late = any(row.counted_milli != row.points_milli for row in shown)
    made = Table(box=None, padding=(0, 2, 0, 0))
    for head in ("submission", "whose", "points", *(["count"] if some_late else []), "state"):
        made.add_column(head, overflow="fold", justify="right" if head in {"points", "count"} else "left")
    for row in sorted(shown, key=lambda row: row.key):
        names = ", ".join(plain(student.name or student.id, 60) for student in row.students)
        cells = [plain(row.key, 60), names, _points(row)]
        if some_late:
            cells.append("" if row.counted_milli is None else points_text(row.counted_milli))
        made.add_row(*map(Text, cells), Text(_state(row)))
    if len(shown) < len(rows):
        made.caption = f"{len(rows) - len(shown)} more, at whom nobody has to look"
    return made


def _points(row: Row) -> str:
    judged = row.judged_milli
    return "–" if row.points_milli is None or judged is None else of_points(row.points_milli, judged)


def _state(row: Row) -> str:
    why = row.reason or "; ".join(reasons_for_person(row.report)[:2]) if row.report else row.reason
    words = WORDS.get(row.state, str(row.state))
    return f"{words}: {plain(why, 160)}" if why and row.state is not State.MISSING else words
