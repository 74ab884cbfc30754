"""A class is judged again from its stored evidence: a moved threshold, a changed weight, a person's decision."""

from __future__ import annotations

import contextlib
import multiprocessing
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from rich.table import Table
from rich.text import Text

from grader.batch.gradebooks import GradebookOptions
from grader.batch.history import Event, append, begin, event_of, record
from grader.batch.manifest import folders, read_manifest, write_manifest
from grader.batch.records import GradebookRow, StudentState
from grader.batch.released import Released, WouldLower, falls, note_lowered, read_released
from grader.batch.results import Ruling, each_row, read_rows, rulings_of, write_results
from grader.errors import GraderError
from grader.grading.grade import judged_again
from grader.grading.run_files import REPORT
from grader.grading.run_folder import has_report, note_source, source_of, stored_report
from grader.grading.run_pages import write_report
from grader.grading.run_place import refuse_other_rubric
from grader.records import Rubric
from grader.report.report_json import dump
from grader.report.text import plain, points_text
from grader.report.words import counted_milli
from grader.rubric import load_rubric
from grader.sandbox.launch import end_with_parent
from grader.store.files import locked

CHUNK = 8
AS_BEFORE = GradebookOptions()
EVERY_S = 2.0  # how often it is said how far it is
Say = Callable[[str], None]
_loaded = cache(load_rubric)  # once in each process


@dataclass(frozen=True)
class Regraded:
    """What came of judging a class again."""

    rows: tuple[GradebookRow, ...]
    events: tuple[Event, ...]
    remarks: tuple[str, ...]
    wrong: tuple[str, ...] = ()  # which could not be judged again, and why: their points are the ones from before

    @property
    def all_sure(self) -> bool:
        """Whether everybody who handed something in has points of this rubric that no person must look at."""
        return not self.wrong and all(row.state in {StudentState.GRADED, StudentState.MISSING} for row in self.rows)


def regrade_class(
    out: Path,
    rubric_path: Path | None,
    reason: str,
    jobs: int,
    say: Say,
    wanted: GradebookOptions = AS_BEFORE,
    *,
    lower: bool = False,
) -> Regraded:
    """Every stored run is judged under the rubric and the decisions as they are now, and the results are written anew.

    With `lower`, which needs a reason, whoever comes to fewer points than were released gets these.

    Raises:
        GraderError: where nothing could be started: no class here, a wrong rubric or override, a grader at work.
        WouldLower: somebody would have fewer points than were released, and nobody said that they may.
    """
    if lower and not reason.strip():
        raise GraderError("--lower: expected a --reason beside it, for whoever asks why released points fell")
    manifest = read_manifest(out)
    path = rubric_path or manifest.rubric
    manifest = replace(manifest, rubric=path, gradebook=wanted.over(manifest.gradebook))
    rubric, exercise = load_rubric(path)
    with locked(out):
        rulings = rulings_of(out, manifest, rubric)
        graded = {one.key: folder for one, folder in folders(out, manifest) if has_report(folder)}
        _refuse_other_exercise(graded.values(), rubric, path)
        work = [_Work(key, folder, path, rulings[key]) for key, folder in graded.items()]
        released = read_released(out)
        if released and not lower:
            _refuse_lower(out, [one for one in work if one.key in released], released, jobs, say)
        begin(out, each_row(out, manifest))
        write_manifest(out, manifest)
        say(f"{len(work)} to judge again")
        judged = _judge_all(work, jobs, say)
        lowered = [row for row in each_row(out, manifest) if row.held] if lower else []
        note_lowered(out, lowered)
        rows = read_rows(out, manifest)
        events = record(out, rows, reason)
        told = {event.submission for event in events}
        append(out, made := [event_of(row, "lowered", reason) for row in lowered if row.key not in told])
        events += made
        say("gradebooks and the page of the class")
        remarks = write_results(out, manifest, rows, rubric, exercise)
    return Regraded(rows, tuple(events), remarks, tuple(one.wrong for one in judged if one.wrong))


@dataclass(frozen=True, slots=True)
class _Work:
    """A run to be judged again; where it is only tried, its folder stays as it is."""

    key: str
    folder: Path
    rubric: Path
    ruling: Ruling
    tried: bool = False


@dataclass(frozen=True, slots=True)
class _Judged:
    """What came of it, in thousandths that count; why it could not be judged, if so."""

    key: str
    before_milli: int = 0
    after_milli: int = 0
    wrong: str = ""


def _refuse_other_exercise(graded: Iterable[Path], rubric: Rubric, path: Path) -> None:
    """The rubric is one by which the class's reports can be judged.

    Raises:
        GraderError: it is another exercise's.
    """
    for folder in graded:
        with contextlib.suppress(GraderError):  # one that cannot be read is told with the rows
            report = stored_report(folder)
            break
    else:
        return
    refuse_other_rubric(folder, report, rubric, path)


def _refuse_lower(out: Path, work: Sequence[_Work], released: Mapping[str, Released], jobs: int, say: Say) -> None:
    """Nobody's points would fall below what was released.

    Raises:
        WouldLower: somebody's would.
    """
    say(f"{len(work)} were released: first it is tried whether any would fall")
    judged = [one for one in _judge_all([replace(one, tried=True) for one in work], jobs, say) if not one.wrong]
    before = {one.key: one.before_milli for one in judged}
    if found := falls(before, {one.key: one.after_milli for one in judged}, released):
        raise WouldLower(out, found)


def _judge_all(work: Sequence[_Work], jobs: int, say: Say) -> list[_Judged]:
    """Each folder's reports are made anew, or would be."""
    if jobs == 1 or len(work) < 2 * CHUNK:
        return _told(map(_judge_one, work), len(work), say)
    context = multiprocessing.get_context("fork")  # nothing here has started a thread, and nothing heavy is loaded
    with ProcessPoolExecutor(jobs, mp_context=context, initializer=end_with_parent) as pool:
        return _told(pool.map(_judge_one, work, chunksize=CHUNK), len(work), say)


def _told(judged: Iterable[_Judged], count: int, say: Say) -> list[_Judged]:
    """All of them; how far it is has been said meanwhile."""
    found, said = [], time.monotonic()
    for one in judged:
        found.append(one)
        if time.monotonic() - said > EVERY_S:
            said = time.monotonic()
            say(f"{len(found)} of {count} judged again")
    return found


def _judge_one(work: _Work) -> _Judged:
    try:
        rubric, exercise = _loaded(work.rubric)
        old = stored_report(work.folder)
        report = work.ruling.over(judged_again(work.folder, old, rubric, exercise))
        if not work.tried and (source := source_of(work.folder)) is not None:
            note_source(work.folder, Path(source.of), work.rubric)
        if not work.tried and dump(report) != (work.folder / REPORT).read_bytes():
            write_report(work.folder, report, exercise, rubric)
    except (GraderError, OSError) as error:
        return _Judged(work.key, wrong=f"{plain(work.key, 60)}: not judged again: {plain(str(error), 200)}")
    return _Judged(work.key, counted_milli(old), counted_milli(report))


def moves_table(again: Regraded) -> Table:
    """Who gains or loses what, on which items and why, largest loss first."""
    table = Table(title=f"{len(again.rows)} submissions, {len(again.events)} changed", title_justify="left")
    for head in ("submission", "was", "now", "items", "why"):
        table.add_column(head, justify="right" if head in {"was", "now"} else "left")
    for event in sorted(again.events, key=lambda e: ((e.new_milli or 0) - (e.old_milli or 0), e.submission)):
        items = ", ".join(f"{item} {points_text(was)} → {points_text(now)}" for item, (was, now) in event.items.items())
        points = ["–" if milli is None else points_text(milli) for milli in (event.old_milli, event.new_milli)]
        table.add_row(*map(Text, [plain(event.submission, 60), *points, items, plain(event.why or event.what, 120)]))
    return table
