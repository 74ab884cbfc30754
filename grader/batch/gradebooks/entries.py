"""Helpers for all gradebooks: the student of a row as the roster has it, and the points to import."""

from __future__ import annotations

import csv
import io
import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import lru_cache

from grader.batch.class_records import GradebookRow, StudentState
from grader.batch.students.course_words import key_of
from grader.errors import GraderError
from grader.grading.folder_choice import extent_name
from grader.records import Rubric
from grader.report.text import points_text
from grader.report.totals import counted_milli, graded_milli, is_graded, left_out_milli, trained_parts, undecided_milli
from grader.report.words import graded_points, late_sentence

Table = list[list[str]]
_key_of = lru_cache(maxsize=10_000)(key_of)  # the headings are the same for every student


@dataclass(frozen=True)
class GradebookSettings:
    """The settings of a class's gradebooks.

    Raises:
        GraderError: Canvas's id is not a number.
    """

    assignment: str = ""  # its name in the course's system; empty: the rubric's title
    canvas_assignment_id: str = ""  # the number in the assignment's address; empty: from the roster
    missing_is_zero: bool = False  # whether students without a submission get 0 instead of a blank
    hold_provisional: bool = False  # leave out points that need manual review
    upload_partial: bool = False  # write files for other systems even if the class was not graded in full

    def __post_init__(self) -> None:
        if self.canvas_assignment_id and not re.fullmatch(r"[0-9]{1,20}", self.canvas_assignment_id):
            raise GraderError(
                f"--canvas-assignment-id: expected the number at the end of the assignment's address in Canvas, "
                f"got {self.canvas_assignment_id[:40]!r}"
            )


@dataclass(frozen=True)
class GradebookOptions:
    """The settings to change; None: as before."""

    assignment: str | None = None
    canvas_assignment_id: str | None = None
    missing_is_zero: bool | None = None
    hold_provisional: bool | None = None
    upload_partial: bool | None = None

    def over(self, before: GradebookSettings) -> GradebookSettings:
        """The earlier settings with these changes.

        Raises:
            GraderError: Canvas's id is not a number.
        """
        return replace(before, **{name: value for name, value in asdict(self).items() if value is not None})


def points(row: GradebookRow, settings: GradebookSettings) -> str:
    """The points to import, after the late penalty; empty, not 0, for a grader fault or an incomplete grade."""
    if row.held:
        return ""  # the course system keeps the released points
    if row.state is StudentState.MISSING and settings.missing_is_zero and not row.excused:
        return "0"
    if row.report is None or row.state not in (StudentState.GRADED, StudentState.LOOK):
        return ""
    if row.state is StudentState.LOOK and settings.hold_provisional:
        return ""
    incomplete = any(map(undecided_milli, row.report.items)) or (left_out(row) and not settings.upload_partial)
    return "" if incomplete else points_text(counted_milli(row.report))


def left_out(row: GradebookRow) -> int:
    """The thousandths of a point that the row's run did not grade, for instance for items that need training."""
    return left_out_milli(row.report.items) if row.report else 0


def extent_of(rows: Iterable[GradebookRow]) -> str:
    """The extent of a class that was not graded in full, as in a file's name: "components-only", "vae-only".

    Empty if at least one submission was graded in full, or none was graded.
    """
    reports = [row.report for row in rows if row.report is not None]
    if not reports or not all(left_out_milli(report.items) for report in reports):
        return ""
    return extent_name(sorted(frozenset.intersection(*map(trained_parts, reports))))


def out_of(rows: Iterable[GradebookRow], rubric: Rubric) -> int:
    """The maximum of a class in thousandths: the rubric's, or that of the graded items if no run was complete.

    An override of an item that was not graded does not change the maximum.
    """
    left = [left_out(row) for row in rows if row.report is not None]
    in_full = not all(left)
    return rubric.points_milli - (0 if in_full else max(left, default=0))


def with_points(rows: Iterable[GradebookRow], settings: GradebookSettings) -> list[GradebookRow]:
    """The rows with points to import.

    Moodle and Canvas act on an empty cell: Moodle's import makes it a 0 in a new column, and both clear an existing
    grade. Students without points are therefore left out of their files.
    """
    return [row for row in rows if points(row, settings)]


def column(row: GradebookRow, *names: str) -> str:
    """The value of the first of these roster columns that is not empty; names as `key_of` returns them."""
    columns = {_key_of(heading, value): value for heading, value in row.student.columns.items()} if row.student else {}
    return next((columns[name] for name in names if columns.get(name)), "")


def has_columns(row: GradebookRow, *names: str) -> bool:
    """Whether the roster has all of these columns; names as `key_of` returns them."""
    return row.student is not None and set(names) <= {_key_of(*column) for column in row.student.columns.items()}


def first_last(row: GradebookRow) -> tuple[str, str]:
    """First and last name, from the roster's columns; else the last name begins at a particle or is the last word."""
    first, last = column(row, "firstname"), column(row, "lastname")
    if first and not last:
        last = column(row, "name").replace(first, "").strip(" ,")
    if first or last:
        return first, last
    before, comma, after = column(row, "student", "name").partition(",")
    if comma and after.strip():
        return after.strip(), before.strip()
    words = (row.student.name if row.student else "").split()
    cut = next((i for i, word in enumerate(words) if 0 < i < len(words) - 1 and word[0].islower()), len(words) - 1)
    return " ".join(words[: max(cut, 0)]), " ".join(words[max(cut, 0) :])


# Letters that are sorted like a plain letter, but that Unicode does not decompose into a letter and an accent.
_PLAIN_LETTERS = str.maketrans({"ł": "l", "ø": "o", "đ": "d", "ð": "d", "þ": "th", "æ": "ae", "œ": "oe", "ı": "i"})


def sort_key(row: GradebookRow) -> tuple[str, str, str, str]:
    """The sort key of a row in a class list: last name, first name, student id and key, without accents."""
    first, last = first_last(row)
    student_id = row.student.id if row.student else ""
    return _sortable(last or student_id or row.key), _sortable(first), student_id, row.key


def _sortable(text: str) -> str:
    letters = unicodedata.normalize("NFKD", text.casefold().translate(_PLAIN_LETTERS))
    return "".join(letter for letter in letters if not unicodedata.combining(letter))


def feedback(row: GradebookRow) -> str:
    """The comment for the student beside the points, in a few sentences."""
    if row.report is None:
        nothing = "No submission, which was excused." if row.excused else "No submission."
        return nothing if row.state is StudentState.MISSING else "Not graded yet."
    items = [(item, graded_milli([item])) for item in row.report.items if is_graded(item)]
    lost = [(item, most) for item, most in items if item.points_milli < most]
    losses = ", ".join(f"{item.title} ({points_text(item.points_milli)} of {points_text(most)})" for item, most in lost)
    whole = "No points were lost in what was graded." if left_out(row) else "Full points."
    sentences = [f"Points were lost in: {losses}." if losses else whole]
    if left_out(row):
        points, _, of = graded_points(row.report).partition(" / ")
        sentences.append(f"Graded so far: {points} of {of} points; the rest is not graded yet.")
    if late := late_sentence(row.report):
        sentences.append(late)
    if any(item.override for item in row.report.items):
        sentences.append("Some of these points were set by the course staff.")
    if row.state is StudentState.LOOK:
        sentences.append("This needs manual review, so the points may still change.")
    return " ".join(sentences)


def csv_file(table: Iterable[Sequence[object]], *, quoted: bool = False) -> bytes:
    """The table as CSV in UTF-8, without a byte order mark, which no system needs; text is quoted if `quoted`."""
    stream = io.StringIO(newline="")
    writer = csv.writer(stream, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC if quoted else csv.QUOTE_MINIMAL)
    writer.writerows(table)
    return stream.getvalue().encode()
