"""The points of a class in the formats of course systems, one module per system; see docs/gradebooks.md.

All files are UTF-8 without a byte order mark, with decimal points and line feeds; every text goes through `cell`.
"""

from __future__ import annotations

import contextlib
import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal, InvalidOperation

from grader.batch.class_records import GradebookRow, StudentState
from grader.batch.gradebooks import canvas, gradescope, moodle, nbgrader, plain
from grader.batch.gradebooks.entries import (
    GradebookOptions,
    GradebookSettings,
    extent_of,
    out_of,
    sort_key,
    with_points,
)
from grader.batch.students.course_words import folded, key_of
from grader.batch.students.roster import OUT_OF, Roster
from grader.records import Rubric
from grader.report.text import points_text

__all__ = ["GradebookOptions", "GradebookSettings", "Gradebooks", "gradebooks", "has_rows"]

SYSTEMS = (moodle, canvas, gradescope, nbgrader)
FOR_SCRIPTS = (gradescope, nbgrader)  # their systems do not import points


@dataclass(frozen=True)
class Gradebooks:
    """The files by name, and remarks on them for staff, one line each."""

    files: dict[str, bytes]
    remarks: tuple[str, ...]


def gradebooks(rows: Sequence[GradebookRow], rubric: Rubric, settings: GradebookSettings) -> Gradebooks:
    """The files for each system, sorted by last name; the same rows in any order give the same bytes.

    Each student has a row, including each member of a team. A class that was not graded in full has only the file for
    staff, unless the settings say otherwise; the names of the other files then say what was graded.
    """
    settings = replace(settings, assignment=settings.assignment or rubric.title)
    ordered = sorted((student_row for row in rows for student_row in row.each_student()), key=sort_key)
    zeros_held = _held_zeros(ordered, settings)
    settings = replace(settings, missing_is_zero=settings.missing_is_zero and not zeros_held)
    files = plain.files(ordered, rubric, settings)
    extent = extent_of(ordered)
    if extent and not settings.upload_partial:
        graded, most = points_text(out_of(ordered, rubric)), points_text(rubric.points_milli)
        why = "files for Canvas, Moodle and other systems were not written: this class was graded"
        why = f"{why} {_extent_words(extent)}, {graded} of {most} points; --upload-partial writes them anyway"
        return Gradebooks(files, (*zeros_held, why))
    for system in SYSTEMS:
        new_files = system.files(ordered, rubric, settings)
        files |= {_file_name(name, extent): content for name, content in new_files.items()}
    remarks = _remarks(ordered, rubric, settings)
    of_systems = (*moodle.remarks(ordered, settings), *canvas.remarks(ordered, settings))
    return Gradebooks(files, (*zeros_held, *remarks, *of_systems))


def has_rows(content: bytes) -> bool:
    """Whether a gradebook has the row of at least one student, below its headings."""
    rows = list(csv.reader(io.StringIO(content.decode("utf-8"))))[1:]
    return any(row[:1] != [canvas.POSSIBLE] for row in rows)


def other_points(roster: Roster, rubric: Rubric, settings: GradebookSettings) -> tuple[str, ...]:
    """Remarks on maximum points in the roster that differ from the rubric's."""
    name = settings.assignment or rubric.title
    remarks = []
    for heading, points in roster.out_of.items():
        mine = key_of(heading) in OUT_OF or folded(heading) == folded(name)
        of_canvas = settings.canvas_assignment_id and heading.endswith(f" ({settings.canvas_assignment_id})")
        if not (mine or of_canvas or canvas.assignment_id(heading, name)):
            continue
        with contextlib.suppress(InvalidOperation):
            if Decimal(points.replace(",", ".")) * 1000 != rubric.points_milli:
                remarks.append(
                    f"the maximum of {heading!r} is {points} points in the roster, but "
                    f"{points_text(rubric.points_milli)} in the rubric: change one of them before you import points"
                )
    return tuple(remarks)


def _held_zeros(rows: Sequence[GradebookRow], settings: GradebookSettings) -> tuple[str, ...]:
    """Why missing submissions do not get a 0 yet; empty if they may.

    An unmatched submission may belong to a student who seems to have none.
    """
    unmatched = sum(row.student is None for row in rows if row.state is not StudentState.MISSING)
    missing = sum(row.state is StudentState.MISSING for row in rows)
    if not (settings.missing_is_zero and unmatched and missing):
        return ()
    return (
        f"missing submissions do not count as 0 yet: {unmatched} submissions match no student on the roster, and may "
        f"belong to the {missing} students who seem to have none",
    )


def _file_name(name: str, extent: str) -> str:
    """The file's name, with the extent of the grading if that was not full."""
    stem, dot, suffix = name.rpartition(".")
    return f"{stem}-{extent}{dot}{suffix}" if extent else name


def _extent_words(extent: str) -> str:
    """The extent in words: "for components only", "for vae only"."""
    what = extent.removesuffix("-only").replace("-", " and ")
    return f"for {what} only"


def _remarks(rows: Sequence[GradebookRow], rubric: Rubric, settings: GradebookSettings) -> list[str]:
    matched = [row for row in rows if row.student]
    ready = with_points(matched, settings)
    remarks = []
    if not matched:
        remarks.append(
            "no roster given, so gradebook-moodle.csv, -canvas.csv and -gradescope.csv have no students; add --roster"
        )
    elif strangers := len(rows) - len(matched):
        remarks.append(
            f"{strangers} of {len({row.key for row in rows})} submissions match no student on the roster; "
            "they are only in gradebook.csv"
        )
    if without := len(matched) - len(ready):
        remarks.append(
            f"{without} of {len(matched)} students have no points yet, or not all; they are left out of the Moodle and "
            "Canvas files, where an empty cell would delete an existing grade"
        )
    if others := sum(row.report.max_points_milli != rubric.points_milli for row in rows if row.report):
        remarks.append(f"{others} reports have other maximum points than the rubric; regrade before you import points")
    return remarks
