"""The sentences of a report, the same in every form. The numbers in them come from `totals`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from types import MappingProxyType

from grader.records import AS_GRADER, CheckVerdict, GradeReport, ItemVerdict, Outcome, Override, Status
from grader.report.text import of_points, plain, points_text
from grader.report.totals import (
    LOOKED_AT,
    counted_milli,
    graded_milli,
    is_graded,
    is_left_out,
    isolated,
    left_out_milli,
    penalty_milli,
    undecided_milli,
)

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
        Status.CELL_ERROR: "ran, but at least one cell stopped with an error",
        Status.TIMEOUT: "ran out of time",
        Status.KILLED: "was stopped at a limit, or its process ended",
        Status.BOX_ERROR: "could not be run because of a problem on our side",
    }
)
_MAX_REASON = 300  # characters of a check's message
NO_ISOLATION = "Graded without isolation"
LITTLE_ISOLATION = "Graded with little isolation"
_STUDENT_REMARKS = (  # kinds of remarks, and the sentence for the student if the report has one of them
    (
        {"given_cell_changed", "given_cell_missing"},
        "Some provided cells were changed or deleted. They were run as handed out. This alone costs no points.",
    ),
    (
        {"earlier_template"},
        "The notebook is based on an earlier template, and was run with the provided code of that template.",
    ),
    (
        {"outputs_missing"},
        "Some cells were submitted without outputs. This alone costs no points.",
    ),
    (
        {"outputs_differ", "error_differs", "cells_run_out_of_order"},
        "Some saved outputs differ from those of the graded run. This alone costs no points.",
    ),
)
LONGEST = MappingProxyType({"name": 120, "id": 80, "title": 200, "message": 600, "number": 60})  # characters


def not_isolated(isolation: str) -> str:
    """The first words of the warning about isolation; empty if the notebook was isolated."""
    if isolated(isolation):
        return ""
    return LITTLE_ISOLATION if isolation.startswith(AS_GRADER) else NO_ISOLATION


def isolation_warning(report: GradeReport) -> str:
    """A warning for staff if the notebook ran with little or no isolation; else empty."""
    if isolated(report.isolation):
        return ""
    if report.isolation.startswith(AS_GRADER):
        return (
            f"{LITTLE_ISOLATION}: the submission ran as the grader's own account. Landlock and a filter denied it"
            " files, memory and the network, but not the account's terminals, the sockets of its desktop and services"
            " or, before Linux 6.12, signals to its processes. Rely on these points only if the code is not hostile."
        )
    return (
        f"{NO_ISOLATION}: the submission could read and change everything that the grader's account can. "
        "Rely on these points only if you trust the code."
    )


def isolation_remark(report: GradeReport) -> str:
    """A remark for staff if the isolation was weaker than the default; else empty."""
    if not isolated(report.isolation) or not report.isolation.startswith("user"):
        return ""
    files = "only file permissions protected files, " if "no Landlock" in report.isolation else ""
    return (
        f"Graded without namespaces, as a separate user: {files}the machine's processes, host name and file"
        " names were visible, and notebooks that ran at the same time could exchange files in /dev/shm."
    )


def student_remarks(report: GradeReport) -> tuple[str, ...]:
    """The remarks on the file that a student reads: one neutral sentence per subject."""
    kinds = {remark.kind for remark in report.remarks}
    return tuple(sentence for those, sentence in _STUDENT_REMARKS if those & kinds)


def graded_points(report: GradeReport) -> str:
    """Points out of those that were graded, for instance "60 / 60" if 40 more would need training."""
    return of_points(report.points_milli, graded_milli(report.items))


def late_sentence(report: GradeReport) -> str:
    """How late the submission was and what that costs, or why it costs nothing; empty without a deadline to name."""
    late = report.late
    if late is None or not late.handed_in or not (late.days or late.note):
        return ""
    note = f" ({late.note})" if late.note else ""
    by = f"{_date_and_time(late.deadline)}{note}"
    if not late.days and datetime.fromisoformat(late.handed_in) > datetime.fromisoformat(late.deadline):
        deadline = _date_and_time(late.deadline)
        return f"Submitted on {_date_and_time(late.handed_in)}, after the deadline {deadline}, without a penalty{note}."
    if not late.days:
        return f"Submitted on {_date_and_time(late.handed_in)}, before the deadline {by}."
    days = f"{late.days} {'day' if late.days == 1 else 'days'}"
    penalty = penalty_milli(report)
    return (
        f"Submitted on {_date_and_time(late.handed_in)}, {days} after the deadline {by}: "
        f"penalty {_points(penalty)}, so {points_text(counted_milli(report))} count."
    )


def _date_and_time(timestamp: str) -> str:
    """A time as a person reads it: "2026-11-20 23:59"."""
    return timestamp[:16].replace("T", " ")


def item_points(item: ItemVerdict) -> str:
    """An item's points out of those that were graded; a dash if none were graded."""
    return of_points(item.points_milli, graded_milli([item])) if is_graded(item) else "–"


def outcomes_of(checks: Sequence[CheckVerdict]) -> str:
    """The number of checks by outcome, for instance "7 passed, 2 not graded"."""
    words = ["not graded" if is_left_out(check) else OUTCOME_WORDS[check.outcome] for check in checks]
    return ", ".join(f"{count} {word}" for word, count in Counter(words).items())


def by_part(items: Sequence[ItemVerdict]) -> list[tuple[str, str, list[tuple[int, ItemVerdict]]]]:
    """For each part, named in the ids `part.item`: its name, its points, and its items with their numbers from 1.

    Two parts may have items with the same title. Items without a part have an empty name and empty points.
    """
    groups: dict[str, list[tuple[int, ItemVerdict]]] = {}
    for number, item in enumerate(items, start=1):
        part, dot, _ = item.id.partition(".")
        groups.setdefault(part.upper() if dot else "", []).append((number, item))
    return [(name, _sum_of([item for _, item in those]) if name else "", those) for name, those in groups.items()]


def _sum_of(items: Sequence[ItemVerdict]) -> str:
    return of_points(sum(item.points_milli for item in items), graded_milli(items))


_IDENTIFIERS = frozenset({"mu", "logvar", "kl", "elbo"})


def sentence(text: str) -> str:
    """The message as a sentence: a capital, unless it begins with a name of code, and a full stop."""
    first = text.partition(" ")[0].rstrip(":,;")
    is_name = first in _IDENTIFIERS or text.startswith(f"{first} is not defined")
    if first.isalpha() and first.islower() and len(first) > 1 and not is_name:
        text = text[0].upper() + text[1:]
    return text if not text or text[-1] in ".!?…:" else text + "."


def summary(report: GradeReport) -> str:
    """A few short sentences: items with full points, points lost, not graded and under review, and staff decisions."""
    if not report.items:
        return "Nothing was graded."
    left_out, undecided = left_out_milli(report.items), sum(map(undecided_milli, report.items))
    graded = [item for item in report.items if is_graded(item)]
    count = len(graded)
    whole = sum(item.points_milli >= graded_milli([item]) for item in graded)
    rest = [f"{_points(undecided)} {'awaits' if undecided == 1000 else 'await'} manual review."] if undecided else []
    rest += [f"Not graded in this run: {_points(left_out)}."] if left_out else []
    decided = sum(item.override is not None for item in report.items)
    rest += [f"{_items(decided)} {'was' if decided == 1 else 'were'} decided by the course staff."] if decided else []
    if whole == count:
        earned = f"All {_items(count)} earned full points." if count else ""
        return " ".join(filter(None, [earned, *rest]))
    lost = report.max_points_milli - left_out - report.points_milli - undecided
    sentences = [f"{whole} of {_items(count)} earned full points." if whole else "No item earned full points."]
    if lost > 0:
        sentences.append(f"Lost: {_points(lost)}.")
    return " ".join([*sentences, *rest])


def reasons_for_person(report: GradeReport) -> tuple[str, ...]:
    """The review reasons, one sentence each; for staff. There is at least one if the report needs manual review."""
    reasons = [remark.message for remark in report.remarks if remark.needs_person]
    reasons += [f"{item.id}: {_undecided_because(item)}." for item in report.items if undecided_milli(item)]
    if report.needs_person and report.status is Status.BOX_ERROR:
        event = f": {report.events[-1].rstrip('.')}" if report.events else ""
        reasons.append(f"The run stopped because of a grader fault{event}.")
    if report.needs_person and not isolated(report.isolation):
        how = "without" if not_isolated(report.isolation) == NO_ISOLATION else "with little"
        reasons.append(f"The notebook ran {how} isolation; staff must confirm that its code is harmless.")
    return tuple(reasons)


def _undecided_because(item: ItemVerdict) -> str:
    messages = (check.message for check in item.checks if check.outcome is Outcome.NEEDS_REVIEW)
    message = plain(next(messages, ""), _MAX_REASON).rstrip(".")
    if not message and item.lost_in:
        return "a second training with a correct version of an earlier item is due and was not run; grade it again"
    return message or "could not be graded automatically"


def override_remarks(report: GradeReport) -> tuple[str, ...]:
    """The decisions of staff in this report, one sentence each; for staff."""
    remarks = [f"{item.title}: {_decision(item.override)}" for item in report.items if item.override is not None]
    return (*remarks, *(remark.message for remark in report.remarks if remark.kind == LOOKED_AT))


def _decision(override: Override) -> str:
    """A sentence with the points of a decision, the grader's points, the reason, and who decided."""
    who = ", ".join(filter(None, (override.by, override.when)))
    given, was = _points(override.points_milli), points_text(override.was_milli)
    return f"{given} instead of {was}. Reason: {override.reason} ({who})"


def item_remarks(item: ItemVerdict, items: Sequence[ItemVerdict]) -> tuple[str, ...]:
    """The remarks above an item's checks: a decision of staff, points given back, and points lost in this item only."""
    titles = {other.id: f"“{other.title}”" for other in items}
    remarks = []
    if item.override is not None:
        remarks.append(f"Decided by the course staff: {_decision(item.override)}")
    if item.gained_milli:
        causes = " and ".join(titles.get(cause, cause) for cause in item.lost_in)
        remarks.append(
            f"Lost in {causes}, not counted again here: re-run with a correct version of it, this code earned "
            f"{points_text(item.gained_milli)} more {'point' if item.gained_milli == 1000 else 'points'}, "
            "which are included."
        )
    remarks += [
        f"Mistakes in {titles.get(cause, cause)} may have cost points here, too. This code is re-run with a correct "
        f"version of it only if that item earned at least {100 * needed:.0f} % of its points."
        for cause, needed in item.not_replaced.items()
    ]
    spared = dict.fromkeys(titles[other.id] for other in items if other.gained_milli and item.id in other.lost_in)
    if spared:
        remarks.append(f"Lost here, not counted again in {' and '.join(spared)}.")
    return tuple(remarks)


def _items(count: int) -> str:
    return f"{count} {'item' if count == 1 else 'items'}"


def _points(milli: int) -> str:
    return f"{points_text(milli)} {'point' if milli == 1000 else 'points'}"
