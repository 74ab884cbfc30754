"""Runs on Gradescope for each submission: grades the notebook and writes `results.json` in every case.

If the grader itself fails, the file has a message and no score, so that a grader fault is never recorded as a zero.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import sys
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from grader.batch.students.discovery import alone
from grader.errors import GraderError, SubmissionError
from grader.gradescope.bundle import SETTINGS, Settings
from grader.gradescope.container_resources import TO_SET, other_points, resources_here, risks
from grader.report.text import plain, without_paths
from grader.rubric import load_rubric
from grader.store.bounded import Unreadable
from grader.store.files import write_atomically
from grader.store.json_files import dump_json, parse_json, read_json

OUR_FAULT = (
    "Your notebook could not be graded because of a problem on our side. This costs no points: the course staff will "
    "review it."
)
TOO_LONG = "Grading took longer than the platform allows. No points are lost: the course staff will review it."
NOTHING = "No points, because there is no notebook to grade. Submit the .ipynb file."
SHOWN = 300
LONGEST = 500  # characters of a line for staff
_Results = dict[str, Any]
_SETTINGS: TypeAdapter[Settings] = TypeAdapter(Settings)
_RESULTS: TypeAdapter[_Results] = TypeAdapter(_Results)


def main(arguments: list[str]) -> int:
    """Runs the command line `[--prepare] ROOT`; returns the exit code."""
    root = Path(arguments[-1])
    source = root / "source"
    settings = read_json(source / SETTINGS, _SETTINGS)
    rubric = source / settings.rubric
    if arguments[0] == "--prepare":
        course, exercise = load_rubric(rubric)
        exercise.prepare(lambda text: print(text, flush=True))
        _tell(resources_here(root).words, *TO_SET, *risks(resources_here(root), course.limits))
        return 0
    if settings.isolation == "user":
        close(root)
    path = root / "results" / "results.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    _write(path, _words(OUR_FAULT))  # remains if the platform ends the run
    receiver, sender = multiprocessing.Pipe(duplex=False)
    worker = multiprocessing.get_context("fork").Process(target=_grade, args=(root, rubric, settings, sender))
    worker.start()
    sender.close()
    results: _Results = _words(OUR_FAULT)
    try:
        results = receiver_json(receiver) if receiver.poll(settings.deadline_s) else _words(TOO_LONG)
    except (EOFError, Unreadable):
        print("the grading process ended early", file=sys.stderr)
    finally:
        _end(worker.pid)
        worker.join()
    _write(path, results)  # before anything else can fail
    remarks = _remarks(root, rubric)
    _tell(*remarks)
    results["extra_data"] = {**results.get("extra_data", {}), "for_staff": remarks}
    _write(path, results)
    return 0


def _remarks(root: Path, rubric: Path) -> list[str]:
    """Remarks for staff on the container and the assignment's settings."""
    try:
        course = load_rubric(rubric)[0]
    except (GraderError, Unreadable, OSError):
        return []  # the grading has reported it
    points = other_points(root / "submission_metadata.json", course.points_milli)
    return [*risks(resources_here(root), course.limits), *points]


def _tell(*remarks: str) -> None:
    """Prints remarks to the output, which the platform shows to staff only."""
    for remark in remarks:
        print(f"for staff: {plain(remark, LONGEST)}", flush=True)


def shown_when(results: _Results, visibility: str) -> _Results:
    """The results with the bundle's visibility, for the whole and for each test."""
    tests = [{**test, "visibility": visibility} for test in results.get("tests", ())]
    return {**results, "visibility": visibility, "tests": tests}


def close(root: Path) -> None:
    """Makes the submission's files readable for root only, as set-up did for the grader and the course.

    A box with another user then cannot read them, even if the platform's kernel has no Landlock.
    """
    (root / "run").mkdir(exist_ok=True)
    for name in ("run", "submission", "submission_metadata.json"):
        with contextlib.suppress(OSError):  # the file is missing, or this account may not change it
            path = root / name
            path.chmod(0o700 if path.is_dir() else 0o600)


def receiver_json(receiver: Connection) -> dict[str, Any]:
    """The worker's message as JSON; it is never unpickled."""
    return parse_json(receiver.recv_bytes(), _RESULTS)


def _grade(root: Path, rubric: Path, settings: Settings, sender: Connection) -> None:
    os.setsid()  # so that it and its boxes can be ended together
    sender.send_bytes(dump_json(_graded(root, rubric, settings)))
    sender.close()


def _graded(root: Path, rubric: Path, settings: Settings) -> dict[str, Any]:
    from grader.grading.grade import Options, grade

    rubric_as_read = load_rubric(rubric)[0]
    try:
        submission = alone(
            root / "submission",
            root / "run" / "unpacked",
            max_mb=rubric_as_read.limits.notebook_mb,
            usual=settings.template,
            template=rubric.parent / rubric_as_read.template,
        )
        if submission.refused:
            return _refused(f"{NOTHING} ({without_paths(plain(submission.refused, SHOWN))})")
        parts = () if settings.components_only else None
        options = Options(isolation=settings.isolation, remarks=submission.remarks, parts=parts)
        _, folder = grade(submission.path, rubric, root / "run" / "graded", options, _say)
        return shown_when(read_json(folder / "results.json", _RESULTS), settings.visibility)
    except SubmissionError as error:
        return _refused(f"The file cannot be graded: {without_paths(plain(str(error), SHOWN))}")
    except (GraderError, Unreadable, OSError) as error:
        print(f"not graded: {plain(str(error), 600)}", file=sys.stderr, flush=True)  # visible to staff
        return _words(OUR_FAULT)


def _refused(text: str) -> dict[str, Any]:
    """No points for a file that the student has to correct and submit again."""
    return {**_words(text), "score": 0}


def _words(text: str) -> dict[str, Any]:
    return {
        "output": text,
        "output_format": "text",
        "visibility": "visible",
        "stdout_visibility": "hidden",
        "extra_data": {"graded": False},
    }


def _write(path: Path, values: dict[str, Any]) -> None:
    write_atomically(path, dump_json(values))


def _say(text: str) -> None:
    print(plain(text, 120), file=sys.stderr, flush=True)


def _end(pid: int | None) -> None:
    if pid is not None:
        try:
            os.killpg(pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            return


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
