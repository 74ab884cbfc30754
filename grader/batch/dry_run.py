"""Computes what a regrade would change, under the current rubric or with other numbers in it; writes nothing.

A class, a single run or a folder of runs is re-graded from stored evidence; the rubric is changed in memory only.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import TypeVar

from grader.batch import history
from grader.batch.class_records import GradebookRow, StudentState
from grader.batch.history import HistoryEvent, snapshots
from grader.batch.loaded_rubric import LoadedRubric, load_once
from grader.batch.manifest import folder_of, folders, read_manifest
from grader.batch.regrading import regrade_each
from grader.batch.released_points import falls, read_released
from grader.batch.results import Ruling, rulings_of
from grader.errors import GraderError, nearest, short_path
from grader.exercise import Exercise, Say
from grader.grading.folder_choice import CLASS, class_above, refuse_other_rubric
from grader.grading.regrade import regraded_report, with_own_decisions
from grader.grading.run_files import EARLIER, EVIDENCE, PRUNED, REPORT
from grader.grading.stored_run import stored_report
from grader.records import CheckSpec, GradeReport, Outcome, Rubric, RubricItem
from grader.report.text import plain, points_text
from grader.report.totals import counted_milli
from grader.rubric import load_rubric

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class Change:
    """One number of a check of an item, and its new value."""

    item: str
    check: str
    number: str
    value: float

    def __str__(self) -> str:
        return f"{self.item}.{self.check}.{self.number}={self.value:g}"


@dataclass(frozen=True, slots=True)
class Shift:
    """A graded submission before and after a regrade, in thousandths of a point; `event` holds the changes, if any."""

    submission: str
    reported_milli: int  # of the stored report; differs from the old points if the rubric has changed since
    old_milli: int
    new_milli: int
    old_counted_milli: int  # after the late penalty
    new_counted_milli: int
    undecided: bool  # whether manual review is needed, before or after
    event: HistoryEvent | None = None

    @property
    def gain_milli(self) -> int:
        """The gain in points; negative for a loss."""
        return self.new_counted_milli - self.old_counted_milli


@dataclass(frozen=True, slots=True)
class DryRun:
    """What a regrade would change."""

    changes: tuple[Change, ...]
    shifts: tuple[Shift, ...]  # largest loss first
    remarks: tuple[str, ...]
    failures: tuple[str, ...]  # submissions that could not be re-graded, and why

    @property
    def events(self) -> list[HistoryEvent]:
        """The changes, one per submission that has any."""
        return [shift.event for shift in self.shifts if shift.event is not None]


@dataclass(frozen=True, slots=True)
class _TrialRun:
    """A stored run and how to re-grade it; without a ruling, its own overrides apply."""

    name: str
    folder: Path
    rubric: Path
    changes: tuple[Change, ...]
    ruling: Ruling | None


def dry_run(root: Path, rubric_path: Path, texts: Sequence[str], jobs: int, say: Say) -> DryRun:
    """Re-grades every stored run of a class, of a folder of runs, or in `root` itself, and writes nothing.

    Without `texts`, which name other numbers, compares the stored reports with the current rubric, overrides and
    deadlines; with `texts`, compares that rubric with the changed one.

    Raises:
        GraderError: for an unknown number, or if nothing could be re-graded.
    """
    rubric, _ = load_rubric(rubric_path)
    changes = tuple(parse_change(text, rubric) for text in texts)
    with_changes(rubric, changes)
    folders = _class_runs(root) if (root / CLASS).exists() else graded_folders(root)
    rulings, remarks = _rulings(root, folders.values(), rubric)
    runs = [_TrialRun(name, path, rubric_path, changes, rulings.get(path.resolve())) for name, path in folders.items()]
    say(f"{len(runs)} graded submissions to re-grade{' under both rubrics' if changes else ''}")
    results = regrade_each(_shift, runs, jobs, say)
    shifts = [result for result in results if isinstance(result, Shift)]
    shifts.sort(key=lambda shift: (shift.gain_milli, shift.submission))
    reasons = {run.name: result for run, result in zip(runs, results, strict=True) if isinstance(result, str)}
    if reasons and not shifts:
        raise GraderError(next(iter(reasons.values())))
    failures = tuple(f"{plain(name, 60)}: not re-graded: {reason}" for name, reason in reasons.items())
    return DryRun(changes, tuple(shifts), (*remarks, *_stale(shifts), *_falls(root, shifts)), failures)


def parse_change(text: str, rubric: Rubric) -> Change:
    """The change that `vae.loss.kl_matches_closed_form.min_cosine=0.99` names.

    Raises:
        GraderError: one line: the unknown name and the nearest known one.
    """
    path, equals, number = text.partition("=")
    pieces = path.strip().split(".")
    if not equals or len(pieces) < 4:
        raise GraderError(f"--set: expected <item>.<check>.<number>=<value>, got {text[:100]!r}")
    item_id, check, name = ".".join(pieces[:-2]), pieces[-2], pieces[-1]
    item = _named(item_id, {item.id: item for item in rubric.items}, "item")
    spec = _named(check, {spec.check: spec for spec in item.checks}, f"{item_id}: check")
    _named(name, spec.params, f"{item_id}: {check}: number")
    try:
        value = float(number)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise GraderError(f"--set: {path.strip()}: expected a number, got {number[:40]!r}")
    return Change(item_id, check, name, value)


def with_changes(rubric: Rubric, changes: Sequence[Change]) -> Rubric:
    """The rubric with all of these numbers.

    Raises:
        GraderError: if `zero_at` and `full_at` would be equal or swap their order.
    """
    before = rubric
    for change in changes:
        items = tuple(_changed_item(item, change) if item.id == change.item else item for item in rubric.items)
        rubric = replace(rubric, items=items)
    for was, now in zip(before.items, rubric.items, strict=True):
        for old, new in zip(was.checks, now.checks, strict=True):
            _refuse_turned(f"{was.id}: {old.check}", old.params, new.params)
    return rubric


def graded_folders(root: Path) -> dict[str, Path]:
    """Each folder with a report and its evidence, `root` itself or below it, by its path relative to `root`.

    Runs that were replaced by a later one are left out.

    Raises:
        GraderError: if there is none.
    """
    reports = sorted(path.parent for path in root.rglob(REPORT) if EARLIER not in path.relative_to(root).parts)
    runs = {
        (folder if folder == root else folder.relative_to(root)).as_posix(): folder
        for folder in reports
        if (folder / EVIDENCE).is_file() or (folder / PRUNED).is_file()
    }
    if not runs:
        raise GraderError(
            f"{short_path(root)}: expected a class, or folders with {REPORT} and {EVIDENCE}, found none; "
            "grade a notebook first"
        )
    return runs


def _class_runs(out: Path) -> dict[str, Path]:
    """The folder of each graded submission of a class, by its key.

    Raises:
        GraderError: if there is none.
    """
    runs = {
        submission.key: folder for submission, folder in folders(out, read_manifest(out)) if (folder / REPORT).exists()
    }
    if not runs:
        raise GraderError(f"{short_path(out)}: expected graded submissions, found none; grade the class first")
    return runs


def _rulings(root: Path, runs: Iterable[Path], rubric: Rubric) -> tuple[dict[Path, Ruling], list[str]]:
    """The overrides and deadlines of the runs that belong to classes, and remarks on classes whose files are wrong.

    Raises:
        GraderError: if `root` itself is a class with such a file.
    """
    rulings: dict[Path, Ruling] = {}
    remarks = []
    for out in sorted({above for run in runs if (above := class_above(run)) is not None}):
        try:
            for key, ruling in rulings_of(out, read_manifest(out), rubric).items():
                rulings[folder_of(out, key).resolve()] = ruling
        except GraderError as error:
            if out == root.resolve():
                raise
            remarks.append(f"{plain(str(error), 250)}; the overrides of the stored reports are used instead")
    return rulings, remarks


@cache
def _changed_rubric(loaded: LoadedRubric, changes: tuple[Change, ...]) -> Rubric:
    return with_changes(loaded.rubric, changes)


def _shift(run: _TrialRun) -> Shift | str:
    """What the submission would gain or lose, or why it could not be re-graded."""
    try:
        loaded = load_once(run.rubric)
        rubric, exercise = loaded.rubric, loaded.exercise
        reported = stored_report(run.folder)
        refuse_other_rubric(run.folder, reported, rubric, run.rubric)
        before = _report_of(run, reported, rubric, exercise) if run.changes else reported
        after = _report_of(run, reported, _changed_rubric(loaded, run.changes), exercise)
    except (GraderError, OSError) as error:
        return plain(str(error), 300)
    old, new = (GradebookRow(run.name, StudentState.GRADED, report=report) for report in (before, after))
    items = (*before.items, *after.items)
    return Shift(
        run.name,
        reported.points_milli,
        before.points_milli,
        after.points_milli,
        counted_milli(before),
        counted_milli(after),
        any(item.outcome is Outcome.NEEDS_REVIEW for item in items),
        next(iter(history.changes(snapshots([old]), [new], "")), None),
    )


def _report_of(run: _TrialRun, reported: GradeReport, rubric: Rubric, exercise: Exercise) -> GradeReport:
    report = regraded_report(run.folder, reported, rubric, exercise, keep=False)
    return run.ruling.over(report) if run.ruling else with_own_decisions(run.folder, report, rubric)


def _stale(shifts: Sequence[Shift]) -> list[str]:
    """A remark if stored reports are out of date under the rubric without the changes."""
    count = sum(shift.reported_milli != shift.old_milli for shift in shifts)
    text = f"{count} of {len(shifts)} reports are out of date under the current rubric; regrade them first"
    return [text] if count else []


def _falls(root: Path, shifts: Sequence[Shift]) -> list[str]:
    """Remarks on submissions whose points would fall below the released ones."""
    released = read_released(root)
    before = {shift.submission: shift.old_counted_milli for shift in shifts if shift.submission in released}
    after = {shift.submission: shift.new_counted_milli for shift in shifts if shift.submission in released}
    return [
        f"{plain(fall.key, 60)}: {points_text(fall.released_milli)} points were released, "
        f"{points_text(fall.now_milli)} would be left; a regrade needs --lower with a --reason"
        for fall in falls(before, after, released)
    ]


def summary(shifts: Sequence[Shift]) -> str:
    """One line: how many submissions would gain or lose points, and that nothing was written."""
    gain = sum(shift.gain_milli > 0 for shift in shifts)
    lose = sum(shift.gain_milli < 0 for shift in shifts)
    counts = f"{gain} of {len(shifts)} would gain, {lose} would lose, {len(shifts) - gain - lose} would not change"
    unsure = sum(shift.undecided for shift in shifts)
    return f"{counts}{f'; {unsure} need manual review' if unsure else ''}. Nothing was written."


def _named(name: str, values: Mapping[str, Value], what: str) -> Value:
    if name in values:
        return values[name]
    raise GraderError(f"--set: {what} {name[:80]!r} is unknown{nearest(name, values)}")


def _changed_item(item: RubricItem, change: Change) -> RubricItem:
    return replace(item, checks=tuple(_changed_check(s, change) if s.check == change.check else s for s in item.checks))


def _changed_check(spec: CheckSpec, change: Change) -> CheckSpec:
    whole = isinstance(spec.params[change.number], int) and change.value.is_integer()
    value = int(change.value) if whole else change.value
    return replace(spec, params={**spec.params, change.number: value})


def _refuse_turned(where: str, old: Mapping[str, float], new: Mapping[str, float]) -> None:
    for low, high in (("zero_at", "full_at"), *((name, f"max_{name[4:]}") for name in new if name.startswith("min_"))):
        if low in new and high in new and (new[low] == new[high] or (new[low] < new[high]) != (old[low] < old[high])):
            raise GraderError(
                f"--set: {where}: expected {low} and {high} in the same order, got {new[low]:g} and {new[high]:g}"
            )
