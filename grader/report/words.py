"""The words in which every form of the report says the same thing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from types import MappingProxyType

from grader.errors import one_line
from grader.records import AS_GRADER, LEFT_OUT, CheckVerdict, GradeReport, ItemVerdict, Outcome, Remark, Status
from grader.report.text import of_points, points_text

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
_MAX_REASON = 300  # characters of a check's message
LOOKED_AT = "looked_at"  # the kind of a remark: a person has looked, and says so
NO_ISOLATION = "Graded without isolation"
LITTLE_ISOLATION = "Graded with little isolation"
_STUDENT_NOTES = (  # kinds of remarks, and what a student reads where there is one of them
    (
        {"given_cell_changed", "given_cell_missing"},
        "Some given cells had been changed or deleted. They were run as handed out, which costs no points by itself.",
    ),
    (
        {"earlier_template"},
        "The notebook comes from a template that was handed out earlier, and was run with that one's given code.",
    ),
    (
        {"outputs_differ", "error_differs", "outputs_missing", "cells_run_out_of_order"},
        "Some saved outputs are missing or differ from those of the graded run, which costs no points by itself.",
    ),
)
LONGEST = MappingProxyType({"name": 120, "id": 80, "title": 200, "message": 600, "number": 60})  # characters


def isolated(isolation: str) -> bool:
    """Whether the box had walls that hold; every report says loudly where it had none, or one within reach."""
    return not isolation.startswith(("none", AS_GRADER))


def not_isolated(isolation: str) -> str:
    """The first words of a warning; empty where there is none."""
    if isolated(isolation):
        return ""
    return LITTLE_ISOLATION if isolation.startswith(AS_GRADER) else NO_ISOLATION


def needs_person(items: Sequence[ItemVerdict], remarks: Sequence[Remark], status: Status, isolation: str) -> bool:
    """Whether somebody must look before the points are final; a remark that somebody has looked ends that."""
    if any(remark.kind == LOOKED_AT for remark in remarks):
        return False
    unsure = any(item.outcome is Outcome.NEEDS_REVIEW for item in items)
    remarked = any(remark.needs_person for remark in remarks)
    return unsure or remarked or status is Status.BOX_ERROR or not isolated(isolation)


def isolation_warning(report: GradeReport) -> str:
    """What every report says where the box had no walls, or a low one, for staff; empty where it had."""
    if isolated(report.isolation):
        return ""
    if report.isolation.startswith(AS_GRADER):
        return (
            f"{LITTLE_ISOLATION}: the submission ran as the grader's own account. Landlock and a filter kept files,"
            " memory and the network from it; not the account's terminals, nor the sockets of its desktop and services,"
            " nor, before Linux 6.12, signals to its processes. Believe these points only for code that is not hostile."
        )
    return (
        f"{NO_ISOLATION}: the submission could read and change whatever the grader's account can. "
        "Believe these points only for code you trust."
    )


def isolation_note(report: GradeReport) -> str:
    """What a report says to staff of a box that was isolated, and less than the default one; else empty."""
    if not isolated(report.isolation) or not report.isolation.startswith("user"):
        return ""
    files = "file permissions alone kept files from it, " if "no Landlock" in report.isolation else ""
    return (
        f"Graded without namespaces, by a user of the box's own: {files}the machine's processes, host name and file"
        " names were in sight, and boxes that ran at the same time could hand each other files in /dev/shm."
    )


def student_notes(report: GradeReport) -> tuple[str, ...]:
    """What a student reads of the remarks: one neutral sentence on each subject."""
    kinds = {remark.kind for remark in report.remarks}
    return tuple(sentence for those, sentence in _STUDENT_NOTES if those & kinds)


def is_lost(check: CheckVerdict) -> bool:
    """True for a check of which a reader wants the reason."""
    short = check.outcome is not Outcome.PASSED or check.points_milli < check.max_points_milli
    return short and not is_left_out(check)


def undecided_milli(item: ItemVerdict) -> int:
    """The thousandths of an item that a person may still give: what the grader could not tell."""
    if item.outcome is not Outcome.NEEDS_REVIEW:
        return 0
    unsure = (Outcome.NEEDS_REVIEW, Outcome.SKIPPED)
    open_checks = [c for c in item.checks if c.outcome in unsure and not is_left_out(c)]
    if not open_checks:
        return item.max_points_milli - item.points_milli
    return sum(check.max_points_milli - check.points_milli for check in open_checks)


def left_out_milli(items: Sequence[ItemVerdict]) -> int:
    """The thousandths that the run did not judge at all, such as what is trained in a run of components alone."""
    checks = [check for item in items if item.override is None for check in item.checks]
    return sum(check.max_points_milli for check in checks if is_left_out(check))


def is_left_out(check: CheckVerdict) -> bool:
    """Whether the run was told not to ask for this."""
    return check.outcome is Outcome.SKIPPED and check.message == LEFT_OUT


def trained_parts(report: GradeReport) -> frozenset[str]:
    """The parts of which everything was to be judged, also what needs training."""
    parts = {item.id.partition(".")[0] for item in report.items}
    return frozenset(parts - {item.id.partition(".")[0] for item in report.items if any(map(is_left_out, item.checks))})


def judged_milli(items: Sequence[ItemVerdict]) -> int:
    """The thousandths that were judged: all but what the run left out and what waits for a person."""
    return sum(item.max_points_milli - undecided_milli(item) for item in items) - left_out_milli(items)


def is_complete(report: GradeReport) -> bool:
    """Whether the run left nothing of the rubric out, so that the sum is a grade."""
    return left_out_milli(report.items) == 0


def judged_points(report: GradeReport) -> str:
    """Points out of what was judged, for instance "60 / 60" where 40 more would need training."""
    return of_points(report.points_milli, judged_milli(report.items))


def penalty_milli(report: GradeReport) -> int:
    """The thousandths that are taken off for handing in late, down to a whole one: never more than was earned."""
    if report.late is None:
        return 0
    base = report.points_milli if report.late.of_earned else judged_milli(report.items)
    return min(report.points_milli, int(base * Decimal(str(report.late.percent)) / 100))


def counted_milli(report: GradeReport) -> int:
    """The thousandths that count: what was earned, without the penalty for handing in late."""
    return report.points_milli - penalty_milli(report)


def late_sentence(report: GradeReport) -> str:
    """How late it was and what that costs, or who made it no matter; empty where there is nothing to say."""
    late = report.late
    if late is None or not late.handed_in or not (late.days or late.note):
        return ""
    note = f" ({late.note})" if late.note else ""
    by = f"{_moment(late.deadline)}{note}"
    if not late.days and datetime.fromisoformat(late.handed_in) > datetime.fromisoformat(late.deadline):
        return f"Handed in on {_moment(late.handed_in)}, after {_moment(late.deadline)}, which costs nothing{note}."
    if not late.days:
        return f"Handed in on {_moment(late.handed_in)}: in time for {by}."
    days = f"{late.days} {'day' if late.days == 1 else 'days'}"
    penalty = penalty_milli(report)
    return (
        f"Handed in on {_moment(late.handed_in)}, {days} late for {by}: {_points(penalty)} "
        f"{'is' if penalty == 1000 else 'are'} taken off, and {points_text(counted_milli(report))} count."
    )


def _moment(timestamp: str) -> str:
    """A time as a person reads it: "2026-11-20 23:59"."""
    return timestamp[:16].replace("T", " ")


def is_judged(item: ItemVerdict) -> bool:
    """Whether at least something of the item was judged; else it has no points, not even none."""
    return judged_milli([item]) > 0 or not item.checks


def item_points(item: ItemVerdict) -> str:
    """An item's points out of what was judged of it; a dash where nothing was."""
    return of_points(item.points_milli, judged_milli([item])) if is_judged(item) else "–"


def by_part(items: Sequence[ItemVerdict]) -> list[tuple[str, str, list[tuple[int, ItemVerdict]]]]:
    """The items with their numbers from 1, by part, as their ids `part.item` say: the part's name, its points, them.

    Two parts may have items of the same title; a part without a name has no points of its own.
    """
    groups: dict[str, list[tuple[int, ItemVerdict]]] = {}
    for number, item in enumerate(items, start=1):
        part, dot, _ = item.id.partition(".")
        groups.setdefault(part.upper() if dot else "", []).append((number, item))
    return [(name, _sum_of([item for _, item in those]) if name else "", those) for name, those in groups.items()]


def _sum_of(items: Sequence[ItemVerdict]) -> str:
    return of_points(sum(item.points_milli for item in items), judged_milli(items))


def shown_outcome(item: ItemVerdict) -> Outcome:
    """The item's outcome as far as this run judged it."""
    partly = item.outcome is Outcome.PARTIAL and left_out_milli([item]) > 0
    return Outcome.PASSED if partly and not any(map(is_lost, item.checks)) else item.outcome


_IDENTIFIERS = frozenset({"mu", "logvar", "kl", "elbo"})


def sentence(text: str) -> str:
    """The message as a sentence: a capital, unless it begins with a name of code, and a full stop."""
    first = text.partition(" ")[0].rstrip(":,;")
    if first.isalpha() and first.islower() and len(first) > 1 and first not in _IDENTIFIERS:
        text = text[0].upper() + text[1:]
    return text if not text or text[-1] in ".!?…:" else text + "."


def summary(report: GradeReport) -> str:
    """A few short sentences: how many items are whole, what was lost, what was not judged, what waits for a person."""
    if not report.items:
        return "Nothing was graded."
    left_out, undecided = left_out_milli(report.items), sum(map(undecided_milli, report.items))
    judged = [item for item in report.items if is_judged(item)]
    count = len(judged)
    whole = sum(item.points_milli >= judged_milli([item]) for item in judged)
    rest = [f"{_points(undecided)} {'awaits' if undecided == 1000 else 'await'} manual review."] if undecided else []
    rest += [f"Not judged in this run: {_points(left_out)}."] if left_out else []
    if whole == count:
        earned = f"All {_items(count)} earned full points." if count else ""
        return " ".join(filter(None, [earned, *rest]))
    lost = report.max_points_milli - left_out - report.points_milli - undecided
    sentences = [f"{whole or 'None'} of {_items(count)} earned full points."]
    if lost > 0:
        sentences.append(f"Lost: {_points(lost)}.")
    return " ".join([*sentences, *rest])


def reasons_for_person(report: GradeReport) -> tuple[str, ...]:
    """Why a person has to look, one sentence each; for staff."""
    items = [f"{item.id}: {_undecided_because(item)}." for item in report.items if undecided_milli(item)]
    return (*(remark.message for remark in report.remarks if remark.needs_person), *items)


def _undecided_because(item: ItemVerdict) -> str:
    messages = (check.message for check in item.checks if check.outcome is Outcome.NEEDS_REVIEW)
    message = one_line(next(messages, ""), _MAX_REASON).removesuffix("; a person decides").rstrip(".")
    if not message and item.lost_in:
        return "a second training with a correct version of an earlier item is due and was not run; grade it again"
    return message or "the grader could not tell"


def follow_notes(item: ItemVerdict, items: Sequence[ItemVerdict]) -> tuple[str, ...]:
    """What stands above an item's checks, one sentence each: a person's decision, what was given back, what it cost."""
    titles = {other.id: f"“{other.title}”" for other in items}
    notes = []
    if item.override is not None:
        points, was = _points(item.override.points_milli), points_text(item.override.was_milli)
        who = ", ".join(filter(None, (item.override.by, item.override.when)))
        why = f"{item.override.reason} ({who})"
        notes.append(f"A person decided this item: {points} where the grader gave {was}. Reason: {why}")
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


def _items(count: int) -> str:
    return f"{count} {'item' if count == 1 else 'items'}"


def _points(milli: int) -> str:
    return f"{points_text(milli)} {'point' if milli == 1000 else 'points'}"
