"""`class.json`: the submissions of a class, their students and files; read by gradebooks, page and regrade."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import TypeAdapter

from grader.batch.class_records import ClassSubmission, Student
from grader.batch.gradebooks.entries import GradebookSettings
from grader.errors import GraderError, one_line, short_path
from grader.grading.folder_choice import CLASS as NAME
from grader.grading.folder_choice import MAX_CLASS, SUBMISSIONS
from grader.store.bounded import Unreadable
from grader.store.json_files import read_json, write_json

FORMAT = 1


@dataclass(frozen=True, slots=True)
class Manifest:
    """A class as found in its last run."""

    title: str
    submissions: Path
    rubric: Path
    seed: str  # of the test inputs, the same for every student; known to staff only
    isolation: str
    parts: tuple[str, ...] | None
    layout: str
    handed_in: tuple[ClassSubmission, ...]
    missing: tuple[Student, ...]
    remarks: tuple[str, ...] = ()  # sentences for staff
    gradebook: GradebookSettings = field(default_factory=GradebookSettings)  # later runs keep them
    forgotten: tuple[str, ...] = ()  # digests of removed students, see `retention.py`
    roster: Path | None = None  # later runs use it if none is given
    format: int = FORMAT


_MANIFEST: TypeAdapter[Manifest] = TypeAdapter(Manifest)


def write_manifest(out: Path, manifest: Manifest) -> None:
    """Writes the manifest to `OUT/class.json`, unless nothing has changed."""
    write_json(out / NAME, _MANIFEST, manifest)


def read_manifest(out: Path) -> Manifest:
    """The manifest of the folder.

    Raises:
        GraderError: if the folder has none, or one of another format.
    """
    path = out / NAME
    try:
        return read_json(path, _MANIFEST, MAX_CLASS, format_version=FORMAT)
    except Unreadable as reason:
        why = one_line(str(reason), 200)
    raise GraderError(f"{short_path(path)}: {why}; grade the class first: make grade-class SUBMISSIONS=dir")


def folder_of(out: Path, key: str) -> Path:
    """The run folder of a submission."""
    return out / SUBMISSIONS / key


def folders(out: Path, manifest: Manifest) -> Iterator[tuple[ClassSubmission, Path]]:
    """Each submission with its run folder."""
    for submission in manifest.handed_in:
        yield submission, folder_of(out, submission.key)
