"""Thresholds from measurements: what honest and defective models reach in each quality check, and where to cut.

The rule, for each check of each item, in the direction in which the number gets better:

* `H` is the worst honest model with the given constants, `B` the best of the defects that the check is there to catch;
* `full_at` lies half way from `B` to `H`, `zero_at` a tenth of the way, both rounded to two digits;
* the margin is the distance from `full_at` to `H`; no model's standard error may be more than a fifth of it.

Other defects are listed as overlaps where they stand above `zero_at`: a component check has to catch those.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from grader.audit.corpus import Solution
from grader.audit.margins import Margin
from grader.records import ItemVerdict, Rubric

FULL_SHARE, ZERO_SHARE = 0.5, 0.1


@dataclass(frozen=True)
class Measurement:
    """One model's value in one check."""

    model: str
    group: str  # honest | varied | caught | other
    item: str
    check: str
    value: float
    standard_error: float


@dataclass(frozen=True)
class Threshold:
    """What the rule says about one check of one item, beside what the rubric has."""

    item: str
    check: str
    honest: int  # how many models
    honest_worst: float
    honest_worst_model: str
    honest_median: float
    defects: int
    best_defect: float
    best_defect_model: str
    zero_at: float
    full_at: float
    rubric_zero_at: float
    rubric_full_at: float
    standard_error: float  # the largest of an honest model's
    overlaps: tuple[str, ...]  # defects that the check is not there to catch, standing above the rubric's zero_at

    @property
    def margin(self) -> Margin:
        """The rubric's numbers beside the worst honest model and the best defect."""
        ends = (self.rubric_zero_at, self.rubric_full_at)
        return Margin(*ends, self.honest_worst, self.standard_error, self.best_defect)


def measurements(
    solution: Solution, parts: Sequence[str], items: Iterable[ItemVerdict], trained_checks: frozenset[str]
) -> list[Measurement]:
    """What the solution's verdicts measured in the parts that it trained."""
    return [
        Measurement(solution.name, _group(solution, check.id), item.id, check.id, level.value, level.standard_error)
        for item in items
        if item.id.partition(".")[0] in parts
        for check in item.checks
        if check.id in trained_checks and (level := check.level) is not None and math.isfinite(level.value)
    ]


def _group(solution: Solution, check: str) -> str:
    if solution.group in {"honest", "varied"}:
        return solution.group
    if solution.kind == "honest":
        return "honest"
    return "caught" if check in solution.caught_by else "other"


def thresholds(found: Sequence[Measurement], rubric: Rubric, trained: frozenset[str]) -> list[Threshold]:
    """One row for each quality check of the rubric that has both honest models and defects to catch."""
    rows = []
    for item in rubric.items:
        for spec in item.checks:
            here = [m for m in found if (m.item, m.check) == (item.id, spec.check)]
            honest = [m for m in here if m.group == "honest"]
            caught = [m for m in here if m.group == "caught"]
            if spec.check in trained and honest and caught:
                other = [m for m in here if m.group == "other"]
                params = (float(spec.params["zero_at"]), float(spec.params["full_at"]))
                rows.append(_threshold(honest, caught, other, *params))
    return rows


def _threshold(
    honest: Sequence[Measurement],
    caught: Sequence[Measurement],
    other: Sequence[Measurement],
    zero_at: float,
    full_at: float,
) -> Threshold:
    sign = 1 if full_at > zero_at else -1  # the rubric refuses ends that stand the wrong way round
    ranked = sorted(honest, key=lambda m: sign * m.value)
    worst, best = ranked[0], max(caught, key=lambda m: sign * m.value)
    gap = worst.value - best.value
    return Threshold(
        item=worst.item,
        check=worst.check,
        honest=len(honest),
        honest_worst=worst.value,
        honest_worst_model=worst.model,
        honest_median=ranked[len(ranked) // 2].value,
        defects=len(caught),
        best_defect=best.value,
        best_defect_model=best.model,
        zero_at=two_digits(best.value + ZERO_SHARE * gap),
        full_at=two_digits(best.value + FULL_SHARE * gap),
        rubric_zero_at=zero_at,
        rubric_full_at=full_at,
        standard_error=max(m.standard_error for m in honest),
        overlaps=tuple(m.model for m in other if sign * (m.value - zero_at) > 0),
    )


def two_digits(value: float) -> float:
    """The value with two significant digits.

    >>> two_digits(0.08349), two_digits(0.4561)
    (0.083, 0.46)
    """
    return float(f"{value:.2g}")
