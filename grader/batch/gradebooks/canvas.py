"""`gradebook-canvas.csv`: for the import of Canvas's gradebook.

The Instructor Guide ("How do I import grades in the Gradebook?", https://community.canvaslms.com) asks for the
columns of its export: `Student`, `ID`, `SIS User ID`, `SIS Login ID`, `Section`, then assignments as "Name (id)", and a
second row `Points Possible`. Canvas looks a student up by ID, SIS user id, login and name, in this order
(https://github.com/instructure/canvas-lms, lib/gradebook_importer.rb). A byte order mark is an option of its export,
off by default, and the import needs none.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from grader.batch.class_records import GradebookRow
from grader.batch.gradebooks.entries import (
    GradebookSettings,
    column,
    csv_file,
    has_columns,
    out_of,
    points,
    with_points,
)
from grader.batch.students.course_words import folded
from grader.batch.students.layouts import canvas_file
from grader.records import Rubric
from grader.report.text import cell, points_text

NAME = "gradebook-canvas.csv"
POSSIBLE = "    Points Possible"  # begins the row of maximum points, below the headings
HEADS = ["Student", "ID", "SIS User ID", "SIS Login ID", "Section"]
_ASSIGNMENT = re.compile(r"(?P<name>.*) \((?P<id>[0-9]+)\)")


def files(rows: Sequence[GradebookRow], rubric: Rubric, settings: GradebookSettings) -> dict[str, bytes]:
    """One row per student with points, with Canvas's own ids if the roster is its export."""
    assignment = _assignment(rows, settings)
    heading = f"{settings.assignment} ({assignment})" if assignment else settings.assignment
    table = [[*HEADS, cell(heading)], [POSSIBLE, "", "", "", "", points_text(out_of(rows, rubric))]]
    for row in with_points(rows, settings):
        if row.student is not None:
            name = column(row, "student") if _of_canvas(row) else ""
            cells = (name or row.student.name, _id(row), *_sis(row), column(row, "section"))
            table.append([*map(cell, cells), points(row, settings)])
    return {NAME: csv_file(table)}


def remarks(rows: Sequence[GradebookRow], settings: GradebookSettings) -> tuple[str, ...]:
    """Remarks on ids of Canvas that are unknown."""
    students = [row for row in with_points(rows, settings) if row.student]
    without = sum(not _id(row) for row in students)
    if not settings.canvas_assignment_id and not any(_of_canvas(row) or _from_canvas(row) for row in students):
        return ()  # a course that does not use Canvas
    if without:
        return (
            f"{NAME} lacks Canvas's own ids for {without} of {len(students)} students; "
            "use Canvas's exported gradebook as the roster to add them",
        )
    if students and not _assignment(rows, settings):
        return (
            f"{NAME}: the roster has no assignment of this name; "
            "before the import, rename the last column as in Canvas's export: Name (id)",
        )
    return ()


def _from_canvas(row: GradebookRow) -> bool:
    """Whether the submission was downloaded from Canvas."""
    return row.submission is not None and bool(canvas_file(row.submission.shown.partition(": ")[0].rpartition("/")[2]))


def _of_canvas(row: GradebookRow) -> bool:
    return has_columns(row, "id", "sisloginid", "section")


def _id(row: GradebookRow) -> str:
    number = column(row, "id") if _of_canvas(row) else ""
    return number if re.fullmatch(r"[0-9]+", number) else ""


def _sis(row: GradebookRow) -> tuple[str, str]:
    if _of_canvas(row) or row.student is None:
        return column(row, "sisuserid"), column(row, "sisloginid")
    return column(row, "sisuserid") or row.student.id, column(row, "sisloginid", "username", "login")


def _assignment(rows: Sequence[GradebookRow], settings: GradebookSettings) -> str:
    """Canvas's id of the assignment: from the settings, else from the only roster column with its name."""
    if settings.canvas_assignment_id:
        return settings.canvas_assignment_id
    exported = next((row.student.columns for row in rows if row.student and _of_canvas(row)), {})
    numbers = [number for heading in exported if (number := assignment_id(heading, settings.assignment))]
    return numbers[0] if len(numbers) == 1 else ""


def assignment_id(heading: str, name: str) -> str:
    """Canvas's id of the assignment of this column; empty if the column belongs to another assignment or none."""
    match = _ASSIGNMENT.fullmatch(heading)
    return match["id"] if match and folded(match["name"]) == folded(name) else ""
