"""What a class's folder says: rows from stored reports, and everything that is made of them for people and systems."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from grader.batch.class_records import ClassSubmission, GradebookRow, StudentState
from grader.batch.gradebooks import gradebooks
from grader.batch.late import NAME as LATE
from grader.batch.late import LatePolicy, read_policy, unknown_times, with_lateness
from grader.batch.manifest import Manifest, folders
from grader.batch.page import class_page
from grader.batch.released_points import mark_held, read_released
from grader.batch.similar import similar_work
from grader.batch.work import failed_try
from grader.errors import GraderError
from grader.exercise import Exercise
from grader.grading.overrides import NAME as OVERRIDES
from grader.grading.overrides import Decisions, names_of, read_overrides, with_overrides
from grader.grading.run_files import WALL
from grader.grading.run_folder import has_report, stored_report
from grader.grading.run_pages import write_report
from grader.records import GradeReport, Lateness, Rubric, Status
from grader.report.text import plain
from grader.store.bounded import Unreadable, file_bytes
from grader.store.files import sweep, write_atomically

PAGE = "class.html"
MAX_WALL = 500_000


@dataclass(frozen=True, slots=True)
class Ruling:
    """What persons say of one submission: their decisions, and when it was due."""

    decisions: Decisions | None = None
    late: Lateness | None = None

    def over(self, report: GradeReport) -> GradeReport:
        """The report under this, and nothing that was said before."""
        return with_lateness(with_overrides(report, self.decisions), self.late)


def read_rows(out: Path, manifest: Manifest) -> tuple[GradebookRow, ...]:
    """A row for everybody: who handed in, graded or not, and who did not."""
    return tuple(each_row(out, manifest))


def each_row(out: Path, manifest: Manifest) -> Iterator[GradebookRow]:
    """The same rows, one after the other."""
    return mark_held(_as_graded(out, manifest), read_released(out))


def _as_graded(out: Path, manifest: Manifest) -> Iterator[GradebookRow]:
    for handed_in, folder in folders(out, manifest):
        yield _row(handed_in, folder)
    policy = policy_of(out, manifest)
    for student in manifest.missing:
        excused = policy is not None and policy.is_excused(student.id)
        reason = "nothing was handed in" + (", which was excused" if excused else "")
        yield GradebookRow(student.id, StudentState.MISSING, student, reason=reason, excused=excused)


def apply_rulings(out: Path, manifest: Manifest, rubric: Rubric, exercise: Exercise) -> None:
    """Every report shows what `overrides.yaml` and `late.yaml` say now, and nothing that they said before.

    Raises:
        GraderError: where one of the files is wrong, in one line.
    """
    rulings = rulings_of(out, manifest, rubric)
    for handed_in, folder in folders(out, manifest):
        if not has_report(folder):
            continue
        with contextlib.suppress(GraderError):  # a folder that cannot be read is told with the rows
            report = stored_report(folder)
            ruled = rulings[handed_in.key].over(report)
            if ruled != report:
                write_report(folder, ruled, exercise, rubric)


def rulings_of(out: Path, manifest: Manifest, rubric: Rubric) -> dict[str, Ruling]:
    """What persons say of each submission.

    Raises:
        GraderError: where a file is wrong, in one line.
    """
    decisions, policy = decisions_of(out, manifest, rubric), policy_of(out, manifest)
    return {
        submission.key: Ruling(decisions.get(submission.key), policy.lateness(submission) if policy else None)
        for submission in manifest.handed_in
    }


def decisions_of(out: Path, manifest: Manifest, rubric: Rubric) -> dict[str, Decisions]:
    """A person's decisions, by submission.

    Raises:
        GraderError: where the file is wrong, in one line.
    """
    return read_overrides(out / OVERRIDES, rubric, names_of(_students(manifest)))


def policy_of(out: Path, manifest: Manifest) -> LatePolicy | None:
    """The class's deadline and all that belongs to it; None where it has none.

    Raises:
        GraderError: where the file is wrong, in one line.
    """
    missing = [student.id for student in manifest.missing]
    return read_policy(out / LATE, names_of(_students(manifest), missing))


def _students(manifest: Manifest) -> dict[str, list[str]]:
    return {submission.key: submission.names for submission in manifest.handed_in}


def write_results(
    out: Path, manifest: Manifest, rows: Sequence[GradebookRow], rubric: Rubric, exercise: Exercise
) -> tuple[str, ...]:
    """The class's folder holds its gradebooks and its page; returns what a person should know of them.

    A file whose content would be the same is not touched; what a killed grader left half written is swept away.
    """
    sweep(out)
    assignment = manifest.gradebook.assignment or manifest.title
    books = gradebooks(rows, rubric, replace(manifest.gradebook, assignment=assignment))
    similar = similar_work(out, manifest, rubric, exercise)
    title = f"{out.resolve().name}: {assignment}"
    page = class_page(rows, rubric, title, similar, pictures(rows), tuple(books.files))
    for old in set(out.glob("gradebook*.csv")) - {out / name for name in books.files}:
        old.unlink()  # a form that nobody could fill any more would be an older state's
    for name, content in {**books.files, PAGE: page.encode()}.items():
        path = out / name
        if not path.is_file() or path.read_bytes() != content:
            write_atomically(path, content)
    graded = [row.handed_in for row in rows if row.report is not None and row.handed_in]
    late = unknown_times(policy_of(out, manifest), graded)
    return (*books.remarks, *late, *_idle(decisions_of(out, manifest, rubric), rows))


def _idle(decisions: Collection[str], rows: Sequence[GradebookRow]) -> Iterator[str]:
    """Decisions that decide nothing."""
    for row in rows:
        if row.report is None and row.key in decisions:
            yield (
                f"{OVERRIDES}: the decision for {plain(row.key, 60)} does nothing: a file that cannot be graded has no "
                "items; put a notebook that can be graded in its place, or give the points in the course's system"
            )


def pictures(rows: Sequence[GradebookRow]) -> dict[str, bytes]:
    """What each submission's models draw, a small image by key."""
    images = {}
    for row in rows:
        if row.folder is not None and row.report is not None:
            with contextlib.suppress(Unreadable):
                images[row.key] = file_bytes(row.folder / WALL, MAX_WALL)
    return images


def _row(handed_in: ClassSubmission, folder: Path) -> GradebookRow:
    def row(state: StudentState, reason: str = "", report: GradeReport | None = None) -> GradebookRow:
        return GradebookRow(handed_in.key, state, handed_in.student, handed_in, report, folder, reason, handed_in.team)

    is_graded = has_report(folder)
    failure = failed_try(folder)
    try:
        report = stored_report(folder) if is_graded else None
    except GraderError as error:
        return row(StudentState.FAILED, f"its folder cannot be read ({str(error)[:300]}); grade it again")
    if report is not None and report.status is Status.BOX_ERROR:  # of a version that made reports of such runs
        return row(StudentState.FAILED, "; ".join(report.events[-1:]))
    if failure is not None and report is not None and failure.notebook == report.checksums.get("notebook"):
        return row(
            StudentState.LOOK, f"the latest run failed, so these points are of the run before: {failure.reason}", report
        )
    if failure is not None:
        return row(failure.state, failure.reason)
    if report is None:
        return row(StudentState.WAITING, "not graded yet")
    return row(StudentState.LOOK if report.needs_person else StudentState.GRADED, report=report)
