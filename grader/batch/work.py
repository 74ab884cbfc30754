"""One submission of a class is graded into its folder, or brought up to date; the folder says what came of it.

Whoever calls it, a process on this machine or a task of a cluster, needs nothing back: `outcome` reads the same from
the folder. What has been graded alike before is not run again, and where only the judging would differ, only that
is done again.
"""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter

from grader.batch.class_records import Job, JobResult, StudentState
from grader.errors import GraderError, SubmissionError, one_line
from grader.exercise import Exercise
from grader.grading.cache_keys import run_key
from grader.grading.grade import OURS, Options, grade
from grader.grading.regrade import regrade
from grader.grading.run_files import ENDED, settle
from grader.grading.run_folder import stored_carried_forward, stored_report
from grader.grading.sound_parts import replacement_key, sound_source
from grader.notebook.restore import load_templates
from grader.records import GradeReport, Outcome, Rubric, Status
from grader.report.totals import judged_milli
from grader.rubric import load_rubric
from grader.store.bounded import Unreadable, file_bytes
from grader.store.json_files import read_json, write_json
from grader.store.versions import grader_checksum

MAX_ENDED = 100_000
MEMORY = ("out of memory", "mb of memory", "ended the process that runs it")  # what events say where it ran short
GPU_MEMORY = "cuda out of memory"  # PyTorch's own words


def work(job: Job) -> JobResult:
    """The job's folder holds a report made under its rubric, or why there is none; nothing is raised."""
    started = time.monotonic()
    try:
        report = _report(job)
    except SubmissionError as error:
        reason = str(error).removeprefix(f"{job.notebook}: ")  # whose it is, stands beside it
        return _without_report(job, StudentState.REFUSED, reason, started)
    except Exception as error:  # whatever it is: one bad submission must not stop the class
        message = str(error) if isinstance(error, GraderError) else f"{OURS}: {type(error).__name__}: {error}"
        return _without_report(job, StudentState.FAILED, message, started)
    (job.folder / ENDED).unlink(missing_ok=True)
    return _result(job.key, report, time.monotonic() - started)


def outcome(job: Job) -> JobResult | None:
    """What the job's folder says of its last run; None where it was never finished."""
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
    notebook: str = ""  # the SHA-256 of what was tried; empty where there was no such file


_FAILED: TypeAdapter[FailedTry] = TypeAdapter(FailedTry)


def failed_try(folder: Path) -> FailedTry | None:
    """What the folder says of its latest try; None where that left a report, or there was none."""
    try:
        return read_json(folder / ENDED, _FAILED, MAX_ENDED)
    except Unreadable:
        return None


def store_failed_try(folder: Path, failed: FailedTry) -> None:
    """The folder says why the latest try left no report; what an earlier run left stays.

    Raises:
        OSError: where it cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / ENDED, _FAILED, failed)


def is_current(job: Job) -> bool:
    """Whether the folder's report is the one that grading the job now would give."""
    settle(job.folder)
    return failed_try(job.folder) is None and _standing(job)[0] == "current"


def stands_for(job: Job) -> bool:
    """Whether the folder's run is the job's, and at most its judging is another version's."""
    return _standing(job)[0] != "run"


def _report(job: Job) -> GradeReport:
    standing, report = _standing(job)
    if standing == "current" and report is not None:
        return report
    if standing == "judge again":
        again = regrade(job.folder, job.rubric)
        if not any(item.outcome is Outcome.NEEDS_REVIEW and item.lost_in for item in again.items):
            return again  # else a second judging is due that was never run
    options = Options(job.seed, job.isolation, job.parts, job.remarks, replace=job.replace, held=True)
    return grade(job.notebook, job.rubric, job.folder, options, lambda _: None)[0]


def _standing(job: Job) -> tuple[str, GradeReport | None]:
    """How the folder's report stands to the job: "current", "judge again" or "run"."""
    try:
        report = stored_report(job.folder)
        rubric, exercise = load_rubric(job.rubric)
        templates = load_templates(job.rubric, rubric)
        key = run_key(rubric, exercise, templates, job.parts, job.isolation)
        same_sound = _same_sound_parts(job, rubric, exercise)
    except GraderError:
        return "run", None
    notebook = _checksum(job)
    checksums = report.checksums
    same_run = checksums.get("run") == key and checksums.get("notebook") == notebook and job.seed in {None, report.seed}
    if (
        not same_run
        or not same_sound
        or report.status is Status.BOX_ERROR
        or not set(job.remarks) <= set(report.remarks)
    ):
        return "run", None
    same_judging = checksums.get("rubric") == rubric.sha256 and checksums.get("grader") == grader_checksum()
    return ("current" if same_judging else "judge again"), report


def _same_sound_parts(job: Job, rubric: Rubric, exercise: Exercise) -> bool:
    """Whether what was trained once more had the sound parts that the reference has now.

    Raises:
        GraderError: where the reference, or what the folder says of it, cannot be read.
    """
    if not (followed := stored_carried_forward(job.folder)):
        return True
    asked = (exercise, rubric.interface.names, sound_source(job.rubric, rubric))
    return all(one.key == replacement_key(one.replacement.names, *asked) for one in followed.values())


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
        judged_milli(report.items),
        short_of_memory=_short_of_memory(report),
    )


def _short_of_memory(report: GradeReport) -> bool:
    """Whether the run may have ended for want of memory, which its neighbours may have taken."""
    events = " ".join(report.events).lower()
    by_event = report.status is not Status.OK and any(word in events for word in MEMORY)
    return by_event or GPU_MEMORY in repr(report.items).lower()  # an answer can fall short of it, too


def _without_report(job: Job, state: StudentState, reason: str, started: float) -> JobResult:
    """The folder says why this try left no report."""
    reason = one_line(reason, 600)
    try:
        store_failed_try(job.folder, FailedTry(state, reason, _checksum(job)))
    except OSError as error:
        state, reason = StudentState.FAILED, f"{reason}; and the folder cannot be written: {error.strerror or error}"
    return JobResult(job.key, state, reason, time.monotonic() - started)


def _checksum(job: Job) -> str:
    """The SHA-256 of the job's notebook; empty where it is larger than the rubric allows, or cannot be read."""
    try:
        limits = load_rubric(job.rubric)[0].limits
        return hashlib.sha256(file_bytes(job.notebook, int(limits.notebook_mb * 1_000_000))).hexdigest()
    except (Unreadable, GraderError):
        return ""
