"""How far honest models stand from each threshold of the rubric as it is now, read from `docs/calibration.csv`.

The table holds measurements; the thresholds are the rubric's own, so a threshold that was moved after the calibration
is compared with the same models.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from grader.errors import GraderError
from grader.records import Rubric

MAX_ERROR_SHARE = 0.2  # of the gap


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
