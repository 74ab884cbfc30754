"""Re-grades a class from its stored evidence, after changed thresholds or points, or an override."""

from __future__ import annotations

import contextlib
import multiprocessing
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from grader.batch.class_records import GradebookRow, StudentState
from grader.batch.gradebooks import GradebookOptions
from grader.batch.history import HistoryEvent, append, begin, event_of, record
from grader.batch.loaded_rubric import load_once
from grader.batch.manifest import folders, read_manifest, write_manifest
from grader.batch.released_points import ReleasedPoints, WouldLower, falls, read_released, record_lowered
from grader.batch.results import Ruling, each_row, read_rows, rulings_of, write_results
from grader.errors import GraderError
from grader.exercise import Say
from grader.grading.folder_choice import refuse_other_rubric
from grader.grading.regrade import regraded_report
from grader.grading.run_files import REPORT
from grader.grading.run_pages import write_report
from grader.grading.stored_run import has_report, read_owner, stored_report, write_owner
from grader.records import Rubric
from grader.report.report_json import dump
from grader.report.text import plain
from grader.report.totals import counted_milli
from grader.rubric import load_rubric
from grader.sandbox.launch import signal_on_parent_death
from grader.store.files import locked

CHUNK = 8
AS_BEFORE = GradebookOptions()
EVERY_S = 2.0  # between two progress lines
Work = TypeVar("Work")
Result = TypeVar("Result")


@dataclass(frozen=True)
class RegradeResult:
    """The results of re-grading a class."""

    rows: tuple[GradebookRow, ...]
    events: tuple[HistoryEvent, ...]
    remarks: tuple[str, ...]
    failures: tuple[str, ...] = ()  # submissions that could not be re-graded, and why; they keep their points

    @property
    def all_sure(self) -> bool:
        """Whether every submission has points of this rubric and none needs manual review."""
        return not self.failures and all(row.state in {StudentState.GRADED, StudentState.MISSING} for row in self.rows)


def regrade_class(
    out: Path,
    rubric_path: Path | None,
    reason: str,
    jobs: int,
    say: Say,
    gradebook: GradebookOptions = AS_BEFORE,
    *,
    lower: bool = False,
) -> RegradeResult:
    """Re-grades every stored run under the current rubric and overrides, and rewrites the results.

    With `lower`, which needs a reason, points may fall below the released ones.

    Raises:
        GraderError: if the regrade cannot start: no class, an invalid rubric or override, or another running grader.
        WouldLower: if points would fall below the released ones, without `lower`.
    """
    if lower and not reason.strip():
        raise GraderError("--lower: expected a --reason, got none; add why released points may fall")
    manifest = read_manifest(out)
    path = rubric_path or manifest.rubric
    manifest = replace(manifest, rubric=path, gradebook=gradebook.over(manifest.gradebook))
    rubric, exercise = load_rubric(path)
    with locked(out):
        rulings = rulings_of(out, manifest, rubric)
        runs = {submission.key: path for submission, path in folders(out, manifest) if has_report(path)}
        _refuse_other_exercise(runs.values(), rubric, path)
        work = [_RunToRegrade(key, folder, path, rulings[key]) for key, folder in runs.items()]
        released = read_released(out)
        if released and not lower:
            _refuse_lower(out, [run for run in work if run.key in released], released, jobs, say)
        begin(out, each_row(out, manifest))
        write_manifest(out, manifest)
        say(f"{len(work)} to re-grade")
        results = regrade_each(_regrade_one, work, jobs, say)
        lowered_rows = [row for row in each_row(out, manifest) if row.held] if lower else []
        record_lowered(out, lowered_rows)
        rows = read_rows(out, manifest)
        events = record(out, rows, reason)
        recorded = {event.submission for event in events}
        lowerings = [event_of(row, "lowered", reason) for row in lowered_rows if row.key not in recorded]
        append(out, lowerings)
        events += lowerings
        say("writing the gradebooks and the class page")
        remarks = write_results(out, manifest, rows, rubric, exercise)
    return RegradeResult(rows, tuple(events), remarks, tuple(result.failure for result in results if result.failure))


@dataclass(frozen=True, slots=True)
class _RunToRegrade:
    """A run to re-grade; in a trial, only findings are stored, and its report is not changed."""

    key: str
    folder: Path
    rubric: Path
    ruling: Ruling
    trial: bool = False


@dataclass(frozen=True, slots=True)
class _Regraded:
    """The points before and after in thousandths, after the late penalty; or why it could not be re-graded."""

    key: str
    before_milli: int = 0
    after_milli: int = 0
    failure: str = ""


def _refuse_other_exercise(runs: Iterable[Path], rubric: Rubric, path: Path) -> None:
    """Checks that the rubric is for the exercise of the class's reports.

    Raises:
        GraderError: if it is for another exercise.
    """
    for folder in runs:
        with contextlib.suppress(GraderError):  # an unreadable folder is reported with the rows
            report = stored_report(folder)
            break
    else:
        return
    refuse_other_rubric(folder, report, rubric, path)


def _refuse_lower(
    out: Path, work: Sequence[_RunToRegrade], released: Mapping[str, ReleasedPoints], jobs: int, say: Say
) -> None:
    """Checks that no points would fall below the released ones.

    Raises:
        WouldLower: if some would.
    """
    say(f"{len(work)} were released: checking first that none would lose points")
    trials = [replace(run, trial=True) for run in work]
    results = [result for result in regrade_each(_regrade_one, trials, jobs, say) if not result.failure]
    before = {result.key: result.before_milli for result in results}
    if losses := falls(before, {result.key: result.after_milli for result in results}, released):
        raise WouldLower(out, losses)


def regrade_each(task: Callable[[Work], Result], work: Sequence[Work], jobs: int, say: Say) -> list[Result]:
    """The results of `task` for each piece of work, in order; in several processes if there is enough work."""
    if jobs == 1 or len(work) < 2 * CHUNK:
        return _counted(map(task, work), len(work), say)
    context = multiprocessing.get_context("fork")  # safe: no threads were started, and no large library is loaded
    with ProcessPoolExecutor(jobs, mp_context=context, initializer=signal_on_parent_death) as pool:
        return _counted(pool.map(task, work, chunksize=CHUNK), len(work), say)


def _counted(results: Iterable[Result], count: int, say: Say) -> list[Result]:
    """All results; reports progress while waiting for them."""
    counted, last = [], time.monotonic()
    for result in results:
        counted.append(result)
        if time.monotonic() - last > EVERY_S:
            last = time.monotonic()
            say(f"{len(counted)} of {count} re-graded")
    return counted


def _regrade_one(run: _RunToRegrade) -> _Regraded:
    try:
        loaded = load_once(run.rubric)
        rubric, exercise = loaded.rubric, loaded.exercise
        old = stored_report(run.folder)
        report = run.ruling.over(regraded_report(run.folder, old, rubric, exercise))
        if not run.trial and (owner := read_owner(run.folder)) is not None:
            write_owner(run.folder, Path(owner.of), run.rubric)
        if not run.trial and dump(report) != (run.folder / REPORT).read_bytes():
            write_report(run.folder, report, exercise, rubric)
    except (GraderError, OSError) as error:
        return _Regraded(run.key, failure=f"{plain(run.key, 60)}: not re-graded: {plain(str(error), 200)}")
    return _Regraded(run.key, counted_milli(old), counted_milli(report))
