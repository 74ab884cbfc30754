"""The words in which every form of the report says the same thing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from grader.records import CheckVerdict, GradeReport, ItemVerdict, Outcome, Remark, Status
from grader.report.points import points_text

OUTCOME_WORDS: Mapping[Outcome, str] = MappingProxyType(
    {
        Outcome.PASSED: "passed",
        Outcome.PARTIAL: "partial",
        Outcome.FAILED: "failed",
        Outcome.SKIPPED: "skipped",
        Outcome.NEEDS_REVIEW: "needs review",
    }
)
OUTCOME_MARKS: Mapping[Outcome, str] = MappingProxyType(
    {
        Outcome.PASSED: "✓",
        Outcome.PARTIAL: "◐",
        Outcome.FAILED: "✗",
        Outcome.SKIPPED: "–",
        Outcome.NEEDS_REVIEW: "?",
    }
)
STATUS_WORDS: Mapping[Status, str] = MappingProxyType(
    {
        Status.OK: "ran to its end",
        Status.CELL_ERROR: "ran, with an error in a cell",
        Status.TIMEOUT: "ran out of time",
        Status.KILLED: "was stopped by a limit or died",
        Status.BOX_ERROR: "did not run: the grader's own fault",
    }
)
LOOKED_AT = "looked_at"  # the kind of a remark: a person has looked, and says so
NO_ISOLATION = "Graded without isolation"
_TOLD = (  # kinds of remarks, and what a student reads where there is one of them
    (
        {"given_cell_changed", "given_cell_missing"},
        "Some given cells had been changed or deleted. They were run as handed out, which costs no points by itself.",
    ),
    (
        {"outputs_differ", "error_differs", "outputs_missing", "cells_run_out_of_order"},
        "Some saved outputs are missing or differ from those of the graded run, which costs no points by itself.",
    ),
)
LONGEST = MappingProxyType({"name": 120, "id": 80, "title": 200, "message": 600, "number": 60})  # characters


def isolated(isolation: str) -> bool:
    """Whether the box had walls at all; every report says loudly where it had none."""
    return not isolation.startswith("none")


def needs_person(items: Sequence[ItemVerdict], remarks: Sequence[Remark], status: Status, isolation: str) -> bool:
    """Whether somebody must look before the points are final; a remark that somebody has looked ends that."""
    if any(remark.kind == LOOKED_AT for remark in remarks):
        return False
    unsure = any(item.outcome is Outcome.NEEDS_REVIEW for item in items)
    told = any(remark.needs_person for remark in remarks)
    return unsure or told or status is Status.BOX_ERROR or not isolated(isolation)


def isolation_warning(report: GradeReport) -> str:
    """What every report says where the box had no walls, for staff; empty where it had."""
    if isolated(report.isolation):
        return ""
    return (
        f"{NO_ISOLATION}: the submission could read and change whatever the grader's account can. "
        "Believe these points only for code you trust."
    )


def told_student(report: GradeReport) -> tuple[str, ...]:
    """What a student reads of the remarks: one neutral sentence on each subject."""
    kinds = {remark.kind for remark in report.remarks}
    return tuple(sentence for those, sentence in _TOLD if those & kinds)


def is_lost(check: CheckVerdict) -> bool:
    """True for a check of which a reader wants the reason."""
    return check.outcome is not Outcome.PASSED or check.points_milli < check.max_points_milli


def undecided_milli(item: ItemVerdict) -> int:
    """The thousandths of an item that a person may still give: what the grader could not tell."""
    if item.outcome is not Outcome.NEEDS_REVIEW:
        return 0
    open_checks = [c for c in item.checks if c.outcome in (Outcome.NEEDS_REVIEW, Outcome.SKIPPED)]
    if not open_checks:
        return item.max_points_milli - item.points_milli
    return sum(check.max_points_milli - check.points_milli for check in open_checks)


def summary(report: GradeReport) -> str:
    """A few short sentences: how many items are whole, what was lost, what waits for a person."""
    if not report.items:
        return "Nothing was graded."
    count = len(report.items)
    whole = sum(item.points_milli >= item.max_points_milli for item in report.items)
    if whole == count:
        return f"All {_counted(count, 'item')} earned full points."
    undecided = sum(undecided_milli(item) for item in report.items)
    lost = report.max_points_milli - report.points_milli - undecided
    told = [f"{whole or 'None'} of {_counted(count, 'item')} earned full points."]
    if lost > 0:
        told.append(f"Lost: {_points(lost)}.")
    if undecided > 0:
        told.append(f"Undecided until a person has looked: {_points(undecided)}.")
    return " ".join(told)


def reasons_for_person(report: GradeReport) -> tuple[str, ...]:
    """Why a person has to look, one sentence each; for staff."""
    items = [f"{item.id}: the grader could not tell." for item in report.items if undecided_milli(item)]
    return (*(remark.message for remark in report.remarks if remark.needs_person), *items)


def follow_notes(item: ItemVerdict, items: Sequence[ItemVerdict]) -> tuple[str, ...]:
    """What stands above an item's checks, one sentence each: a person's decision, what was given back, what it cost."""
    titles = {other.id: f"“{other.title}”" for other in items}
    notes = []
    if item.override is not None:
        given, was = _points(item.override.points_milli), points_text(item.override.was_milli)
        notes.append(f"A person decided this item: {given} where the grader gave {was}. Reason: {item.override.reason}")
    if item.gained_milli:
        causes = " and ".join(titles.get(cause, cause) for cause in item.lost_in)
        notes.append(
            f"Lost in {causes}, not counted again here: with a sound version of that in its place, your code earned "
            f"{_points(item.gained_milli)} more than its own checks say."
        )
    spared = dict.fromkeys(titles[other.id] for other in items if other.gained_milli and item.id in other.lost_in)
    if spared:
        notes.append(f"Lost here, not counted again in {' and '.join(spared)}.")
    return tuple(notes)


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _points(milli: int) -> str:
    return f"{points_text(milli)} {'point' if milli == 1000 else 'points'}"
