"""The two files that Moodle imports: the course's grade import, and the assignment's grading worksheet.

`gradebook-moodle.csv` is for the grade import: a row of headings, a column that identifies users (email address, ID
number or username), a column of grades and a column of feedback, mapped by hand: https://docs.moodle.org/311/en/Grade_import.
`gradebook-moodle-worksheet.csv` is an "offline grading worksheet": `Identifier`, `Grade` and `Last modified (grade)`
are required, `Feedback comments` is optional (https://github.com/moodle/moodle, mod/assign/feedback/offline). It
needs Moodle's number of each participant, which is in its own worksheet and its download of submissions.

Neither needs a byte order mark; Moodle drops it (lib/csvlib.class.php).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from grader.batch.class_records import GradebookRow, Student
from grader.batch.gradebooks.entries import (
    GradebookSettings,
    Table,
    column,
    csv_file,
    feedback,
    has_columns,
    out_of,
    points,
    with_points,
)
from grader.batch.students.course_words import key_of
from grader.records import Rubric
from grader.report.text import cell, points_text

NAME = "gradebook-moodle.csv"
WORKSHEET = "gradebook-moodle-worksheet.csv"
_WORKSHEET = {
    "identifier": "Identifier",
    "name": "Full name",
    "email": "Email address",
    "grade": "Grade",
    "maximumgrade": "Maximum grade",
    "lastmodifiedgrade": "Last modified (grade)",
    "feedbackcomments": "Feedback comments",
}
_DOWNLOADED = re.compile(r"[^/_]+_([0-9]+)_assignsubmission_")  # only at the root; a name has no underscore in Moodle
_IDENTIFIER = re.compile(r"\S+ ?[0-9]+")


def files(rows: Sequence[GradebookRow], rubric: Rubric, settings: GradebookSettings) -> dict[str, bytes]:
    """The grade import, and the worksheet if Moodle's participant numbers are known."""
    ready = with_points(rows, settings)
    books = {NAME: csv_file(_import(ready, settings))}
    if _all_different(identifiers := [_identifier(row) for row in ready]):
        books[WORKSHEET] = csv_file(
            _worksheet(dict(zip(identifiers, ready, strict=True)), out_of(rows, rubric), settings)
        )
    return books


def remarks(rows: Sequence[GradebookRow], settings: GradebookSettings) -> tuple[str, ...]:
    """A remark if the import is empty."""
    ready = [row for row in with_points(rows, settings) if row.student]
    if not ready or _identities(ready):
        return ()
    return (
        f"{NAME} is empty: no column of the roster is filled and different for every student; "
        "use Moodle's exported participants or grades as the roster",
    )


def _import(ready: Sequence[GradebookRow], settings: GradebookSettings) -> Table:
    """The grade import, with only those identity columns that differ for all students.

    If the mapped column has an empty cell, Moodle gives that row's grade to the student of the row above; an unknown
    user stops the whole import (grade/import/csv/classes/load_data.php).
    """
    matched = [row for row in ready if row.student]
    identities = _identities(matched)
    table = [[*identities, "Full name", cell(settings.assignment), f"{cell(settings.assignment)} (Feedback)"]]
    if identities:
        for number, row in enumerate(matched):
            cells = (*(identity[number] for identity in identities.values()), row.student.name if row.student else "")
            table.append([*map(cell, cells), points(row, settings), cell(feedback(row))])
    return table


def _identities(matched: Sequence[GradebookRow]) -> dict[str, list[str]]:
    has_id_numbers = any(has_columns(row, "idnumber") for row in matched)
    students = [(row, row.student) for row in matched if row.student]
    columns = {
        "Email address": [student.email for _, student in students],
        "ID number": [column(row, "idnumber") if has_id_numbers else _own_id(student) for row, student in students],
        "Username": [column(row, "username") for row, _ in students],
    }
    return {heading: values for heading, values in columns.items() if _all_different(values)}


def _own_id(student: Student) -> str:
    """The id, unless the roster uses the email address as the id."""
    return "" if student.id == student.email else student.id


def _all_different(values: Sequence[str]) -> bool:
    return bool(values) and all(values) and len(set(values)) == len(values)


def _worksheet(ready: dict[str, GradebookRow], most_milli: int, settings: GradebookSettings) -> Table:
    table = [_headings(ready.values())]
    for identifier, row in ready.items():
        person = (row.student.name, row.student.email) if row.student else ("", "")
        modified = column(row, "lastmodifiedgrade").strip("-")  # Moodle writes a dash if never modified
        grade = [points(row, settings), points_text(most_milli)]
        table.append([*map(cell, (identifier, *person)), *grade, cell(modified), cell(feedback(row))])
    return table


def _headings(rows: Iterable[GradebookRow]) -> list[str]:
    """The headings in the language of the roster if it is a worksheet: Moodle expects the language of its user."""
    for row in rows:
        columns = row.student.columns if row.student else {}
        heading_of = {key_of(heading, value): heading for heading, value in columns.items()}
        if heading_of.keys() >= {"identifier", "grade", "lastmodifiedgrade"}:
            return [cell(heading_of.get(key, heading)) for key, heading in _WORKSHEET.items()]
    return list(_WORKSHEET.values())


def participant(row: GradebookRow) -> str:
    """Moodle's number of the participant; empty if unknown."""
    match = re.search(r"[0-9]+$", _identifier(row))
    return match[0] if match else ""


def _identifier(row: GradebookRow) -> str:
    """ "Participant 4002", from Moodle's worksheet or the name of the downloaded folder."""
    if _IDENTIFIER.fullmatch(identifier := column(row, "identifier")):
        return identifier
    downloaded = _DOWNLOADED.match(row.submission.shown) if row.submission else None
    return f"Participant {downloaded[1]}" if downloaded else ""
