"""Points are computed in one place: exact, never above what a check is worth, and never zero for a grader fault."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_exercise.running import rubric as toy_rubric

from grader.checks import Check
from grader.evidence import NotAnswered
from grader.grading.verdicts import item_verdicts
from grader.records import CheckSpec, Evidence, Fault, Finding, ItemVerdict, Outcome, Rubric, RubricItem

NOTHING = Evidence({}, {}, {})


def verdict_of(*checks: tuple[Any, int, tuple[str, ...]]) -> ItemVerdict:
    """The verdict on an item whose checks, worth so many thousandths, find, raise or return that."""
    named = {f"check_{n}": _check(what) for n, (what, _, _) in enumerate(checks)}
    specs = tuple(CheckSpec(f"check_{n}", milli, {}, presupposes) for n, (_, milli, presupposes) in enumerate(checks))
    item = RubricItem("one.item", "An item", sum(spec.points_milli for spec in specs), specs)
    (verdict,) = item_verdicts(NOTHING, _rubric(item), named)
    return verdict


def _rubric(*items: RubricItem) -> Rubric:
    return replace(toy_rubric(), items=items, points_step_milli=250)


def _check(what: Any) -> Check:
    def check(evidence: Evidence, part: str, **params: float) -> Any:
        """What is found is found.

        Not for the student.
        """
        if isinstance(what, BaseException):
            raise what
        return Finding(what, "seen", "look there") if isinstance(what, float | None) else what

    return Check(check)


@pytest.mark.parametrize(
    ("score", "points", "outcome"),
    [
        (1.0, 1500, Outcome.PASSED),
        (0.0, 0, Outcome.FAILED),
        (0.5, 750, Outcome.PARTIAL),
        (1 / 3, 500, Outcome.PARTIAL),
        (0.0001, 0, Outcome.FAILED),
        (0.99999, 1250, Outcome.PARTIAL),  # "passed" means that nothing was wrong
        (0.45, 750, Outcome.PARTIAL),
        (None, 0, Outcome.NEEDS_REVIEW),
    ],
)
def test_a_score_becomes_points(score: float | None, points: int, outcome: Outcome) -> None:
    verdict = verdict_of((score, 1500, ()))
    assert (verdict.points_milli, verdict.outcome, verdict.checks[0].outcome) == (points, outcome, outcome)
    assert verdict.checks[0].hint == ("" if outcome is Outcome.PASSED else "look there")
    assert verdict.checks[0].title == "What is found is found."


@given(st.lists(st.tuples(st.floats(0, 1), st.integers(1, 80).map(lambda steps: 250 * steps)), min_size=1, max_size=8))
def test_sums_are_exact_and_within_the_item(checks: list[tuple[float, int]]) -> None:
    verdict = verdict_of(*[(score, milli, ()) for score, milli in checks])
    assert verdict.points_milli == sum(check.points_milli for check in verdict.checks)
    assert verdict.max_points_milli == sum(milli for _, milli in checks)
    assert all(0 <= check.points_milli <= check.max_points_milli for check in verdict.checks)
    assert (verdict.outcome is Outcome.PASSED) == (verdict.points_milli == verdict.max_points_milli)


def test_a_missing_answer_earns_no_points_and_has_its_reason() -> None:
    verdict = verdict_of((NotAnswered(Fault("student", "`Encoder` is not defined")), 1000, ()), (1.0, 500, ()))
    assert (verdict.points_milli, verdict.outcome) == (500, Outcome.PARTIAL)
    assert verdict.checks[0].outcome is Outcome.FAILED
    assert verdict.checks[0].message == "`Encoder` is not defined"


@pytest.mark.parametrize(
    ("what", "reason"),
    [
        (NotAnswered(Fault("ours", "the probe broke")), "the probe broke"),
        (ZeroDivisionError("division by zero"), "ZeroDivisionError: division by zero"),
        (IndexError("out of range"), "IndexError"),
        (1.5, "a score of 1.5"),
        (-0.1, "a score of -0.1"),
        (float("nan"), "a score of nan"),
        (True, "not a finding"),
        ("passed", "not a finding"),
    ],
)
def test_grader_faults_need_review_and_leave_the_other_checks_alone(what: Any, reason: str) -> None:
    verdict = verdict_of((what, 1000, ()), (1.0, 500, ()))
    assert verdict.outcome is Outcome.NEEDS_REVIEW
    assert [check.outcome for check in verdict.checks] == [Outcome.NEEDS_REVIEW, Outcome.PASSED]
    assert verdict.points_milli == 500
    assert reason in verdict.checks[0].message


def test_a_check_that_presupposes_a_failed_one_is_skipped() -> None:
    verdict = verdict_of((0.0, 1000, ()), (1.0, 500, ("check_0",)), (1.0, 250, ("check_1",)))
    assert [check.outcome for check in verdict.checks] == [Outcome.FAILED, Outcome.SKIPPED, Outcome.SKIPPED]
    assert verdict.checks[1].message == "not met, because this failed: What is found is found."
    assert verdict.points_milli == 0


def test_a_check_that_presupposes_an_undecided_one_needs_review() -> None:
    verdict = verdict_of((NotAnswered(Fault("ours", "the probe broke")), 1000, ()), (1.0, 500, ("check_0",)))
    assert verdict.checks[1].outcome is Outcome.NEEDS_REVIEW
    assert verdict.checks[1].message.startswith("not graded, because an earlier check could not be graded: ")


def test_a_check_that_presupposes_a_partly_lost_one_is_graded() -> None:
    verdict = verdict_of((0.2, 1000, ()), (1.0, 500, ("check_0",)))
    assert verdict.points_milli == 750


def test_a_check_that_presupposes_one_under_review_needs_review_too() -> None:
    verdict = verdict_of((None, 1000, ()), (1.0, 500, ("check_0",)))
    assert [check.outcome for check in verdict.checks] == [Outcome.NEEDS_REVIEW] * 2


def test_checks_whose_questions_were_not_due_are_skipped() -> None:
    verdict = verdict_of((NotAnswered(Fault("nobody", "")), 1000, ()), (1.0, 500, ("check_0",)))
    assert verdict.outcome is Outcome.SKIPPED
    assert "failed" not in verdict.checks[1].message


def test_a_check_gets_the_part_and_its_numbers() -> None:
    got: dict[str, Any] = {}

    def check(evidence: Evidence, part: str, *, tolerance: float) -> Finding:
        got.update(part=part, tolerance=tolerance)
        return Finding(1.0, "")

    item = RubricItem("two.item", "", 1, (CheckSpec("check", 1, {"tolerance": 0.5}),))
    item_verdicts(NOTHING, _rubric(item), {"check": Check(check)})
    assert got == {"part": "two", "tolerance": 0.5}
    assert Check(check).title == "check"
