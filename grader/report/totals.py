"""The arithmetic of a report: what was graded, lost, left out, taken off for lateness or waits for manual review.

All points are thousandths (`*_milli`). The sentences on these numbers are in `words`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal

from grader.records import AS_GRADER, LEFT_OUT, CheckVerdict, GradeReport, ItemVerdict, Outcome, Remark, Status

LOOKED_AT = "looked_at"  # the kind of a remark: staff have reviewed the submission


def isolated(isolation: str) -> bool:
    """Whether the notebook was isolated; every report warns if there was little isolation, or none."""
    return not isolation.startswith(("none", AS_GRADER))


def needs_person(items: Sequence[ItemVerdict], remarks: Sequence[Remark], status: Status, isolation: str) -> bool:
    """Whether staff must review the report before its points are final; they need not once they have reviewed it."""
    if any(remark.kind == LOOKED_AT for remark in remarks):
        return False
    unsure = any(item.outcome is Outcome.NEEDS_REVIEW for item in items)
    remarked = any(remark.needs_person for remark in remarks)
    return unsure or remarked or status is Status.BOX_ERROR or not isolated(isolation)


def with_items(report: GradeReport, items: tuple[ItemVerdict, ...], remarks: tuple[Remark, ...]) -> GradeReport:
    """The report with these verdicts and remarks, the sum of their points, and whether they need manual review."""
    return replace(
        report,
        items=items,
        remarks=remarks,
        points_milli=sum(item.points_milli for item in items),
        needs_person=needs_person(items, remarks, report.status, report.isolation),
    )


def is_lost(check: CheckVerdict) -> bool:
    """Whether the check lost points or could not be graded, so that a reader wants the reason."""
    short = check.outcome is not Outcome.PASSED or check.points_milli < check.max_points_milli
    return short and not is_left_out(check)


def undecided_milli(item: ItemVerdict) -> int:
    """The thousandths of an item that await manual review, because they could not be graded automatically."""
    if item.outcome is not Outcome.NEEDS_REVIEW:
        return 0
    unsure = (Outcome.NEEDS_REVIEW, Outcome.SKIPPED)
    open_checks = [c for c in item.checks if c.outcome in unsure and not is_left_out(c)]
    if not open_checks:
        return item.max_points_milli - item.points_milli
    return sum(check.max_points_milli - check.points_milli for check in open_checks)


def left_out_milli(items: Sequence[ItemVerdict]) -> int:
    """The thousandths that the run did not grade at all, for instance trained models in a run without training."""
    checks = [check for item in items if item.override is None for check in item.checks]
    return sum(check.max_points_milli for check in checks if is_left_out(check))


def is_left_out(check: CheckVerdict) -> bool:
    """Whether the run left this check out, as requested."""
    return check.outcome is Outcome.SKIPPED and check.message == LEFT_OUT


def trained_parts(report: GradeReport) -> frozenset[str]:
    """The parts that were graded completely, including what needs training."""
    parts = {item.part for item in report.items}
    return frozenset(parts - {item.part for item in report.items if any(map(is_left_out, item.checks))})


def graded_milli(items: Sequence[ItemVerdict]) -> int:
    """The thousandths that were graded: all but those left out of the run and those that await manual review."""
    return sum(item.max_points_milli - undecided_milli(item) for item in items) - left_out_milli(items)


def is_complete(report: GradeReport) -> bool:
    """Whether the run left out nothing of the rubric, so that the sum is a grade."""
    return left_out_milli(report.items) == 0


def penalty_milli(report: GradeReport) -> int:
    """The penalty for a late submission in thousandths, rounded down: never more than was earned."""
    if report.late is None:
        return 0
    base = report.points_milli if report.late.of_earned else graded_milli(report.items)
    return min(report.points_milli, int(base * Decimal(str(report.late.percent)) / 100))


def counted_milli(report: GradeReport) -> int:
    """The thousandths that count: those earned, less the penalty for a late submission."""
    return report.points_milli - penalty_milli(report)


def is_graded(item: ItemVerdict) -> bool:
    """Whether at least a part of the item was graded; else it has no points, not even zero."""
    return graded_milli([item]) > 0 or not item.checks


def shown_outcome(item: ItemVerdict) -> Outcome:
    """The item's outcome as far as this run graded it."""
    partly = item.outcome is Outcome.PARTIAL and left_out_milli([item]) > 0
    return Outcome.PASSED if partly and not any(map(is_lost, item.checks)) else item.outcome
