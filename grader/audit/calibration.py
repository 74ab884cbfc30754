"""Thresholds from measurements: what honest and defective models reach in each quality check, and where to cut.

The rule, for each check of each item, in the direction in which the number gets better:

* `H` is the worst honest model with the given constants, `B` the best of the defects that the check is there to catch;
* `full_at` lies half way from `B` to `H`, `zero_at` a tenth of the way, both rounded to two digits;
* the margin is the distance from `full_at` to `H`; no model's standard error may be more than a fifth of it.

Other defects are listed as overlaps where they stand above `zero_at`: a component check has to catch those.

The table that the calibration writes, `docs/calibration.csv`, holds measurements; the thresholds are the rubric's own,
so a threshold that was moved after the calibration is compared with the same models.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from grader.audit.corpus import Solution
from grader.errors import GraderError
from grader.records import ItemVerdict, Rubric

FULL_SHARE, ZERO_SHARE = 0.5, 0.1
MAX_ERROR_SHARE = 0.2  # of the gap


@dataclass(frozen=True)
class Measurement:
    """One model's value in one check."""

    model: str
    group: str  # honest | varied | caught | other
    item: str
    check: str
    value: float
    standard_error: float


@dataclass(frozen=True, slots=True)
class Margin:
    """One threshold beside the worst honest model; `zero_at` may be the larger."""

    zero_at: float
    full_at: float
    honest_worst: float
    standard_error: float
    best_defect: float | None = None  # of the defects that the check is there to catch

    @property
    def gap(self) -> float:
        """How far the worst honest model stands beyond full marks; negative where it loses points."""
        return self._sign * (self.honest_worst - self.full_at)

    @property
    def fault(self) -> str:
        """What is wrong with the threshold, or "": no standard error may be more than a fifth of the gap."""
        if self.gap <= 0:
            return f"full_at {self.full_at:g} is not met by the worst honest model, {self.honest_worst:.3g}"
        if self.standard_error > MAX_ERROR_SHARE * self.gap:
            return f"a standard error of {self.standard_error:.2g} is large beside the margin of {self.gap:.2g}"
        if self.best_defect is not None and self._sign * (self.best_defect - self.zero_at) > 0:
            return f"zero_at {self.zero_at:g} pays the best defect that it is there to catch, {self.best_defect:.3g}"
        return ""

    @property
    def _sign(self) -> int:
        return 1 if self.full_at > self.zero_at else -1


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


def read_margins(path: Path, rubric: Rubric) -> dict[str, Margin] | None:
    """The margin of every calibrated check, by "<item>: <check>"; None where nothing was calibrated yet.

    Raises:
        GraderError: where the table is not one that the calibration writes.
    """
    try:
        with path.open(encoding="utf-8", newline="") as stream:
            rows = list(csv.DictReader(stream))
    except FileNotFoundError:
        return None
    numbers = {f"{item.id}: {spec.check}": spec.params for item in rubric.items for spec in item.checks}
    made: dict[str, Margin] = {}
    for row in rows:
        name = row.get("metric") or f"{row.get('item')}: {row.get('check')}"
        params = numbers.get(name, {})
        if "zero_at" in params and "full_at" in params:  # a check that the rubric has dropped since is no matter
            made[name] = _margin(path, row, float(params["zero_at"]), float(params["full_at"]))
    return made


def _margin(path: Path, row: Mapping[str, str], zero_at: float, full_at: float) -> Margin:
    try:
        defect = row.get("best_defect")
        numbers = (float(row["honest_worst"]), float(row["standard_error"]), float(defect) if defect else None)
    except (KeyError, ValueError, TypeError):
        raise GraderError(f"{path}: expected numbers in honest_worst and standard_error; calibrate again") from None
    if not all(math.isfinite(number) for number in numbers if number is not None):
        raise GraderError(f"{path}: a number is not finite; calibrate again")
    return Margin(zero_at, full_at, *numbers)
