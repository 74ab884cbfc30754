"""Releases a class: records the points that students see, and writes the archives with their feedback.

Moodle's "Upload multiple feedback files in a zip" (github.com/moodle/moodle, mod/assign/feedback/file/importziplib.php)
splits the first folder of a path at its underscores: a name that it ignores, the participant's number (or the group's,
for group submissions), and the plugin, `assignsubmission_file`. The feedback's own file name follows. The last
underscore is that of versions before 4.1.

Canvas's "Re-Upload Submissions" (github.com/instructure/canvas-lms, app/models/abstract_assignment.rb,
`generate_comments_from_files` and `infer_comment_context_from_filename`) needs the numbers of the user and of the
submitted file, and shows the feedback under that file's own name. An HTML page would be called vae.ipynb there, so a
notebook gets its feedback as a notebook, and a zip as a zip with the page in it.
"""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from grader.batch.class_records import GradebookRow, StudentState
from grader.batch.gradebooks.entries import points
from grader.batch.gradebooks.moodle import participant
from grader.batch.history import append, event_of
from grader.batch.manifest import read_manifest
from grader.batch.released_points import read_released, record_released
from grader.batch.results import read_rows
from grader.batch.students.layouts import canvas_file
from grader.errors import GraderError, short_path
from grader.grading.run_files import FEEDBACK
from grader.report.student_text import feedback_text
from grader.store.bounded import Unreadable, file_bytes
from grader.store.files import locked, sweep, written_aside
from grader.store.json_files import dump_json


@dataclass(frozen=True)
class Release:
    """The results of releasing a class."""

    released: tuple[GradebookRow, ...]
    held: tuple[GradebookRow, ...]  # their points would fall below the released ones
    left_out: tuple[GradebookRow, ...]  # they have no points to release
    new: tuple[GradebookRow, ...]  # those of the released whose points are new to students
    files: tuple[Path, ...]
    remarks: tuple[str, ...]


def release_class(out: Path) -> Release:
    """Records the released points in the class's folder, and writes the feedback archives for course systems.

    Raises:
        GraderError: if no class was graded there, or another grader is running.
    """
    manifest = read_manifest(out)
    with locked(out):
        sweep(out)
        rows = read_rows(out, manifest)
        held_rows = tuple(row for row in rows if row.held)
        ready = tuple(row for row in rows if row.report is not None and points(row, manifest.gradebook))
        left_out = tuple(
            row for row in rows if row not in ready and not row.held and row.state is not StudentState.MISSING
        )
        if not ready:
            raise GraderError(f"{short_path(out)}: expected points to release, found none; grade it in full")
        before = read_released(out)
        shown_milli = {key: points_before.counted_milli for key, points_before in before.items() if points_before.shown}
        new = tuple(row for row in ready if shown_milli.get(row.key) != row.counted_milli)
        zips = write_feedback(out, ready)
        record_released(out, ready)
        append(out, [event_of(row, "released") for row in new])
    return Release(ready, held_rows, left_out, new, zips.paths, zips.remarks)


ALL, MOODLE, CANVAS = "feedback.zip", "feedback-moodle.zip", "feedback-canvas.zip"
MAX_PAGE = 100_000_000  # bytes
_WHEN = (1980, 1, 1, 0, 0, 0)  # date of every file in the archives, so that the same feedback gives the same bytes
_IN_MOODLE = re.compile(r"(?P<prefix>[^/_]+_\d+_assignsubmission)_[a-z]+(?:_.*)?", re.DOTALL)
_REMOVED = re.compile(r"[^\w .-]")

File = tuple[str, bytes]


@dataclass(frozen=True)
class FeedbackZips:
    """The archives that were written, and remarks on them for staff."""

    paths: tuple[Path, ...]
    remarks: tuple[str, ...]


def write_feedback(out: Path, rows: Sequence[GradebookRow]) -> FeedbackZips:
    """Writes the archives with these rows' pages into the class's folder, and removes earlier ones.

    Raises:
        OSError: if an archive cannot be written.
    """
    ready = [row for row in rows if row.folder is not None and row.report is not None]
    paths = []
    remarks = []
    for name, files in ((ALL, _plain(ready)), (MOODLE, _moodle(ready)), (CANVAS, _canvas(ready))):
        count = _write(out / name, files)
        if count:
            paths.append(out / name)
        if 0 < count < len(ready):
            remarks.append(f"{name} has {count} of {len(ready)}: the download has no id of the system for the others")
    return FeedbackZips(tuple(paths), tuple(remarks))


def _write(path: Path, files: Iterator[File]) -> int:
    """Writes the archive, or removes it if there are no files. Returns the number of files."""
    count = 0
    with written_aside(path) as aside, zipfile.ZipFile(aside, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files:
            archive.writestr(zipfile.ZipInfo(name, _WHEN), content, zipfile.ZIP_DEFLATED)
            count += 1
    if not count:
        path.unlink()
    return count


def _plain(rows: Sequence[GradebookRow]) -> Iterator[File]:
    for row in rows:
        yield f"{row.key}/{FEEDBACK}", _page(row)


def _moodle(rows: Sequence[GradebookRow]) -> Iterator[File]:
    for row in rows:
        parts = row.submission.shown.split("/") if row.submission else []
        prefix = next((match["prefix"] for part in parts if (match := _IN_MOODLE.fullmatch(part))), "")
        if not prefix and (number := participant(row)):
            name = _REMOVED.sub("", row.student.name if row.student else "").replace("_", " ").strip()
            prefix = f"{name or 'Participant'}_{number}_assignsubmission"
        if prefix:
            yield f"{prefix}_file_/{FEEDBACK}", _page(row)


def _canvas(rows: Sequence[GradebookRow]) -> Iterator[File]:
    for row in rows:
        place = row.submission.shown.partition(": ")[0] if row.submission else ""
        name = place.rpartition("/")[2]
        if not canvas_file(name):
            continue
        if name.lower().endswith(".ipynb"):
            yield name, _as_notebook(row)
        elif name.lower().endswith(".zip"):
            stream = io.BytesIO()
            with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
                archive.writestr(zipfile.ZipInfo(FEEDBACK, _WHEN), _page(row), zipfile.ZIP_DEFLATED)
            yield name, stream.getvalue()


def _page(row: GradebookRow) -> bytes:
    """The student's page; if it cannot be read, a page with only the text of the feedback."""
    assert row.folder is not None
    assert row.report is not None
    try:
        return file_bytes(row.folder / FEEDBACK, MAX_PAGE)
    except Unreadable:
        return f"<pre>{_escaped(feedback_text(row.report))}</pre>".encode()


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;")


def _as_notebook(row: GradebookRow) -> bytes:
    """The feedback as text in the only cell of a notebook, fenced so that nothing is read as Markdown."""
    assert row.report is not None
    text = feedback_text(row.report)
    longest = max((len(run) for run in re.findall("~+", text)), default=0)
    fence = "~" * max(3, longest + 1)
    cell: dict[str, Any] = {
        "cell_type": "markdown",
        "id": "feedback",
        "metadata": {},
        "source": f"{fence}text\n{text}\n{fence}",
    }
    return dump_json({"cells": [cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 5})
