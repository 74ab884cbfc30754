"""The points that were released to students, in `released.json`.

Released points never fall silently. A row that falls below its released points needs manual review and is left out of
every course system's gradebook, which keeps the released points. A regrade that would lower points is refused without
`--lower`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from pydantic import TypeAdapter

from grader.batch.class_records import GradebookRow, StudentState
from grader.errors import GraderError, one_line, short_path
from grader.report.text import points_text
from grader.store.bounded import Unreadable
from grader.store.files import user
from grader.store.json_files import read_json, write_json

NAME = "released.json"
MAX_BYTES = 50_000_000


@dataclass(frozen=True, slots=True)
class ReleasedPoints:
    """The released points of a submission."""

    points_milli: int
    counted_milli: int  # after the late penalty
    students: tuple[str, ...]  # their ids
    when: str  # ISO 8601, UTC
    who: str
    shown: bool = True  # False: lowered since, and not released again yet


@dataclass(frozen=True, slots=True)
class Fall:
    """A submission whose points would fall below the released ones."""

    key: str
    released_milli: int
    now_milli: int


_RELEASED: TypeAdapter[dict[str, ReleasedPoints]] = TypeAdapter(dict[str, ReleasedPoints])


class WouldLower(GraderError):
    """A regrade without `--lower` would lower released points; nothing was written."""

    def __init__(self, out: Path, falls: Sequence[Fall]) -> None:
        many = f"{len(falls)} submissions" if len(falls) > 1 else "1 submission"
        super().__init__(
            f"{short_path(out)}: {many} would have fewer points than were released; "
            "nothing was changed; add --lower with a --reason to allow it"
        )
        self.falls = tuple(falls)


def read_released(out: Path) -> dict[str, ReleasedPoints]:
    """The released points by submission; empty if nothing was released.

    Raises:
        GraderError: if the file exists but cannot be read, since the released points are then unknown.
    """
    path = out / NAME
    if not path.exists() and not path.is_symlink():
        return {}
    try:
        return read_json(path, _RELEASED, MAX_BYTES)
    except Unreadable as reason:
        raise GraderError(f"{short_path(path)}: {one_line(str(reason), 200)}; restore it from a backup") from None


def mark_held(rows: Iterable[GradebookRow], released: Mapping[str, ReleasedPoints]) -> Iterator[GradebookRow]:
    """The rows; a row below its released points needs manual review, and no course system gets its points."""
    of_student = {student: points for points in released.values() for student in points.students}
    for row in rows:
        ids = [student.id for student in row.students]
        release = released.get(row.key) or next((of_student[student] for student in ids if student in of_student), None)
        counted_now = row.counted_milli
        if release is None or (counted_now is not None and counted_now >= release.counted_milli):
            yield row
            continue
        now = "it has none now" if counted_now is None else f"it has {points_text(counted_now)} now"
        reason = f"{points_text(release.counted_milli)} points were released, but {now}"
        yield replace(row, state=StudentState.LOOK, reason="; ".join(filter(None, (reason, row.reason))), held=True)


def falls(before: Mapping[str, int], after: Mapping[str, int], released: Mapping[str, ReleasedPoints]) -> list[Fall]:
    """The submissions that would newly fall below the released points, largest loss first."""
    lowered = [
        Fall(key, released[key].counted_milli, milli)
        for key, milli in after.items()
        if milli < released[key].counted_milli and milli < before.get(key, released[key].counted_milli)
    ]
    return sorted(lowered, key=lambda fall: (fall.now_milli - fall.released_milli, fall.key))


def forget_released(out: Path, key: str, ids: Collection[str]) -> None:
    """Removes a submission, and students with these ids, from the released points."""
    before = read_released(out)
    remaining = {name: points for name, points in before.items() if name != key and not set(points.students) & set(ids)}
    if remaining != before:
        write_json(out / NAME, _RELEASED, remaining)


def record_lowered(out: Path, rows: Sequence[GradebookRow]) -> None:
    """Records the lower points as the released ones; a row without points is removed from the file."""
    for row in rows:
        if row.report is None:
            forget_released(out, row.key, {student.id for student in row.students})
    record_released(out, [row for row in rows if row.report is not None], shown=False)


def record_released(out: Path, rows: Sequence[GradebookRow], *, shown: bool = True) -> None:
    """Records the points of these rows as released, beside earlier releases."""
    when, who = datetime.now(UTC).isoformat(timespec="seconds"), user()
    before = read_released(out)
    points_now = {
        row.key: ReleasedPoints(
            row.report.points_milli,
            row.counted_milli or 0,
            tuple(student.id for student in row.students),
            when,
            who,
            shown,
        )
        for row in rows
        if row.report is not None
    }
    new = {
        key: points
        for key, points in points_now.items()
        if key not in before or replace(points, when="", who="") != replace(before[key], when="", who="")
    }
    if new:
        write_json(out / NAME, _RELEASED, before | new)
