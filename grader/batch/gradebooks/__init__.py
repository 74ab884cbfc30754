"""Everybody's points as the courses' systems take them in, one module a system; docs/gradebooks.md says which is what.

All files are UTF-8 without a byte order mark, with decimal points and line feeds; every text goes through `cell`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal, InvalidOperation

from grader.batch.class_records import GradebookRow, StudentState
from grader.batch.course_words import folded, key_of
from grader.batch.gradebooks import canvas, gradescope, moodle, nbgrader, plain
from grader.batch.gradebooks.entries import (
    GradebookOptions,
    GradebookSettings,
    extent_of,
    out_of,
    sort_key,
    with_points,
)
from grader.batch.roster import OUT_OF, Roster
from grader.records import Rubric
from grader.report.text import points_text

__all__ = ["GradebookOptions", "GradebookSettings", "Gradebooks", "gradebooks"]

SYSTEMS = (moodle, canvas, gradescope, nbgrader)


@dataclass(frozen=True)
class Gradebooks:
    """The files by name, and what a person should know of them, one line each."""

    files: dict[str, bytes]
    remarks: tuple[str, ...]


def gradebooks(rows: Sequence[GradebookRow], rubric: Rubric, settings: GradebookSettings) -> Gradebooks:
    """A file for each system, by name then id: the same bytes for the same rows, in whatever order they come.

    Each student has a row of their own, also of a team that handed in one notebook.
    Of a class that was not graded in full there is only the file for the staff, unless the settings say otherwise;
    the names of the others then say what they hold.
    """
    settings = replace(settings, assignment=settings.assignment or rubric.title)
    ordered = sorted((student_row for row in rows for student_row in row.each_student()), key=sort_key)
    zeros_held = _held_zeros(ordered, settings)
    settings = replace(settings, missing_is_zero=settings.missing_is_zero and not zeros_held)
    files = plain.files(ordered, rubric, settings)
    extent = extent_of(ordered)
    if extent and not settings.upload_partial:
        judged, most = points_text(out_of(ordered, rubric)), points_text(rubric.points_milli)
        why = "files for Canvas, Moodle and other systems were not written: this class was graded"
        why = f"{why} {_extent_words(extent)}, {judged} of {most} points; --upload-partial writes them all the same"
        return Gradebooks(files, (*zeros_held, why))
    for system in SYSTEMS:
        new_files = system.files(ordered, rubric, settings)
        files |= {_file_name(name, extent): content for name, content in new_files.items()}
    remarks = _remarks(ordered, rubric, settings)
    of_systems = (*moodle.remarks(ordered, settings), *canvas.remarks(ordered, settings))
    return Gradebooks(files, (*zeros_held, *remarks, *of_systems))


def other_points(roster: Roster, rubric: Rubric, settings: GradebookSettings) -> tuple[str, ...]:
    """What the course's system says that the exercise is out of, where that is not the rubric's points."""
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
                    f"the roster says that {heading!r} is out of {points}, the rubric is out of "
                    f"{points_text(rubric.points_milli)}: change one of them before any points are imported"
                )
    return tuple(remarks)


def _held_zeros(rows: Sequence[GradebookRow], settings: GradebookSettings) -> tuple[str, ...]:
    """Why missing submissions do not get a 0 yet; empty if they may.

    A submission that could not be matched may be that of a student who seems to have handed in nothing.
    """
    unmatched = sum(row.student is None for row in rows if row.state is not StudentState.MISSING)
    missing = sum(row.state is StudentState.MISSING for row in rows)
    if not (settings.missing_is_zero and unmatched and missing):
        return ()
    return (
        f"no student gets a 0 for a missing submission yet: {unmatched} submissions could not be matched with the "
        f"roster, and may be among the {missing} that seem to be missing",
    )


def _file_name(name: str, extent: str) -> str:
    """The file's name, which says what the file holds if that is not everything."""
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
            "without a roster nobody is known: the files for Moodle's grade import, Canvas and Gradescope have no rows"
        )
    elif strangers := len(rows) - len(matched):
        remarks.append(
            f"{strangers} of {len({row.key for row in rows})} submissions are nobody's on the roster; "
            "only gradebook.csv shows them all"
        )
    if without := len(matched) - len(ready):
        remarks.append(
            f"{without} of {len(matched)} students have no points, or not all of theirs were judged; they are left out "
            "for Moodle and Canvas, where an empty cell would clear what is there"
        )
    if others := sum(row.report.max_points_milli != rubric.points_milli for row in rows if row.report):
        remarks.append(
            f"{others} reports are out of other points than the rubric's; regrade before you import anything"
        )
    return remarks
