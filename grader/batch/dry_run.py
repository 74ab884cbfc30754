"""What if a number of the rubric were another: graded submissions judged again from their evidence, nothing run.

The rubric is changed in memory only; folders of runs are read and never written.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from grader.errors import GraderError, nearest
from grader.grading.run_files import EARLIER, EVIDENCE, REPORT
from grader.grading.run_folder import stored_report
from grader.records import CheckSpec, ItemVerdict, Rubric, RubricItem
from grader.report.text import cell, points_number, points_text
from grader.store.files import csv_bytes

Judged = Callable[[Path, Rubric], Sequence[ItemVerdict]]
Known = TypeVar("Known")


@dataclass(frozen=True, slots=True)
class Change:
    """One number of one check of one item, and what it would be."""

    item: str
    check: str
    number: str
    value: float

    def __str__(self) -> str:
        return f"{self.item}.{self.check}.{self.number}={self.value:g}"


@dataclass(frozen=True, slots=True)
class Shift:
    """One graded submission under the rubric as it is and as it would be; `items` are those whose points move."""

    submission: str
    old_milli: int
    new_milli: int
    items: Mapping[str, tuple[int, int]]  # item -> old and new thousandths
    undecided: bool  # whether a person has to look, under either rubric
    reported_milli: int  # what the stored report says; another number than the old one is an older rubric's or grader's

    @property
    def gain_milli(self) -> int:
        """What the submission would gain; negative where it would lose."""
        return self.new_milli - self.old_milli


def parse_change(text: str, rubric: Rubric) -> Change:
    """The change that `vae.loss.kl_matches_closed_form.min_cosine=0.99` names.

    Raises:
        GraderError: one line: what is unknown and the nearest right name.
    """
    path, equals, number = text.partition("=")
    pieces = path.strip().split(".")
    if not equals or len(pieces) < 4:
        raise GraderError(f"--what-if: expected <item>.<check>.<number>=<value>, got {text[:100]!r}")
    item_id, check, name = ".".join(pieces[:-2]), pieces[-2], pieces[-1]
    item = _known(item_id, {item.id: item for item in rubric.items}, "item")
    spec = _known(check, {spec.check: spec for spec in item.checks}, f"{item_id}: check")
    _known(name, spec.params, f"{item_id}: {check}: number")
    try:
        value = float(number)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise GraderError(f"--what-if: {path.strip()}: expected a number, got {number[:40]!r}")
    return Change(item_id, check, name, value)


def changed(rubric: Rubric, changes: Sequence[Change]) -> Rubric:
    """The rubric with these numbers, as they all stand together.

    Raises:
        GraderError: where `zero_at` and `full_at` would be the same or change places.
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
    """Every folder below `root`, or itself, that holds a report and its evidence, by its path from there.

    Runs that a later one has replaced are not among them.

    Raises:
        GraderError: where there is none.
    """
    reports = (path.parent for path in root.rglob(REPORT) if EARLIER not in path.relative_to(root).parts)
    folders = sorted(folder for folder in reports if (folder / EVIDENCE).is_file())
    found = {(folder if folder == root else folder.relative_to(root)).as_posix(): folder for folder in folders}
    if not found:
        raise GraderError(f"{root}: expected folders with {REPORT} and {EVIDENCE}, found none; grade something first")
    return found


def reported(folders: Mapping[str, Path]) -> dict[str, int]:
    """The thousandths of a point that each folder's report says.

    Raises:
        GraderError: for a report that cannot be read.
    """
    return {name: stored_report(folder).points_milli for name, folder in folders.items()}


def shifts(
    folders: Mapping[str, Path], old: Rubric, new: Rubric, judged: Judged, reported_milli: Mapping[str, int]
) -> list[Shift]:
    """What each folder's submission would gain or lose, largest loss first."""
    made = []
    for name, folder in folders.items():
        before, after = judged(folder, old), judged(folder, new)
        moved = {
            was.id: (was.points_milli, now.points_milli)
            for was, now in zip(before, after, strict=True)
            if was.points_milli != now.points_milli
        }
        unsure = any(item.outcome == "needs_review" for item in (*before, *after))
        made.append(Shift(name, _total(before), _total(after), moved, unsure, reported_milli[name]))
    return sorted(made, key=lambda shift: (shift.gain_milli, shift.submission))


def shifts_csv(shifts: Sequence[Shift]) -> bytes:
    """One row a submission: old and new points, the gain, and the items that move."""
    rows = [
        {
            "submission": cell(shift.submission),
            "old_points": points_number(shift.old_milli),
            "new_points": points_number(shift.new_milli),
            "gain": points_number(shift.gain_milli),
            "items": "; ".join(moves(shift)),
            "needs_review": "yes" if shift.undecided else "",
            "reported": points_number(shift.reported_milli),
        }
        for shift in shifts
    ]
    return csv_bytes(rows)


def moves(shift: Shift) -> list[str]:
    """Each item whose points move, as "vae.loss 3.5 -> 5"."""
    return [f"{item} {points_text(was)} -> {points_text(now)}" for item, (was, now) in shift.items.items()]


def _known(name: str, known: Mapping[str, Known], what: str) -> Known:
    if name in known:
        return known[name]
    raise GraderError(f"--what-if: {what} {name[:80]!r} is unknown{nearest(name, known)}")


def _changed_item(item: RubricItem, change: Change) -> RubricItem:
    return replace(item, checks=tuple(_changed_check(s, change) if s.check == change.check else s for s in item.checks))


def _changed_check(spec: CheckSpec, change: Change) -> CheckSpec:
    whole = isinstance(spec.params[change.number], int) and change.value.is_integer()
    value = int(change.value) if whole else change.value
    return replace(spec, params={**spec.params, change.number: value})


def _total(items: Sequence[ItemVerdict]) -> int:
    return sum(item.points_milli for item in items)


def _refuse_turned(where: str, old: Mapping[str, float], new: Mapping[str, float]) -> None:
    for low, high in (("zero_at", "full_at"), *((name, f"max_{name[4:]}") for name in new if name.startswith("min_"))):
        if low in new and high in new and (new[low] == new[high] or (new[low] < new[high]) != (old[low] < old[high])):
            raise GraderError(
                f"--what-if: {where}: expected {low} to stay on its side of {high}, got {new[low]:g} and {new[high]:g}"
            )
