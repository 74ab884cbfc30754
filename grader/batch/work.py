"""One submission of a class is graded into its folder, or brought up to date; the folder says what came of it.

Whoever calls it, a process on this machine or a task of a cluster, needs nothing back: `outcome` reads the same from
the folder. What has been graded alike before is not run again, and where only the judging would differ, only that
is done again.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from pathlib import Path

from grader.batch.records import Ended, Job, State
from grader.bounded import Unreadable, file_bytes, json_value
from grader.errors import GraderError, SubmissionError
from grader.files import write_atomically
from grader.fingerprint import run_checksum
from grader.notebook.format import load_notebook, one_line
from grader.pipeline import Options, grade, regrade
from grader.records import GradeReport, Outcome, Status
from grader.report.report_json import dump_json
from grader.rubric import load_rubric
from grader.run_folder import REPORT, stored_report
from grader.versions import grader_checksum

ENDED = "ended.json"  # why there is no report; beside a report it would be an older run's
MAX_ENDED = 100_000
MEMORY = ("out of memory", "mb of memory", "ended the process that runs it")  # what events say where it ran short
GPU_MEMORY = "cuda out of memory"  # PyTorch's own words
Say = Callable[[str], None]


def work(job: Job, say: Say = lambda _: None) -> Ended:
    """The job's folder holds a report made under its rubric, or why there is none; nothing is raised."""
    started = time.monotonic()
    try:
        report = _graded(job, say)
    except SubmissionError as error:
        reason = str(error).removeprefix(f"{job.notebook}: ")  # whose it is, stands beside it
        return _without_report(job, State.REFUSED, reason, started)
    except Exception as error:  # whatever it is: one bad submission must not stop the class
        told = str(error) if isinstance(error, GraderError) else f"{type(error).__name__}: {error}"
        return _without_report(job, State.FAILED, told, started)
    (job.folder / ENDED).unlink(missing_ok=True)
    return _ended(job.key, report, time.monotonic() - started)


def outcome(job: Job) -> Ended | None:
    """What the job's folder says of its last run; None where it was never finished."""
    try:
        if (job.folder / REPORT).exists():
            return _ended(job.key, stored_report(job.folder), 0.0)
        told = json_value(file_bytes(job.folder / ENDED, MAX_ENDED), most_values=100)
        return Ended(job.key, State(told["state"]), str(told["reason"])[:1000])
    except (GraderError, Unreadable, KeyError, TypeError, ValueError):
        return None


def is_current(job: Job) -> bool:
    """Whether the folder's report is the one that grading the job now would give."""
    return _standing(job)[0] == "current"


def _graded(job: Job, say: Say) -> GradeReport:
    standing, report = _standing(job)
    if standing == "current" and report is not None:
        return report
    if standing == "judge again":
        again = regrade(job.folder, job.rubric)
        if not any(item.outcome is Outcome.NEEDS_REVIEW and item.lost_in for item in again.items):
            return again  # else a second judging is due that was never run
    options = Options(seed=job.seed, isolation=job.isolation, parts=job.parts, remarks=job.remarks)
    return grade(job.notebook, job.rubric, job.folder, options, say)[0]


def _standing(job: Job) -> tuple[str, GradeReport | None]:
    """How the folder's report stands to the job: "current", "judge again" or "run"."""
    try:
        report = stored_report(job.folder)
        rubric, exercise = load_rubric(job.rubric)
        template = load_notebook(job.rubric.parent / rubric.template)
        wanted = run_checksum(rubric, exercise, template, job.parts, job.isolation)
        notebook = hashlib.sha256(file_bytes(job.notebook, int(rubric.limits.notebook_mb * 1_000_000))).hexdigest()
    except (GraderError, Unreadable):
        return "run", None
    kept = report.checksums
    same_run = kept.get("run") == wanted and kept.get("notebook") == notebook and job.seed in {None, report.seed}
    if not same_run or report.status is Status.BOX_ERROR or not set(job.remarks) <= set(report.remarks):
        return "run", None
    same_judging = kept.get("rubric") == rubric.sha256 and kept.get("grader") == grader_checksum()
    return ("current" if same_judging else "judge again"), report


def _ended(key: str, report: GradeReport, seconds: float) -> Ended:
    state = State.LOOK if report.needs_person else State.GRADED
    if report.status is Status.BOX_ERROR:
        state = State.FAILED
    return Ended(
        key,
        state,
        "; ".join(report.events[-1:]) if state is State.FAILED else "",
        seconds,
        report.points_milli,
        report.max_points_milli,
        short_of_memory=_short_of_memory(report),
    )


def _short_of_memory(report: GradeReport) -> bool:
    """Whether the run may have ended for want of memory, which its neighbours may have taken."""
    events = " ".join(report.events).lower()
    by_event = report.status is not Status.OK and any(word in events for word in MEMORY)
    return by_event or GPU_MEMORY in repr(report.items).lower()  # an answer can fall short of it, too


def _without_report(job: Job, state: State, reason: str, started: float) -> Ended:
    """The folder says why there is no report; an older one's points would be another notebook's."""
    reason = one_line(reason, 600)
    try:
        job.folder.mkdir(parents=True, exist_ok=True)
        (job.folder / REPORT).unlink(missing_ok=True)
        write_atomically(job.folder / ENDED, dump_json({"state": str(state), "reason": reason}))
    except OSError as error:
        state, reason = State.FAILED, f"{reason}; and the folder cannot be written: {error.strerror or error}"
    return Ended(job.key, state, reason, time.monotonic() - started)


def folder_of(out: Path, key: str) -> Path:
    """Where a submission's run is kept."""
    return out / "submissions" / key
