"""Everybody's points as the courses' systems take them in, one module a system; docs/gradebooks.md says which is what.

All files are UTF-8 without a byte order mark, with decimal points and line feeds; every text goes through `cell`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from grader.batch.gradebooks import canvas, gradescope, moodle, nbgrader, plain
from grader.batch.gradebooks.entries import GradebookSettings, GradebookWishes, with_points
from grader.batch.records import Row
from grader.records import Rubric

__all__ = ["GradebookSettings", "GradebookWishes", "Gradebooks", "gradebooks"]

SYSTEMS = (plain, moodle, canvas, gradescope, nbgrader)


@dataclass(frozen=True)
class Gradebooks:
    """The files by name, and what a person should know of them, one line each."""

    files: dict[str, bytes]
    remarks: tuple[str, ...]


def gradebooks(rows: Sequence[Row], rubric: Rubric, settings: GradebookSettings) -> Gradebooks:
    """A file for each system, by name then id: the same bytes for the same rows, in whatever order they come."""
    settings = replace(settings, assignment=settings.assignment or rubric.title)
    ordered = sorted(rows, key=_by_name)
    files: dict[str, bytes] = {}
    for system in SYSTEMS:
        files |= system.files(ordered, rubric, settings)
    return Gradebooks(files, (*_remarks(ordered, rubric, settings), *_of_systems(ordered, settings)))


def _by_name(row: Row) -> tuple[str, str, str]:
    name = row.student.name.casefold() if row.student else ""
    return name or row.key.casefold(), row.student.id if row.student else "", row.key


def _remarks(rows: Sequence[Row], rubric: Rubric, settings: GradebookSettings) -> list[str]:
    known = [row for row in rows if row.student]
    ready = with_points(known, settings)
    found = []
    if not known:
        found.append(
            "without a roster nobody is known: the files for Moodle's grade import, Canvas and Gradescope have no rows"
        )
    elif strangers := len(rows) - len(known):
        found.append(
            f"{strangers} of {len(rows)} submissions are nobody's on the roster; only gradebook.csv shows them all"
        )
    if without := len(known) - len(ready):
        found.append(
            f"{without} of {len(known)} students have no points; they are left out for Moodle and Canvas, "
            "where an empty cell would clear what is there"
        )
    if others := sum(row.report.max_points_milli != rubric.points_milli for row in rows if row.report):
        found.append(f"{others} reports are out of other points than the rubric's; regrade before you import anything")
    return found


def _of_systems(rows: Sequence[Row], settings: GradebookSettings) -> tuple[str, ...]:
    return (*moodle.remarks(rows, settings), *canvas.remarks(rows, settings))
