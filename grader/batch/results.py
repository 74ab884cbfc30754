"""What a class's folder says: rows from stored reports, and everything that is made of them for people and systems."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from grader.batch.gradebooks import gradebooks
from grader.batch.manifest import Manifest, folders
from grader.batch.page import class_page
from grader.batch.records import HandedIn, Row, State
from grader.batch.similar import similar_work
from grader.batch.work import failed_try
from grader.bounded import Unreadable, file_bytes
from grader.errors import GraderError
from grader.exercise import Exercise
from grader.files import sweep, write_atomically
from grader.overrides import NAME as OVERRIDES
from grader.overrides import Decisions, names_of, read_overrides, with_overrides
from grader.records import GradeReport, Rubric, Status
from grader.run_files import WALL
from grader.run_folder import has_report, stored_report
from grader.run_pages import write_report

PAGE = "class.html"
MAX_WALL = 500_000


def read_rows(out: Path, manifest: Manifest) -> tuple[Row, ...]:
    """A row for everybody: who handed in, graded or not, and who did not."""
    return tuple(each_row(out, manifest))


def each_row(out: Path, manifest: Manifest) -> Iterator[Row]:
    """The same rows, one after the other."""
    for handed_in, folder in folders(out, manifest):
        yield _row(handed_in, folder)
    for student in manifest.missing:
        yield Row(student.id, State.MISSING, student, reason="nothing was handed in")


def apply_decisions(out: Path, manifest: Manifest, rubric: Rubric, exercise: Exercise) -> None:
    """Every report shows what `overrides.yaml` says now, and nothing that it said before.

    Raises:
        GraderError: where the file is wrong, in one line.
    """
    decisions = decisions_of(out, manifest, rubric)
    for handed_in, folder in folders(out, manifest):
        if not has_report(folder):
            continue
        with contextlib.suppress(GraderError):  # a folder that cannot be read is told with the rows
            report = stored_report(folder)
            decided = with_overrides(report, decisions.get(handed_in.key))
            if decided != report:
                write_report(folder, decided, exercise, rubric)


def decisions_of(out: Path, manifest: Manifest, rubric: Rubric) -> dict[str, Decisions]:
    """A person's decisions, by submission.

    Raises:
        GraderError: where the file is wrong, in one line.
    """
    students = {one.key: [student.id for student in one.students] for one in manifest.handed_in}
    return read_overrides(out / OVERRIDES, rubric, names_of(students))


def write_results(
    out: Path, manifest: Manifest, rows: Sequence[Row], rubric: Rubric, exercise: Exercise
) -> tuple[str, ...]:
    """The class's folder holds its gradebooks and its page; returns what a person should know of them.

    A file whose content would be the same is not touched; what a killed grader left half written is swept away.
    """
    sweep(out)
    assignment = manifest.gradebook.assignment or manifest.title
    books = gradebooks(rows, rubric, replace(manifest.gradebook, assignment=assignment))
    similar = similar_work(out, manifest, rubric, exercise)
    page = class_page(rows, rubric, manifest.title, similar, _pictures(rows))
    for old in set(out.glob("gradebook*.csv")) - {out / name for name in books.files}:
        old.unlink()  # a form that nobody could fill any more would be an older state's
    for name, content in {**books.files, PAGE: page.encode()}.items():
        path = out / name
        if not path.is_file() or path.read_bytes() != content:
            write_atomically(path, content)
    return books.remarks


def _pictures(rows: Sequence[Row]) -> dict[str, bytes]:
    found = {}
    for row in rows:
        if row.folder is not None and row.report is not None:
            with contextlib.suppress(Unreadable):
                found[row.key] = file_bytes(row.folder / WALL, MAX_WALL)
    return found


def _row(handed_in: HandedIn, folder: Path) -> Row:
    def row(state: State, reason: str = "", report: GradeReport | None = None) -> Row:
        return Row(handed_in.key, state, handed_in.student, handed_in, report, folder, reason, handed_in.team)

    there = has_report(folder)
    tried = failed_try(folder)
    try:
        report = stored_report(folder) if there else None
    except GraderError as error:
        return row(State.FAILED, f"its folder cannot be read ({str(error)[:300]}); grade it again")
    if report is not None and report.status is Status.BOX_ERROR:  # of a version that made reports of such runs
        return row(State.FAILED, "; ".join(report.events[-1:]))
    if tried is not None and report is not None and tried.notebook == report.checksums.get("notebook"):
        return row(State.LOOK, f"the latest run failed, so these points are of the run before: {tried.reason}", report)
    if tried is not None:
        return row(tried.state, tried.reason)
    if report is None:
        return row(State.WAITING, "not graded yet")
    return row(State.LOOK if report.needs_person else State.GRADED, report=report)
