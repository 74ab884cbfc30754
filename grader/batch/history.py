"""`history.jsonl`: each change of points, when, by whom and why; only removing a student changes existing lines."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from pydantic import TypeAdapter

from grader.batch.class_records import GradebookRow
from grader.batch.manifest import read_manifest
from grader.errors import GraderError, nearest, one_line
from grader.grading.overrides import names_of
from grader.records import GradeReport
from grader.report.text import points_text
from grader.report.totals import penalty_milli
from grader.report.words import late_sentence
from grader.store.bounded import Unreadable
from grader.store.files import user, write_atomically
from grader.store.json_files import json_line, parse_json, read_json, write_json

NAME = "history.jsonl"
REGRADED = "judged again"  # as stored
WORDS = {REGRADED: "re-graded", "decided": "overridden", "decision withdrawn": "override withdrawn"}  # shown
MAX_LINE = 100_000
MAX_BYTES = 200_000_000
MAX_REASON = 500


@dataclass(frozen=True, slots=True)
class HistoryEvent:
    """A change of one submission's points."""

    when: str  # ISO 8601, UTC
    who: str  # the login name
    what: str  # graded | REGRADED | decided | decision withdrawn | lateness | lost its report | released | lowered
    submission: str
    old_milli: int | None  # None if there were none
    new_milli: int | None
    items: Mapping[str, tuple[int, int]] = field(default_factory=dict)  # item -> old and new, if both are known
    why: str = ""
    rubric: str = ""
    grader: str = ""
    old_penalty_milli: int = 0  # the late penalty; the points do not include it
    new_penalty_milli: int = 0


_EVENT: TypeAdapter[HistoryEvent] = TypeAdapter(HistoryEvent)
SNAPSHOTS = "history-told.json"  # the points of each submission when the history was last written


Decisions = Mapping[str, tuple[int, str, str]]  # item -> points, reason, by whom


@dataclass(frozen=True, slots=True)
class PointsSnapshot:
    """The fields of a report that the history compares; whole reports would take too much memory."""

    points_milli: int
    items: Mapping[str, int]
    decided: Decisions
    evidence: str
    penalty_milli: int = 0


_SNAPSHOTS: TypeAdapter[dict[str, PointsSnapshot]] = TypeAdapter(dict[str, PointsSnapshot])


def snapshots(rows: Iterable[GradebookRow]) -> dict[str, PointsSnapshot]:
    """The snapshot of each submission with a report, by key."""
    return {row.key: _snapshot(row.report) for row in rows if row.report is not None}


def changes(before: Mapping[str, PointsSnapshot], after: Sequence[GradebookRow], why: str) -> list[HistoryEvent]:
    """An event per submission whose points or overrides have changed."""
    when, who = datetime.now(UTC).isoformat(timespec="seconds"), user()
    events = []
    for row in after:
        was, now = before.get(row.key), _snapshot(row.report) if row.report else None
        if was == now or (was and now and _without_evidence(was) == _without_evidence(now)):
            continue
        decisions = _reasons(was.decided if was else {}, now.decided if now else {})
        late = (
            late_sentence(row.report) if row.report and was and now and was.penalty_milli != now.penalty_milli else ""
        )
        checksums = row.report.checksums if row.report else {}
        events.append(
            HistoryEvent(
                when=when,
                who=who,
                what=_what(was, now),
                submission=row.key,
                old_milli=was.points_milli if was else None,
                new_milli=now.points_milli if now else None,
                items=_changed_items(was, now),
                why=one_line("; ".join(filter(None, (why, *decisions, late, row.reason))), MAX_REASON),
                rubric=checksums.get("rubric", "")[:12],
                grader=checksums.get("grader", "")[:12],
                old_penalty_milli=was.penalty_milli if was else 0,
                new_penalty_milli=now.penalty_milli if now else 0,
            )
        )
    return events


def event_of(row: GradebookRow, what: str, why: str = "") -> HistoryEvent:
    """An event that changes no points, such as a release."""
    now, checksums = (_snapshot(row.report), row.report.checksums) if row.report else (None, {})
    return HistoryEvent(
        when=datetime.now(UTC).isoformat(timespec="seconds"),
        who=user(),
        what=what,
        submission=row.key,
        old_milli=now.points_milli if now else None,
        new_milli=now.points_milli if now else None,
        why=one_line("; ".join(filter(None, (why, row.reason))), MAX_REASON),
        rubric=checksums.get("rubric", "")[:12],
        grader=checksums.get("grader", "")[:12],
        old_penalty_milli=now.penalty_milli if now else 0,
        new_penalty_milli=now.penalty_milli if now else 0,
    )


def begin(out: Path, now: Iterable[GradebookRow]) -> None:
    """Stores the current points, which `record` compares with later ones, unless earlier points are stored already.

    If the command is killed before `record`, the next command still records its changes.
    """
    if _last_snapshots(out) is None:
        _store_snapshots(out, snapshots(now))


def record(out: Path, after: Sequence[GradebookRow], why: str) -> list[HistoryEvent]:
    """Appends an event to the history for each change since the stored points; returns the new events."""
    events = changes(_last_snapshots(out) or {}, after, why)
    append(out, events)
    _store_snapshots(out, snapshots(after))
    return events


def _store_snapshots(out: Path, last: Mapping[str, PointsSnapshot]) -> None:
    write_json(out / SNAPSHOTS, _SNAPSHOTS, dict(last))


def _last_snapshots(out: Path) -> dict[str, PointsSnapshot] | None:
    """The snapshots when the history was last written; None if unknown."""
    try:
        return read_json(out / SNAPSHOTS, _SNAPSHOTS, MAX_BYTES)
    except Unreadable:
        return None


def forget_in_history(out: Path, key: str, pseudonym: str) -> None:
    """Renames the submission in the history to the pseudonym, and removes all reasons."""
    last = _last_snapshots(out)
    if last is not None:
        _store_snapshots(out, {name: snapshot for name, snapshot in last.items() if name != key})
    events = read_history(out)
    if any(event.submission == key for event in events):
        lines = [replace(e, submission=pseudonym, why="") if e.submission == key else e for e in events]
        write_atomically(out / NAME, b"".join(json_line(_EVENT, event) for event in lines))


def append(out: Path, events: Sequence[HistoryEvent]) -> None:
    """Appends the events to the history, one per line, and syncs them to disk."""
    if not events:
        return
    handle = os.open(out / NAME, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW, 0o666)
    try:
        if os.fstat(handle).st_size and not _ends_whole(out / NAME):
            os.write(handle, b"\n")  # ends the incomplete line of a killed run
        for event in events:
            os.write(handle, json_line(_EVENT, event))
        os.fsync(handle)
    finally:
        os.close(handle)


def read_history(out: Path) -> list[HistoryEvent]:
    """The events, oldest first; incomplete and invalid lines are skipped."""
    path = out / NAME
    if path.is_symlink() or not path.is_file() or path.stat().st_size > MAX_BYTES:
        return []
    events = []
    with path.open("rb") as lines:
        while line := lines.readline(MAX_LINE):
            try:
                events.append(parse_json(line, _EVENT))
            except Unreadable:
                continue
    return events


def events_of(out: Path, student: str | None) -> list[HistoryEvent]:
    """The events of the class, or of the submission with this key or student's id; oldest first.

    Raises:
        GraderError: if no class was graded there, or it has no such submission; the message gives the nearest name.
    """
    events = read_history(out)
    names = {event.submission: event.submission for event in events}
    if not events and not (out / NAME).exists():
        manifest = read_manifest(out)  # refuses a folder without a class
        names |= {submission.key: submission.key for submission in manifest.handed_in}
    if student is None:
        return events
    names |= _students(out)
    if student not in names:
        raise GraderError(
            f"--student: no such submission or student: {student[:80]!r}{nearest(student, names) if names else ''}"
        )
    return [event for event in events if event.submission == names[student]]


def _students(out: Path) -> dict[str, str]:
    """Each name that overrides may use, with the key that it stands for; empty if the class's list cannot be read."""
    try:
        manifest = read_manifest(out)
    except GraderError:
        return {}
    ids = {submission.key: submission.names for submission in manifest.handed_in}
    return names_of(ids, [student.id for student in manifest.missing])


def event_line(event: HistoryEvent) -> str:
    """The event as one line of text."""
    items = ", ".join(f"{item} {points_text(was)} -> {points_text(now)}" for item, (was, now) in event.items.items())
    why = f" ({event.why})" if event.why else ""
    late = f", late penalty {points_text(event.new_penalty_milli)}" if event.new_penalty_milli else ""
    late = late or (", no late penalty any more" if event.old_penalty_milli else "")
    return (
        f"{event.when[:16].replace('T', ' ')} {event.who}: {event.submission} {WORDS.get(event.what, event.what)}: "
        f"{_text(event.old_milli)} -> {_text(event.new_milli)}{late}{': ' + items if items else ''}{why}"
    )


def _ends_whole(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read(1) == b"\n"


def _snapshot(report: GradeReport) -> PointsSnapshot:
    return PointsSnapshot(
        report.points_milli,
        {item.id: item.points_milli for item in report.items},
        {i.id: (i.override.points_milli, i.override.reason, i.override.by) for i in report.items if i.override},
        report.checksums.get("evidence", ""),
        penalty_milli(report),
    )


def _without_evidence(snapshot: PointsSnapshot) -> tuple[object, ...]:
    """All fields except the evidence, which differs between runs with the same points."""
    return snapshot.points_milli, snapshot.items, snapshot.decided, snapshot.penalty_milli


def _what(was: PointsSnapshot | None, now: PointsSnapshot | None) -> str:
    if now is None:
        return "lost its report"
    before = was.decided if was else {}
    if before != now.decided:
        return "decided" if set(now.decided.items()) - set(before.items()) else "decision withdrawn"
    if was is None or was.evidence != now.evidence:
        return "graded"
    return REGRADED if (was.points_milli, was.items) != (now.points_milli, now.items) else "lateness"


def _changed_items(was: PointsSnapshot | None, now: PointsSnapshot | None) -> dict[str, tuple[int, int]]:
    if was is None or now is None:
        return {}
    both = {item: (was.items[item], milli) for item, milli in now.items.items() if item in was.items}
    return {item: (old, new) for item, (old, new) in both.items() if old != new}


def _reasons(before: Decisions, now: Decisions) -> list[str]:
    """The new and the withdrawn overrides, each with its reason."""
    reasons = [f"{item}: {by}: {reason}" for item, (_, reason, by) in now.items() if before.get(item) != now[item]]
    withdrawn = [f"{item}: withdrawn: {by}: {reason}" for item, (_, reason, by) in before.items() if item not in now]
    return reasons + withdrawn


def _text(milli: int | None) -> str:
    return "none" if milli is None else points_text(milli)
