"""A made-up rubric of two parts, an exercise that only has its checks, and verdicts on made-up solutions."""

from __future__ import annotations

from dataclasses import fields
from types import SimpleNamespace
from typing import Any, cast

from grader.audit.comparison import audit
from grader.audit.corpus import Solution
from grader.audit.result import Audit
from grader.checks import check
from grader.exercise import Exercise
from grader.records import (
    CheckSpec,
    CheckVerdict,
    Evidence,
    Finding,
    FollowThrough,
    Interface,
    ItemVerdict,
    Limits,
    Outcome,
    Rubric,
    RubricItem,
)

EVIL = "</style><script>alert(1)</script>"


@check()
def turns_left(evidence: Evidence, part: str) -> Finding:
    """It turns left."""
    return Finding(1.0, "")


@check()
def turns_right(evidence: Evidence, part: str) -> Finding:
    """It turns right."""
    return Finding(1.0, "")


@check(needs_training=True)
def draws_well(evidence: Evidence, part: str) -> Finding:
    """It draws well."""
    return Finding(1.0, "")


EXERCISE = cast(
    Exercise,
    SimpleNamespace(
        checks={function.name: function for function in (turns_left, turns_right, draws_well)},
        parts=("one", "two"),
        items={},
    ),
)


def rubric(left_milli: int = 20_000) -> Rubric:
    items = [
        RubricItem(
            f"{part}.{item}",
            f"Implement {item} of {part}",
            sum(spec.points_milli for spec in specs),
            specs,
        )
        for part in ("one", "two")
        for item, specs in {
            "turn": (CheckSpec("turns_left", left_milli, {"tolerance": 0.1}), CheckSpec("turns_right", 10_000, {})),
            "draw": (CheckSpec("draws_well", 20_000, {"zero_at": 0.2, "full_at": 0.6}, (), {"reference": 0.9}),),
        }.items()
    ]
    return Rubric(
        title="Turning",
        exercise="none",
        template="none",
        reference="none",
        items=tuple(items),
        limits=Limits(*[1] * len(fields(Limits))),
        interface=Interface(),
        sizes={},
        follow_through=FollowThrough(),
        points_step_milli=250,
        sha256="",
    )


def verdicts(
    losses: dict[str, int] | None = None, trained: bool = False, undecided: str = ""
) -> tuple[ItemVerdict, ...]:
    """Full points except for the losses, in thousandths by "item: check"; drawing is skipped without training."""
    items = []
    for item in rubric().items:
        checks = []
        for spec in item.checks:
            minus = (losses or {}).get(f"{item.id}: {spec.check}", 0)
            outcome = Outcome.PARTIAL if minus else Outcome.PASSED
            if spec.check == "draws_well" and not trained:
                outcome, minus = Outcome.SKIPPED, spec.points_milli
            if undecided == f"{item.id}: {spec.check}":
                outcome, minus = Outcome.NEEDS_REVIEW, spec.points_milli
            points = spec.points_milli - minus
            checks.append(CheckVerdict(spec.check, "", outcome, points, spec.points_milli, EVIL))
        outcomes = {check.outcome for check in checks}
        whole = next(
            (o for o in (Outcome.NEEDS_REVIEW, Outcome.PARTIAL, Outcome.SKIPPED) if o in outcomes), Outcome.PASSED
        )
        points = sum(check.points_milli for check in checks)
        items.append(ItemVerdict(item.id, item.title, whole, points, item.points_milli, tuple(checks)))
    return tuple(items)


def wrong(name: str, *loses: str, story: str = "a slip") -> Solution:
    return Solution(name, "wrong", story, loses=list(loses))


LEFT = {"one.turn: turns_left": 4_000}


def audited(solutions: list[Solution], results: dict[str, tuple[ItemVerdict, ...]], **more: Any) -> Audit:
    entries = {solution.name: solution for solution in solutions}
    return audit(results, rubric(), EXERCISE, entries=entries, **more)
