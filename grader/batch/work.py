"""Grades one submission of a class into its folder, or brings the folder up to date.

The result is in the folder, where `stored_result` reads it, so a worker process or a cluster task needs to return
nothing. A run that is up to date is not repeated; if only the grading would differ, the stored evidence is re-graded.
"""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter

from grader.batch.class_records import Job, JobResult, StudentState
from grader.batch.loaded_rubric import LoadedRubric, load_once
from grader.errors import GraderError, SubmissionError, one_line
from grader.grading.correct_code import correct_code_key
from grader.grading.grade import OURS, Options, grade
from grader.grading.regrade import regrade
from grader.grading.run_files import FAILED_ATTEMPT, finish_swap
from grader.grading.stored_run import stored_report, stored_retrainings
from grader.records import GradeReport, Outcome, Status
from grader.report.totals import graded_milli
from grader.store.bounded import Unreadable, file_bytes
from grader.store.json_files import read_json, write_json
from grader.store.versions import grader_checksum

MAX_FAILED_ATTEMPT = 100_000
MEMORY = ("out of memory", "mb of memory", "ended the process that runs it")  # in events of runs that ran out of memory
GPU_MEMORY = "cuda out of memory"  # PyTorch's message


def work(job: Job) -> JobResult:
    """Grades the job: writes a report to its folder, or the reason why there is none. Never raises."""
    started = time.monotonic()
    try:
        report = _report(job)
    except SubmissionError as error:
        reason = str(error).removeprefix(f"{job.notebook}: ")  # the student is shown beside it
        return _without_report(job, StudentState.REFUSED, reason, started)
    except Exception as error:  # any error: one bad submission must not stop the class
        message = str(error) if isinstance(error, GraderError) else f"{OURS}: {type(error).__name__}: {error}"
        return _without_report(job, StudentState.FAILED, message, started)
    (job.folder / FAILED_ATTEMPT).unlink(missing_ok=True)
    return _result(job.key, report, time.monotonic() - started)


def stored_result(job: Job) -> JobResult | None:
    """The result of the job's last run, read from its folder; None if no run was finished."""
    if (failure := failed_try(job.folder)) is not None:
        return JobResult(job.key, failure.state, failure.reason)
    try:
        return _result(job.key, stored_report(job.folder), 0.0)
    except GraderError:
        return None


@dataclass(frozen=True, slots=True)
class FailedTry:
    """Why the latest try to grade a submission left no report."""

    state: StudentState  # REFUSED or FAILED
    reason: str
    notebook: str = ""  # the SHA-256 of the file that was tried; empty if there was none


_FAILED: TypeAdapter[FailedTry] = TypeAdapter(FailedTry)


def failed_try(folder: Path) -> FailedTry | None:
    """The failure of the latest try; None if it gave a report, or there was no try."""
    try:
        return read_json(folder / FAILED_ATTEMPT, _FAILED, MAX_FAILED_ATTEMPT)
    except Unreadable:
        return None


def store_failed_try(folder: Path, failed: FailedTry) -> None:
    """Stores why the latest try gave no report; an earlier report stays.

    Raises:
        OSError: if it cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / FAILED_ATTEMPT, _FAILED, failed)


def is_current(job: Job) -> bool:
    """Whether the folder's report is up to date for the job."""
    finish_swap(job.folder)
    return failed_try(job.folder) is None and _needed_work(job)[0] == "nothing"


def has_matching_run(job: Job) -> bool:
    """Whether the folder has the job's run, perhaps graded by another version of the rubric or the grader."""
    return _needed_work(job)[0] != "run"


def _report(job: Job) -> GradeReport:
    needed, report = _needed_work(job)
    if needed == "nothing" and report is not None:
        return report
    if needed == "regrade":
        again = regrade(job.folder, job.rubric)
        if not any(item.outcome is Outcome.NEEDS_REVIEW and item.lost_in for item in again.items):
            return again  # otherwise follow-through needs a training that was not run
    options = Options(job.seed, job.isolation, job.parts, job.remarks, replace=job.replace, locked_by_caller=True)
    return grade(job.notebook, job.rubric, job.folder, options, lambda _: None)[0]


def _needed_work(job: Job) -> tuple[str, GradeReport | None]:
    """What the job needs: nothing, re-grading ("regrade") or a run."""
    try:
        report = stored_report(job.folder)
        loaded = load_once(job.rubric)
        key = loaded.run_key(job.parts, job.isolation)
        same_correct_code = _same_correct_code(job, loaded)
    except GraderError:
        return "run", None
    notebook = _checksum(job)
    checksums = report.checksums
    same_run = checksums.get("run") == key and checksums.get("notebook") == notebook and job.seed in {None, report.seed}
    if (
        not same_run
        or not same_correct_code
        or report.status is Status.BOX_ERROR
        or not set(job.remarks) <= set(report.remarks)
    ):
        return "run", None
    is_up_to_date = checksums.get("rubric") == loaded.rubric.sha256 and checksums.get("grader") == grader_checksum()
    return ("nothing" if is_up_to_date else "regrade"), report


def _same_correct_code(job: Job, loaded: LoadedRubric) -> bool:
    """Whether the trainings for follow-through used the correct parts of the current reference.

    Raises:
        GraderError: if the reference, or the folder's record of it, cannot be read.
    """
    if not (retrainings := stored_retrainings(job.folder)):
        return True
    setting = (loaded.exercise, loaded.rubric.interface.names, loaded.reference_definitions)
    return all(one.key == correct_code_key(one.replacement.names, *setting) for one in retrainings.values())


def _result(key: str, report: GradeReport, seconds: float) -> JobResult:
    state = StudentState.LOOK if report.needs_person else StudentState.GRADED
    if report.status is Status.BOX_ERROR:
        state = StudentState.FAILED
    return JobResult(
        key,
        state,
        "; ".join(report.events[-1:]) if state is StudentState.FAILED else "",
        seconds,
        report.points_milli,
        graded_milli(report.items),
        short_of_memory=_short_of_memory(report),
    )


def _short_of_memory(report: GradeReport) -> bool:
    """Whether the run may have ended because other runs took the memory."""
    events = " ".join(report.events).lower()
    by_event = report.status is not Status.OK and any(word in events for word in MEMORY)
    return by_event or GPU_MEMORY in repr(report.items).lower()  # a single answer can run out of memory too


def _without_report(job: Job, state: StudentState, reason: str, started: float) -> JobResult:
    """Stores why this try gave no report."""
    reason = one_line(reason, 600)
    try:
        store_failed_try(job.folder, FailedTry(state, reason, _checksum(job)))
    except OSError as error:
        state, reason = StudentState.FAILED, f"{reason}; and the folder cannot be written: {error.strerror or error}"
    return JobResult(job.key, state, reason, time.monotonic() - started)


def _checksum(job: Job) -> str:
    """The SHA-256 of the job's notebook; empty if it is too large or cannot be read."""
    try:
        limits = load_once(job.rubric).rubric.limits
        return hashlib.sha256(file_bytes(job.notebook, int(limits.notebook_mb * 1_000_000))).hexdigest()
    except (Unreadable, GraderError):
        return ""
