"""The files of a run's folder, and how a finished run replaces an earlier one: completely, or not at all.

A run is written into a temporary folder within its folder. When all of its files are on the disk, one rename turns that
folder into `READY`. From then on the new run counts: `finish_swap` moves its files into place, and continues where a
killed grader stopped. The earlier run is kept below `EARLIER` if the notebook has changed since, and replaced
otherwise. Files that the grader did not write, such as decisions of staff, stay where they are.
"""

from __future__ import annotations

import contextlib
import re
import secrets
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter

from grader.store.bounded import Unreadable
from grader.store.files import sweep
from grader.store.json_files import read_json, write_json

EVIDENCE = "evidence.safetensors"
RETRAININGS = "followed.json"  # part -> the items that were replaced; staff only
REPORT = "report.json"
FEEDBACK = "feedback.html"  # the page for the student
REPORTS = (REPORT, "report.html", "results.json", FEEDBACK, "feedback.txt")
EXECUTED = "executed.ipynb"
EXECUTION = "execution.json"  # how the run went: time, memory, device, each cell
NOTEBOOK_VIEW = "notebook.json"  # the executed notebook as its pages show it
FINDINGS = "findings.json"  # the findings, so that re-grading measures nothing again
FIGURES = "figures.json"  # the report's pictures, kept for the same reason
STRIP = "strip.webp"  # the same in one small image, for the page of a class
EVIDENCE_STAMPS = "evidence.json"  # the evidence files' checksums, and the files that they were taken of
FAILED_ATTEMPT = "ended.json"  # why the latest attempt left no report
PRUNED = "pruned.json"  # which evidence was removed to save space, and when
RUN_FILES = (
    EVIDENCE,
    *REPORTS,
    RETRAININGS,
    EXECUTED,
    EXECUTION,
    NOTEBOOK_VIEW,
    FINDINGS,
    FIGURES,
    STRIP,
    EVIDENCE_STAMPS,
    FAILED_ATTEMPT,
    PRUNED,
)
RETRAINING_EVIDENCE = "followed-*.safetensors"  # answers of a part that was trained again
EARLIER = "earlier"  # runs of other versions of the notebook, each in its own folder
READY = ".ready"  # a finished run whose files are being moved into place
_ASIDE = ".new-"  # a run that is being written
_LIST = "files.json"  # the files of a finished run, and where the run before it is moved
_MAX_LIST = 100_000


@dataclass(frozen=True)
class _FinishedRun:
    """The files of a finished run, and the name that the run before it is kept by; empty where it is replaced."""

    files: list[str]
    keep_as: str = ""


_FINISHED_RUN: TypeAdapter[_FinishedRun] = TypeAdapter(_FinishedRun)


@contextlib.contextmanager
def new_run_folder(folder: Path) -> Iterator[Path]:
    """A temporary folder within `folder` for a new run; it is removed at the end unless it was put in place.

    Temporary folders of killed runs are removed, too. The caller must hold the folder's lock.
    """
    folder.mkdir(parents=True, exist_ok=True)
    finish_swap(folder)
    sweep(folder)
    for leftover in folder.glob(f"{_ASIDE}{'[0-9a-f]' * 16}"):
        shutil.rmtree(leftover, ignore_errors=True)
    temporary = folder / f"{_ASIDE}{secrets.token_hex(8)}"
    temporary.mkdir()
    try:
        yield temporary
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def put_in_place(folder: Path, finished: Path, keep_as: str = "") -> None:
    """Makes the new run the folder's run; the run before it is removed, or kept below `EARLIER` as `keep_as`."""
    write_json(finished / _LIST, _FINISHED_RUN, _FinishedRun(sorted(path.name for path in finished.iterdir()), keep_as))
    finished.rename(folder / READY)
    finish_swap(folder)


def finish_swap(folder: Path) -> None:
    """Moves every file of a finished run into place; does nothing without a finished run.

    Each step may have been done before: the work of a killed grader is continued.
    """
    ready = folder / READY
    if not ready.is_dir() or ready.is_symlink():
        return
    try:
        finished_run = read_json(ready / _LIST, _FINISHED_RUN, _MAX_LIST)
        files, keep_as = set(finished_run.files), finished_run.keep_as
    except Unreadable:  # the list is removed last, so all files are in place
        shutil.rmtree(ready, ignore_errors=True)
        return
    if keep_as:
        _keep(folder, re.sub(r"[^A-Za-z0-9-]", "-", keep_as)[:80])
        write_json(ready / _LIST, _FINISHED_RUN, _FinishedRun(sorted(files)))
    for path in files_of_run(folder):
        if path.name not in files:
            path.unlink(missing_ok=True)
    # Only names of a run's files: the list may come from someone else's folder. The report comes last.
    for path in sorted(files_of_run(ready), key=lambda path: path.name == REPORT):
        path.replace(folder / path.name)
    shutil.rmtree(ready, ignore_errors=True)


def files_of_run(folder: Path) -> Iterator[Path]:
    """The files of a run that are in the folder."""
    for path in (*(folder / name for name in RUN_FILES), *folder.glob(RETRAINING_EVIDENCE)):
        if path.is_file() or path.is_symlink():
            yield path


def _keep(folder: Path, name: str) -> None:
    """Moves the folder's run below `EARLIER`; removes a link of that name first."""
    earlier = folder / EARLIER
    if earlier.is_symlink():
        earlier.unlink()
    place = earlier / name
    place.mkdir(parents=True, exist_ok=True)
    for path in files_of_run(folder):
        path.replace(place / path.name)
