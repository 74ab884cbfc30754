"""A class's points are released: noted as what students saw, with the archives that bring them their feedback."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from grader.batch.feedback_zips import write_feedback
from grader.batch.gradebooks.entries import points
from grader.batch.history import append, event_of
from grader.batch.manifest import read_manifest
from grader.batch.records import Row, State
from grader.batch.released import note_released, read_released
from grader.batch.results import read_rows
from grader.errors import GraderError, one_line
from grader.store.files import sweep
from grader.store.lock import locked


@dataclass(frozen=True)
class Release:
    """What came of releasing a class."""

    released: tuple[Row, ...]
    held: tuple[Row, ...]  # they would fall below what was released before
    left_out: tuple[Row, ...]  # they have no points that may be given out
    new: tuple[Row, ...]  # of the released: those whose points students had not been shown
    files: tuple[Path, ...]
    remarks: tuple[str, ...]


def release_class(out: Path) -> Release:
    """The class's folder notes whose points were shown, and holds everybody's feedback for the course's systems.

    Raises:
        GraderError: no class was graded there, or another grader is at work.
    """
    manifest = read_manifest(out)
    with locked(out):
        sweep(out)
        rows = read_rows(out, manifest)
        held = tuple(row for row in rows if row.held)
        ready = tuple(row for row in rows if row.report is not None and points(row, manifest.gradebook))
        left_out = tuple(row for row in rows if row not in ready and not row.held and row.state is not State.MISSING)
        if not ready:
            raise GraderError(f"{one_line(str(out), 120)}: nobody has points that could be released")
        before = read_released(out)
        shown = {key: one.counted_milli for key, one in before.items() if one.shown}
        new = tuple(row for row in ready if shown.get(row.key) != row.counted_milli)
        zips = write_feedback(out, ready)
        note_released(out, ready)
        append(out, [event_of(row, "released") for row in new])
    return Release(ready, held, left_out, new, zips.paths, zips.remarks)
