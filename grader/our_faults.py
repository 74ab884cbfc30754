"""Faults of the grader or its machine: nothing of such a run becomes points, and one line says why."""

from __future__ import annotations

from grader.errors import BoxError, GraderError
from grader.notebook.format import one_line
from grader.records import GradeReport, Outcome, Status
from grader.report.words import is_judged
from grader.running import Ran

OURS = "a fault of the grader's or of this machine"
MAX_CAUSE = 300  # characters


def refuse_broken(ran: Ran) -> None:
    """The box has not failed: where it has, nothing of the run may become points.

    Raises:
        BoxError: it has; with the cause, as far as it is known, and who can say more.
    """
    if ran.execution.status is not Status.BOX_ERROR:
        return
    cause = one_line(ran.execution.events[-1] if ran.execution.events else "the box failed", MAX_CAUSE)
    log = ran.execution.log_tail.strip()
    if log and not ran.execution.cells:  # no cell has run yet, so this is the machine's word
        cause += f": {one_line(log.splitlines()[-1], MAX_CAUSE)}"
    raise BoxError(f"{OURS}: {cause}; `python -m grader doctor` says what this machine lacks")


def refuse_undecided(report: GradeReport) -> None:
    """At least one check could be judged; without any, there are no points to report, not even zero.

    Raises:
        GraderError: the grader could tell nothing at all.
    """
    undecided = [item for item in report.items if item.outcome is Outcome.NEEDS_REVIEW]
    if not undecided or any(is_judged(item) for item in report.items):
        return
    unsure = next(c for item in undecided for c in item.checks if c.outcome is Outcome.NEEDS_REVIEW)
    raise GraderError(f"{OURS}: {one_line(unsure.message, MAX_CAUSE)}; `python -m grader doctor` tries this machine")
