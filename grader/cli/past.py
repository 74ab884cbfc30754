"""Finds the events of a class, or of one of its submissions under any name that a person may give it."""

from __future__ import annotations

from pathlib import Path

from grader.batch.history import NAME, Event, read_history
from grader.batch.manifest import read_manifest
from grader.errors import GraderError
from grader.overrides import names_of
from grader.rubric.wording import nearest


def events_of(out: Path, student: str | None) -> list[Event]:
    """The events of the class, or of the submission with this key or student's id; oldest first.

    Raises:
        GraderError: where no class was graded, or nobody is called so, with the nearest name.
    """
    events = read_history(out)
    names = {event.submission: event.submission for event in events}
    if not events and not (out / NAME).exists():
        manifest = read_manifest(out)  # says that no class was graded here
        names |= {one.key: one.key for one in manifest.handed_in}
    if student is None:
        return events
    names |= _students(out)
    if student not in names:
        raise GraderError(f"--student: nobody here is {student[:80]!r}{nearest(student, names) if names else ''}")
    return [event for event in events if event.submission == names[student]]


def _students(out: Path) -> dict[str, str]:
    """Keys and students' ids, as decisions may name them; none where the class's list cannot be read."""
    try:
        manifest = read_manifest(out)
    except GraderError:
        return {}
    ids = {one.key: one.student.id if one.student else None for one in manifest.handed_in}
    return names_of(ids, [student.id for student in manifest.missing])
