"""The files of a run's folder, and how a finished run takes the place of an earlier one: whole, or not at all.

A run is written aside, into a folder of its own within its folder. When the last file of it is on the disk, one rename
makes it `READY`; from then on it counts, and whoever looks next finishes what a killed grader has begun (`settle`).
A run of another notebook's text is kept below `EARLIER`; one of the same text is replaced. What the grader did not
write, such as a person's decisions, stays where it is.
"""

from __future__ import annotations

import contextlib
import json
import re
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

from grader.bounded import Unreadable, file_bytes, json_value
from grader.files import sweep, write_atomically

EVIDENCE = "evidence.safetensors"
FOLLOWED = "followed.json"  # part -> the items that were replaced; staff only
REPORT = "report.json"
REPORTS = (REPORT, "report.html", "results.json", "feedback.html", "feedback.txt")
EXECUTED = "executed.ipynb"
EXECUTION = "execution.json"  # how the run went: time, memory, device, each cell
NOTEBOOK = "notebook.json"  # the executed notebook as its pages show it
JUDGED = "judged.json"  # what the checks found, so that judging again measures nothing again
FIGURES = "figures.json"  # the report's pictures, likewise
WALL = "wall.webp"  # the same in one small image, for the page of a class
SEEN = "evidence.json"  # the evidence files' checksums, and the files that they were taken of
ENDED = "ended.json"  # why the latest try left no report
WRITTEN = (EVIDENCE, *REPORTS, FOLLOWED, EXECUTED, EXECUTION, NOTEBOOK, JUDGED, FIGURES, WALL, SEEN, ENDED)
SECOND = "followed-*.safetensors"  # what a part answered when it was trained once more
EARLIER = "earlier"  # runs of other texts of the notebook, each in a folder of its own
READY = ".ready"  # a finished run on its way into its place
_ASIDE = ".new-"  # a run that is being written
_LIST = "files.json"  # what a finished run consists of, and where the run before it goes
_MAX_LIST = 100_000


@contextlib.contextmanager
def aside(folder: Path) -> Iterator[Path]:
    """A fresh folder within `folder` for a run to be written into; gone at the end if it was not put in place.

    What killed runs left there is gone, too. Only for a caller that holds the folder.
    """
    folder.mkdir(parents=True, exist_ok=True)
    settle(folder)
    sweep(folder)
    for left in folder.glob(f"{_ASIDE}{'[0-9a-f]' * 16}"):
        shutil.rmtree(left, ignore_errors=True)
    made = folder / f"{_ASIDE}{secrets.token_hex(8)}"
    made.mkdir()
    try:
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)


def put_in_place(folder: Path, finished: Path, keep_as: str = "") -> None:
    """The run written aside is the folder's run; the one before it is gone, or kept below `EARLIER` as `keep_as`."""
    moved = {"files": sorted(path.name for path in finished.iterdir()), "keep_as": keep_as}
    write_atomically(finished / _LIST, json.dumps(moved).encode())
    finished.rename(folder / READY)
    settle(folder)


def settle(folder: Path) -> None:
    """No finished run of the folder is on its way any more; where none is, nothing happens.

    Each step may have been done before: a grader that was killed on the way is taken up where it stopped.
    """
    ready = folder / READY
    if not ready.is_dir() or ready.is_symlink():
        return
    try:
        moved = json_value(file_bytes(ready / _LIST, _MAX_LIST), most_values=_MAX_LIST)
        files, keep_as = set(moved["files"]), str(moved["keep_as"])
    except (Unreadable, KeyError, TypeError):  # its list is removed last: all of it is in place
        shutil.rmtree(ready, ignore_errors=True)
        return
    if keep_as:
        _keep(folder, re.sub(r"[^A-Za-z0-9-]", "-", keep_as)[:80])
        write_atomically(ready / _LIST, json.dumps({"files": sorted(files), "keep_as": ""}).encode())
    for path in written(folder):
        if path.name not in files:
            path.unlink(missing_ok=True)
    # Only names that a run consists of: the list may be somebody's who sent a folder. The report comes last.
    for path in sorted(written(ready), key=lambda path: path.name == REPORT):
        path.replace(folder / path.name)
    shutil.rmtree(ready, ignore_errors=True)


def written(folder: Path) -> Iterator[Path]:
    """The files in the folder that a run consists of."""
    for path in (*(folder / name for name in WRITTEN), *folder.glob(SECOND)):
        if path.is_file() or path.is_symlink():
            yield path


def _keep(folder: Path, name: str) -> None:
    """The folder's run lies below `EARLIER`, which is no link that leads elsewhere."""
    earlier = folder / EARLIER
    if earlier.is_symlink():
        earlier.unlink()
    place = earlier / name
    place.mkdir(parents=True, exist_ok=True)
    for path in written(folder):
        path.replace(place / path.name)
