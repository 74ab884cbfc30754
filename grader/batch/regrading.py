"""A class is judged again from its stored evidence: a moved threshold, a changed weight, a person's decision."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from rich.table import Table
from rich.text import Text

from grader.batch.gradebooks import GradebookWishes
from grader.batch.history import Event, begin, record
from grader.batch.manifest import folders, read_manifest, write_manifest
from grader.batch.records import Row, State
from grader.batch.results import decisions_of, each_row, read_rows, write_results
from grader.errors import GraderError
from grader.lock import locked
from grader.meanwhile import end_with_parent
from grader.overrides import Decisions, with_overrides
from grader.pipeline import judged_again
from grader.report.plain import plain
from grader.report.points import points_text
from grader.report.report_json import dump
from grader.rubric import load_rubric
from grader.run_files import REPORT
from grader.run_folder import has_report, stored_report
from grader.run_pages import write_report

CHUNK = 8
AS_BEFORE = GradebookWishes()
EVERY_S = 2.0  # how often it is said how far it is
Say = Callable[[str], None]
_loaded = cache(load_rubric)  # once in each process


@dataclass(frozen=True)
class Regraded:
    """What came of judging a class again."""

    rows: tuple[Row, ...]
    events: tuple[Event, ...]
    remarks: tuple[str, ...]
    wrong: tuple[str, ...] = ()  # which could not be judged again, and why: their points are the ones from before

    @property
    def all_sure(self) -> bool:
        """Whether everybody who handed something in has points of this rubric that no person must look at."""
        return not self.wrong and all(row.state in {State.GRADED, State.MISSING} for row in self.rows)


def regrade_class(
    out: Path,
    rubric_path: Path | None,
    reason: str,
    jobs: int,
    say: Say,
    wanted: GradebookWishes = AS_BEFORE,
) -> Regraded:
    """Every stored run is judged under the rubric and the decisions as they are now, and the results are written anew.

    Raises:
        GraderError: where nothing could be started: no class here, a wrong rubric or override, a grader at work.
    """
    manifest = read_manifest(out)
    path = rubric_path or manifest.rubric
    manifest = replace(manifest, rubric=path, gradebook=wanted.over(manifest.gradebook))
    rubric, exercise = load_rubric(path)
    with locked(out):
        decisions = decisions_of(out, manifest, rubric)
        begin(out, each_row(out, manifest))
        write_manifest(out, manifest)
        graded = {one.key: folder for one, folder in folders(out, manifest) if has_report(folder)}
        say(f"{len(graded)} to judge again")
        wrong = _judge_all(graded, path, decisions, jobs, say)
        rows = read_rows(out, manifest)
        events = record(out, rows, reason)
        say("gradebooks and the page of the class")
        remarks = write_results(out, manifest, rows, rubric, exercise)
    return Regraded(rows, tuple(events), remarks, tuple(wrong))


def _judge_all(
    graded: Mapping[str, Path], rubric: Path, decisions: Mapping[str, Decisions], jobs: int, say: Say
) -> list[str]:
    """Each folder's reports are made anew; returns a line for each that could not be."""
    work = [(key, folder, rubric, decisions.get(key)) for key, folder in graded.items()]
    if jobs == 1 or len(work) < 2 * CHUNK:
        return _told(map(_judge_one, work), len(work), say)
    context = multiprocessing.get_context("fork")  # nothing here has started a thread, and nothing heavy is loaded
    with ProcessPoolExecutor(jobs, mp_context=context, initializer=end_with_parent) as pool:
        return _told(pool.map(_judge_one, work, chunksize=CHUNK), len(work), say)


def _told(lines: Iterable[str], count: int, say: Say) -> list[str]:
    """The lines that say something; how far it is has been said meanwhile."""
    found, said = [], time.monotonic()
    for done, line in enumerate(lines, 1):
        if line:
            found.append(line)
        if time.monotonic() - said > EVERY_S:
            said = time.monotonic()
            say(f"{done} of {count} judged again")
    return found


def _judge_one(work: tuple[str, Path, Path, Decisions | None]) -> str:
    key, folder, rubric_path, decisions = work
    try:
        rubric, exercise = _loaded(rubric_path)
        old = stored_report(folder)
        report = with_overrides(judged_again(folder, old, rubric, exercise), decisions)
        if dump(report) != (folder / REPORT).read_bytes():
            write_report(folder, report, exercise, rubric)
    except (GraderError, OSError) as error:
        return f"{plain(key, 60)}: not judged again: {plain(str(error), 200)}"
    return ""


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
