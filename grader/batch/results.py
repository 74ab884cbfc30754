"""Reads the rows of a class from its stored reports, and writes the files that are made from them."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from grader.batch.class_records import ClassSubmission, GradebookRow, StudentState
from grader.batch.gradebooks import gradebooks, has_rows
from grader.batch.late import NAME as LATE
from grader.batch.late import LatePolicy, read_policy, unknown_times, with_lateness
from grader.batch.manifest import Manifest, folders
from grader.batch.page import class_page
from grader.batch.released_points import mark_held, read_released
from grader.batch.similar import similar_work
from grader.batch.work import failed_try
from grader.errors import GraderError
from grader.exercise import Exercise
from grader.grading.overrides import OVERRIDES, Decisions, names_of, read_overrides, with_overrides
from grader.grading.run_files import STRIP
from grader.grading.run_pages import write_report
from grader.grading.stored_run import has_report, stored_report
from grader.records import GradeReport, Lateness, Rubric, Status
from grader.report.text import plain
from grader.store.bounded import Unreadable, file_bytes
from grader.store.files import sweep, write_changed

PAGE = "class.html"
MAX_STRIP = 500_000


@dataclass(frozen=True, slots=True)
class Ruling:
    """The decisions of staff on one submission: overrides and lateness."""

    decisions: Decisions | None = None
    late: Lateness | None = None

    def over(self, report: GradeReport) -> GradeReport:
        """The report with these decisions instead of earlier ones."""
        return with_lateness(with_overrides(report, self.decisions), self.late)


def read_rows(out: Path, manifest: Manifest) -> tuple[GradebookRow, ...]:
    """A row per submission, graded or not, and per student without one."""
    return tuple(each_row(out, manifest))


def each_row(out: Path, manifest: Manifest) -> Iterator[GradebookRow]:
    """The rows of `read_rows` as an iterator."""
    return mark_held(_as_graded(out, manifest), read_released(out))


def _as_graded(out: Path, manifest: Manifest) -> Iterator[GradebookRow]:
    for submission, folder in folders(out, manifest):
        yield _row(submission, folder)
    policy = policy_of(out, manifest)
    for student in manifest.missing:
        excused = policy is not None and policy.is_excused(student.id)
        reason = "no submission" + (", excused" if excused else "")
        yield GradebookRow(student.id, StudentState.MISSING, student, reason=reason, excused=excused)


def apply_rulings(out: Path, manifest: Manifest, rubric: Rubric, exercise: Exercise) -> None:
    """Applies the current `overrides.yaml` and `late.yaml` to every report, instead of earlier ones.

    Raises:
        GraderError: if one of the files is invalid; the message is one line.
    """
    rulings = rulings_of(out, manifest, rubric)
    for submission, folder in folders(out, manifest):
        if not has_report(folder):
            continue
        with contextlib.suppress(GraderError):  # an unreadable folder is reported with the rows
            report = stored_report(folder)
            ruled = rulings[submission.key].over(report)
            if ruled != report:
                write_report(folder, ruled, exercise, rubric)


def rulings_of(out: Path, manifest: Manifest, rubric: Rubric) -> dict[str, Ruling]:
    """The decisions of staff for each submission.

    Raises:
        GraderError: if a file is invalid; the message is one line.
    """
    decisions, policy = decisions_of(out, manifest, rubric), policy_of(out, manifest)
    return {
        submission.key: Ruling(decisions.get(submission.key), policy.lateness(submission) if policy else None)
        for submission in manifest.handed_in
    }


def decisions_of(out: Path, manifest: Manifest, rubric: Rubric) -> dict[str, Decisions]:
    """The overrides by submission.

    Raises:
        GraderError: if the file is invalid; the message is one line.
    """
    return read_overrides(out / OVERRIDES, rubric, names_of(_students(manifest)))


def policy_of(out: Path, manifest: Manifest) -> LatePolicy | None:
    """The class's late policy; None if it has none.

    Raises:
        GraderError: if the file is invalid; the message is one line.
    """
    missing = [student.id for student in manifest.missing]
    return read_policy(out / LATE, names_of(_students(manifest), missing))


def _students(manifest: Manifest) -> dict[str, list[str]]:
    return {submission.key: submission.names for submission in manifest.handed_in}


def write_results(
    out: Path, manifest: Manifest, rows: Sequence[GradebookRow], rubric: Rubric, exercise: Exercise
) -> tuple[str, ...]:
    """Writes the gradebooks and the page of the class; returns remarks on them for staff.

    A file with unchanged content is not touched; half-written files of a killed grader are removed.
    """
    sweep(out)
    assignment = manifest.gradebook.assignment or manifest.title
    books = gradebooks(rows, rubric, replace(manifest.gradebook, assignment=assignment))
    similar = similar_work(out, manifest, rubric, exercise)
    files = {name: has_rows(content) for name, content in books.files.items()}
    title = f"{out.resolve().name}: {assignment}"
    page = class_page(rows, rubric, title, similar, pictures(rows), files)
    for old in set(out.glob("gradebook*.csv")) - {out / name for name in books.files}:
        old.unlink()  # one that is no longer written would be out of date
    for name, content in {**books.files, PAGE: page.encode()}.items():
        write_changed(out / name, content)
    graded = [row.submission for row in rows if row.report is not None and row.submission]
    late = unknown_times(policy_of(out, manifest), graded)
    return (*books.remarks, *late, *_idle(decisions_of(out, manifest, rubric), rows))


def _idle(decisions: Collection[str], rows: Sequence[GradebookRow]) -> Iterator[str]:
    """Remarks on overrides without effect."""
    for row in rows:
        if row.report is None and row.key in decisions:
            yield (
                f"{OVERRIDES}: the override for {plain(row.key, 60)} has no effect, since this file cannot be graded; "
                "replace it by a notebook, or enter the points in the course system"
            )


def pictures(rows: Sequence[GradebookRow]) -> dict[str, bytes]:
    """The pictures drawn by each submission's models, one small image by key."""
    images = {}
    for row in rows:
        if row.folder is not None and row.report is not None:
            with contextlib.suppress(Unreadable):
                images[row.key] = file_bytes(row.folder / STRIP, MAX_STRIP)
    return images


def _row(submission: ClassSubmission, folder: Path) -> GradebookRow:
    def row(state: StudentState, reason: str = "", report: GradeReport | None = None) -> GradebookRow:
        return GradebookRow(
            submission.key, state, submission.student, submission, report, folder, reason, submission.team
        )

    is_graded = has_report(folder)
    failure = failed_try(folder)
    try:
        report = stored_report(folder) if is_graded else None
    except GraderError as error:
        return row(StudentState.FAILED, f"its run folder cannot be read ({str(error)[:300]}); grade it again")
    if report is not None and report.status is Status.BOX_ERROR:  # written by an older version of the grader
        return row(StudentState.FAILED, "; ".join(report.events[-1:]))
    if failure is not None and report is not None and failure.notebook == report.checksums.get("notebook"):
        return row(
            StudentState.LOOK,
            f"the latest run failed, so these points are from the run before: {failure.reason}",
            report,
        )
    if failure is not None:
        return row(failure.state, failure.reason)
    if report is None:
        return row(StudentState.WAITING, "not graded yet")
    return row(StudentState.LOOK if report.needs_person else StudentState.GRADED, report=report)
