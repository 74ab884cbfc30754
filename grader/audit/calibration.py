"""Thresholds from measurements: what ordinary correct models reach in each quality check, and what defects earn.

The rule, for each check of each item, where larger is better (mirrored where smaller is better):

* `H` is the worst ordinary correct model over all seeds of its training. `E` is the standard deviation between training
  seeds, pooled over those ordinary models that were trained with several seeds. All runs have the same questions, so
  `E` does not include the draws of questions; a measurement's own `standard_error` is an estimate of these;
* `full_at` is `H - 2 E`, rounded to two digits in the student's favour;
* `zero_at` is set by hand. Pictures that viewers rejected because of the property that the check measures must earn
  nothing, and each defect at most the share that its entry in the corpus allows.

Ordinary models are named in advance, in `corpus/`: they have the right components, the provided constants, and both
terms of the loss in the proportion that the notebook asks for. Weak designs are also named, and may lose some points.
Defects form ladders, each rung worse than the one before: a rung must not earn more than the one before it, and the
last rung almost nothing.

The tables hold measurements; thresholds come from the rubric, so a threshold that was moved after the calibration is
compared with the same models.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from pathlib import Path

import numpy as np

from grader.audit.corpus import Solution
from grader.errors import GraderError
from grader.records import ItemVerdict, Rubric

ERRORS = 2.0  # standard deviations between training seeds that lie between the worst ordinary model and full points
SPREAD = "standard deviation between training seeds"
LAST_RUNG = 0.2  # the most that a ladder's last rung may earn of the picture points of the items that it spoils
RISE = 0.02  # the share of these points that a rung may earn above the rung before it


@dataclass(frozen=True)
class ModelMeasurement:
    """One model's value in one check and its points; the value is NaN if it was not measured."""

    model: str
    training: int  # the seed
    group: str  # ordinary | weak | first | defective
    item: str
    check: str
    value: float
    standard_error: float  # over other questions and draws
    points_milli: int
    max_milli: int

    @property
    def name(self) -> str:
        """The model and the seed of its training; without the seed if that is 0."""
        return f"{self.model}, seed {self.training}" if self.training else self.model


@dataclass(frozen=True, slots=True)
class Margin:
    """One check's thresholds beside the worst ordinary correct model; `zero_at` may be the larger one."""

    zero_at: float
    full_at: float
    worst: float
    total_error: float

    @property
    def gap(self) -> float:
        """How far the worst ordinary model lies beyond full points; negative if it loses points."""
        return (1 if self.full_at > self.zero_at else -1) * (self.worst - self.full_at)

    @property
    def fault(self) -> str:
        """What is wrong with the threshold, or ""."""
        if self.gap < 0:
            return f"full_at is {self.full_at:g}, but the worst ordinary correct model reaches only {self.worst:.3g}"
        if self.gap < ERRORS * self.total_error:
            return f"the margin is {self.gap:.2g}, expected at least {ERRORS:g} times {self.total_error:.2g} ({SPREAD})"
        return ""


@dataclass(frozen=True)
class Threshold:
    """The rule applied to one check of one item, beside the rubric's thresholds."""

    item: str
    check: str
    models: int  # ordinary models, counted once per seed
    worst: float
    worst_model: str
    median: float
    draw_error: float  # over other questions and draws, the largest of an ordinary model
    total_error: float
    full_by_rule: float
    zero_at: float
    full_at: float

    @property
    def margin(self) -> Margin:
        """The rubric's numbers beside the worst ordinary model."""
        return Margin(self.zero_at, self.full_at, self.worst, self.total_error)


@dataclass(frozen=True)
class ModelScore:
    """The picture points of one trained model: for a defect, in the items that it spoils."""

    model: str
    training: int
    group: str
    ladder: str
    points_milli: int
    max_milli: int
    most: float  # the largest share of these points that the model may earn

    @property
    def share(self) -> float:
        """The share of the points that the model earned, from 0 to 1."""
        return self.points_milli / self.max_milli if self.max_milli else 0.0

    @property
    def name(self) -> str:
        """The model and the seed of its training; without the seed if that is 0."""
        return f"{self.model}, seed {self.training}" if self.training else self.model


def measurements(
    solution: Solution,
    training: int,
    parts: Sequence[str],
    items: Iterable[ItemVerdict],
    levels: Iterable[ItemVerdict],
    pictures: frozenset[str],
) -> list[ModelMeasurement]:
    """The solution's values and points in the checks of pictures, for the parts that it trained.

    levels: verdicts on the same evidence in which no check presupposes another.
    """
    level_of = {(item.id, check.id): check.level for item in levels for check in item.checks}
    rows = []
    for item in items:
        for check in item.checks if item.part in parts else ():
            if check.id not in pictures:
                continue
            level = level_of.get((item.id, check.id))
            numbers = (level.value, level.standard_error) if level is not None else (math.nan, math.nan)
            points = (check.points_milli, check.max_points_milli)
            group = solution.group or "ordinary"
            rows.append(ModelMeasurement(solution.name, training, group, item.id, check.id, *numbers, *points))
    return rows


def model_score(solution: Solution, of_run: Sequence[ModelMeasurement]) -> ModelScore:
    """The picture points of the trained model that these measurements belong to."""
    in_question = [m for m in of_run if not solution.spoils or m.item in solution.spoils]
    points, most = sum(m.points_milli for m in in_question), sum(m.max_milli for m in in_question)
    first = of_run[0]
    return ModelScore(first.model, first.training, first.group, solution.ladder, points, most, solution.most)


def thresholds(
    all_measurements: Sequence[ModelMeasurement], rubric: Rubric, group: str = "ordinary"
) -> list[Threshold]:
    """One row per check of pictures in which models of the group were measured."""
    rows = []
    for item in rubric.items:
        for spec in item.checks:
            of_check = [m for m in all_measurements if (m.item, m.check, m.group) == (item.id, spec.check, group)]
            of_check = [m for m in of_check if math.isfinite(m.value)]
            if of_check:
                rows.append(_threshold(of_check, float(spec.params["zero_at"]), float(spec.params["full_at"])))
    return rows


def _threshold(of_check: Sequence[ModelMeasurement], zero_at: float, full_at: float) -> Threshold:
    sign = 1 if full_at > zero_at else -1  # the rubric refuses thresholds in the wrong order
    ranked = sorted(of_check, key=lambda m: sign * m.value)
    worst, error = ranked[0], total_error(of_check)
    return Threshold(
        item=worst.item,
        check=worst.check,
        models=len(of_check),
        worst=worst.value,
        worst_model=worst.name,
        median=ranked[len(ranked) // 2].value,
        draw_error=max(m.standard_error for m in of_check),
        total_error=error,
        full_by_rule=_lenient(worst.value - sign * ERRORS * error, sign),
        zero_at=zero_at,
        full_at=full_at,
    )


def total_error(of_check: Iterable[ModelMeasurement]) -> float:
    """The pooled standard deviation over the seeds of each model with several seeds; 0 if there is none.

    `sqrt(sum of squared deviations from the model's mean / sum of (seeds - 1))`, the root of a one-way analysis of
    variance's mean square within groups (Fisher, 1925).
    """
    squares, freedom = 0.0, 0
    for _, of_model in groupby(sorted(of_check, key=lambda m: m.model), key=lambda m: m.model):
        values = np.array([m.value for m in of_model])
        squares += float(((values - values.mean()) ** 2).sum())
        freedom += len(values) - 1
    return math.sqrt(squares / freedom) if freedom else 0.0


def _lenient(value: float, sign: int) -> float:
    """The value with two significant digits, rounded so that it is easier to reach."""
    if value == 0:
        return 0.0
    unit = 10.0 ** (math.floor(math.log10(abs(value))) - 1)
    steps = value / unit
    return float(f"{(math.floor(steps) if sign > 0 else math.ceil(steps)) * unit:.2g}")


def faults(rows: Iterable[Threshold], models: Sequence[ModelScore]) -> list[str]:
    """What is wrong with the thresholds, one sentence each."""
    sentences = [f"{row.item}: {row.check}: {row.margin.fault}" for row in rows if row.margin.fault]
    for score in models:
        lost_milli = score.max_milli - score.points_milli
        if score.group == "ordinary" and lost_milli:
            sentences.append(f"{score.name}: an ordinary correct model loses {lost_milli / 1000:g} points for pictures")
        if score.share > score.most:
            sentences.append(
                f"{score.name}: earns {100 * score.share:.0f} % of the points that it spoils, "
                f"expected at most {100 * score.most:.0f} %"
            )
    for ladder, rungs in ladders(models).items():
        for milder, worse in pairwise(rungs):
            if worse.share > milder.share + RISE:
                text = f"{worse.name} earns {100 * worse.share:.0f} %, the milder {milder.name} "
                sentences.append(f"ladder {ladder!r}: {text}{100 * milder.share:.0f} %")
        if rungs[-1].share > LAST_RUNG:
            text = f"earns {100 * rungs[-1].share:.0f} %, expected at most {100 * LAST_RUNG:.0f} %"
            sentences.append(f"ladder {ladder!r}: the last rung, {rungs[-1].name}, {text}")
    return sentences


def ladders(models: Sequence[ModelScore]) -> dict[str, list[ModelScore]]:
    """Ladder -> its rungs from mild to severe; for a model with several seeds, the first."""
    rungs: dict[str, list[ModelScore]] = {}
    for score in models:
        if score.ladder and not score.training:
            rungs.setdefault(score.ladder, []).append(score)
    return rungs


def read_margins(path: Path, rubric: Rubric) -> dict[str, Margin] | None:
    """The margin of every calibrated check, by "<item>: <check>"; None if nothing has been calibrated.

    Raises:
        GraderError: if the table was not written by the calibration.
    """
    try:
        with path.open(encoding="utf-8", newline="") as stream:
            rows = list(csv.DictReader(stream))
    except FileNotFoundError:
        return None
    numbers = {f"{item.id}: {spec.check}": spec.params for item in rubric.items for spec in item.checks}
    margins: dict[str, Margin] = {}
    for row in rows:
        name = f"{row.get('item')}: {row.get('check')}"
        params = numbers.get(name, {})
        if "zero_at" in params and "full_at" in params:  # ignores checks that the rubric no longer has
            margins[name] = _margin(path, row, float(params["zero_at"]), float(params["full_at"]))
    return margins


def _margin(path: Path, row: Mapping[str, str], zero_at: float, full_at: float) -> Margin:
    try:
        numbers = float(row["worst"]), float(row["total_error"])
    except (KeyError, ValueError, TypeError):
        raise GraderError(f"{path}: expected numbers in columns worst and total_error; run `make calibrate`") from None
    if not all(math.isfinite(number) for number in numbers):
        raise GraderError(f"{path}: expected finite numbers in columns worst and total_error; run `make calibrate`")
    return Margin(zero_at, full_at, *numbers)
