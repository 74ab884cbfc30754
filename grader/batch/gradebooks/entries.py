"""What every gradebook asks of a row: whose it is, by the roster's own words, and which points may be imported."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import lru_cache

from grader.batch.records import Row, State
from grader.batch.roster import folded
from grader.errors import GraderError
from grader.report.points import points_text

Table = list[list[str]]
_folded = lru_cache(maxsize=1000)(folded)  # the same headings for everybody


@dataclass(frozen=True)
class GradebookSettings:
    """What the files cannot know by themselves.

    Raises:
        GraderError: Canvas's id is no number.
    """

    assignment: str = ""  # its name in the course's system; empty: the rubric's title
    canvas_assignment_id: str = ""  # the number in the assignment's address; empty: as the roster says, if it does
    missing_is_zero: bool = False  # somebody who handed in nothing: no points, or 0
    hold_provisional: bool = False  # leave out the points that a person must still look at

    def __post_init__(self) -> None:
        if self.canvas_assignment_id and not re.fullmatch(r"[0-9]{1,20}", self.canvas_assignment_id):
            raise GraderError(
                f"canvas_assignment_id: expected the number at the end of the assignment's address in Canvas, "
                f"got {self.canvas_assignment_id[:40]!r}"
            )


@dataclass(frozen=True)
class GradebookWishes:
    """What somebody wants other than before; None: as it was."""

    assignment: str | None = None
    canvas_assignment_id: str | None = None
    missing_is_zero: bool | None = None
    hold_provisional: bool | None = None

    def over(self, before: GradebookSettings) -> GradebookSettings:
        """The settings from before, with what is wanted.

        Raises:
            GraderError: Canvas's id is no number.
        """
        return replace(before, **{name: value for name, value in asdict(self).items() if value is not None})


def points(row: Row, settings: GradebookSettings) -> str:
    """The points to import, or nothing: no fault of ours is a zero in somebody's record."""
    if row.state is State.MISSING and settings.missing_is_zero:
        return "0"
    if row.points_milli is None or row.state not in (State.GRADED, State.LOOK):
        return ""
    held = row.state is State.LOOK and settings.hold_provisional
    return "" if held else points_text(row.points_milli)


def with_points(rows: Iterable[Row], settings: GradebookSettings) -> list[Row]:
    """The rows that a system may take in.

    Moodle and Canvas read an empty cell as an order: Moodle's import makes it a 0 in a new column, and both clear
    what an old one said. Whoever has no points is therefore left out of their files.
    """
    return [row for row in rows if points(row, settings)]


def column(row: Row, *names: str) -> str:
    """The first of these columns of the roster that holds something, whatever its spelling; names are folded."""
    columns = {_folded(heading): value for heading, value in row.student.columns.items()} if row.student else {}
    return next((columns[name] for name in names if columns.get(name)), "")


def has_columns(row: Row, *names: str) -> bool:
    """Whether the roster has all of these columns; names are folded."""
    return row.student is not None and set(names) <= {_folded(heading) for heading in row.student.columns}


def first_last(row: Row) -> tuple[str, str]:
    """First and last name: as the roster parts them, else the last name begins at a particle or is the last word."""
    first = column(row, "firstname", "givenname", "forename", "first")
    last = column(row, "lastname", "surname", "familyname", "last")
    if first or last:
        return first, last
    before, comma, after = column(row, "student", "fullname", "name", "studentname").partition(",")
    if comma and after.strip():
        return after.strip(), before.strip()
    words = (row.student.name if row.student else "").split()
    cut = next((i for i, word in enumerate(words) if 0 < i < len(words) - 1 and word[0].islower()), len(words) - 1)
    return " ".join(words[: max(cut, 0)]), " ".join(words[max(cut, 0) :])


def feedback(row: Row) -> str:
    """What the student reads beside the points, in at most three sentences."""
    if row.report is None:
        return "Nothing was handed in."
    lost = [item for item in row.report.items if item.points_milli < item.max_points_milli]
    told = ", ".join(f"{i.title} ({points_text(i.points_milli)} of {points_text(i.max_points_milli)})" for i in lost)
    sentences = [f"Points were lost in: {told}." if told else "Full points."]
    if any(item.override for item in row.report.items):
        sentences.append("A person decided some of these points.")
    if row.state is State.LOOK:
        sentences.append("A person will look at this, and the points may still change.")
    return " ".join(sentences)


def csv_file(table: Iterable[Sequence[object]], *, quoted: bool = False) -> bytes:
    """The table in UTF-8, without a byte order mark, which none of the systems asks for; texts in quotes if wished."""
    stream = io.StringIO(newline="")
    writer = csv.writer(stream, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC if quoted else csv.QUOTE_MINIMAL)
    writer.writerows(table)
    return stream.getvalue().encode()
