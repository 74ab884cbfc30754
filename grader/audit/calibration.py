"""Thresholds from measurements: what ordinary honest models reach in each quality check, and what defects earn.

The rule, for each check of each item, in the direction in which the number gets better:

* `H` is the worst ordinary honest model, whatever the seed of its training, and `E` the total standard error of a
  result: the pooled standard deviation over the seeds of those ordinary models that were trained with several, which
  holds the draws of questions and pictures as well as the training;
* `full_at` lies two `E` before `H`, rounded to two digits to the lenient side;
* `zero_at` is set by hand: beyond what was refused when the pictures were sorted by looking, as far as the check itself
  was the reason, and so that each defect of the corpus earns at most the share that it deserves.

Ordinary is named beforehand, in `corpus/`: the right components, the given constants, both terms of the loss in the
proportion that the notebook asks for. Weak designs are named, too, and may lose some points. Defects stand on ladders,
each rung worse than the one before: none may earn more than that one, and the last one next to nothing.

The tables that the calibration writes hold measurements; the thresholds are the rubric's own, so one that was moved
after the calibration is compared with the same models.
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

ERRORS = 2.0  # total standard errors between the worst ordinary model and full marks
LAST_RUNG = 0.2  # of the picture points of the items that a ladder's last rung spoils, the most that it earns
RISE = 0.02  # of those points: a rung that earns so much more than the one before it has not risen


@dataclass(frozen=True)
class ModelMeasurement:
    """One model's value in one check, and the points for it; NaN where it was not measured."""

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
        """The model and, where it is not the first, the seed of its training."""
        return f"{self.model}, seed {self.training}" if self.training else self.model


@dataclass(frozen=True, slots=True)
class Margin:
    """One threshold beside the worst ordinary honest model; `zero_at` may be the larger."""

    zero_at: float
    full_at: float
    worst: float
    total_error: float

    @property
    def gap(self) -> float:
        """How far the worst ordinary model stands beyond full marks; negative where it loses points."""
        return (1 if self.full_at > self.zero_at else -1) * (self.worst - self.full_at)

    @property
    def fault(self) -> str:
        """What is wrong with the threshold, or ""."""
        if self.gap < 0:
            return f"full_at {self.full_at:g} is not met by the worst ordinary honest model, {self.worst:.3g}"
        if self.gap < ERRORS * self.total_error:
            return f"the margin of {self.gap:.2g} is less than two total errors of {self.total_error:.2g}"
        return ""


@dataclass(frozen=True)
class Threshold:
    """What the rule says about one check of one item, beside what the rubric has."""

    item: str
    check: str
    models: int  # ordinary models, each with each of its seeds
    worst: float
    worst_model: str
    median: float
    draw_error: float  # the largest of an ordinary model's over other questions and draws
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
    """What one trained model earns of the picture points of the items that it spoils; of an honest one, of all."""

    model: str
    training: int
    group: str
    ladder: str
    points_milli: int
    max_milli: int
    most: float  # of them, the share that it earns at most

    @property
    def share(self) -> float:
        """From 0 to 1."""
        return self.points_milli / self.max_milli if self.max_milli else 0.0

    @property
    def name(self) -> str:
        """The model and, where it is not the first, the seed of its training."""
        return f"{self.model}, seed {self.training}" if self.training else self.model


def measurements(
    solution: Solution,
    training: int,
    parts: Sequence[str],
    items: Iterable[ItemVerdict],
    levels: Iterable[ItemVerdict],
    pictures: frozenset[str],
) -> list[ModelMeasurement]:
    """What the solution earned and reached in the checks of pictures, in the parts that it trained.

    levels: verdicts on the same evidence in which no check presupposes another.
    """
    level_of = {(item.id, check.id): check.level for item in levels for check in item.checks}
    rows = []
    for item in items:
        for check in item.checks if item.id.partition(".")[0] in parts else ():
            if check.id not in pictures:
                continue
            level = level_of.get((item.id, check.id))
            numbers = (level.value, level.standard_error) if level is not None else (math.nan, math.nan)
            points = (check.points_milli, check.max_points_milli)
            group = solution.group or "ordinary"
            rows.append(ModelMeasurement(solution.name, training, group, item.id, check.id, *numbers, *points))
    return rows


def model_score(solution: Solution, of_run: Sequence[ModelMeasurement]) -> ModelScore:
    """What one trained model, whose measurements these are, earns of the picture points that are in question."""
    in_question = [m for m in of_run if not solution.spoils or m.item in solution.spoils]
    points, most = sum(m.points_milli for m in in_question), sum(m.max_milli for m in in_question)
    first = of_run[0]
    return ModelScore(first.model, first.training, first.group, solution.ladder, points, most, solution.most)


def thresholds(
    all_measurements: Sequence[ModelMeasurement], rubric: Rubric, group: str = "ordinary"
) -> list[Threshold]:
    """One row for each check of pictures that models of the group were measured in."""
    rows = []
    for item in rubric.items:
        for spec in item.checks:
            of_check = [m for m in all_measurements if (m.item, m.check, m.group) == (item.id, spec.check, group)]
            of_check = [m for m in of_check if math.isfinite(m.value)]
            if of_check:
                rows.append(_threshold(of_check, float(spec.params["zero_at"]), float(spec.params["full_at"])))
    return rows


def _threshold(of_check: Sequence[ModelMeasurement], zero_at: float, full_at: float) -> Threshold:
    sign = 1 if full_at > zero_at else -1  # the rubric refuses ends that stand the wrong way round
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
    """The pooled standard deviation over the seeds of each model that was trained with several; 0 where none was.

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
    """The value with two significant digits, rounded to where it is met more easily."""
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
            sentences.append(f"{score.name}: an ordinary honest model loses {lost_milli / 1000:g} points for pictures")
        if score.share > score.most:
            sentences.append(
                f"{score.name}: earns {score.share:.0%} of what it spoils, at most {score.most:.0%} is deserved"
            )
    for ladder, rungs in ladders(models).items():
        for milder, worse in pairwise(rungs):
            if worse.share > milder.share + RISE:
                text = f"{worse.name} earns {worse.share:.0%}, {milder.name} before it {milder.share:.0%}"
                sentences.append(f"the ladder {ladder!r} rises: {text}")
        if rungs[-1].share > LAST_RUNG:
            text = f"earns {rungs[-1].share:.0%}, expected at most {LAST_RUNG:.0%}"
            sentences.append(f"the ladder {ladder!r}: its last rung, {rungs[-1].name}, {text}")
    return sentences


def ladders(models: Sequence[ModelScore]) -> dict[str, list[ModelScore]]:
    """Ladder -> its rungs, the mildest first; of a rung with several seeds the first."""
    rungs: dict[str, list[ModelScore]] = {}
    for score in models:
        if score.ladder and not score.training:
            rungs.setdefault(score.ladder, []).append(score)
    return rungs


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
    margins: dict[str, Margin] = {}
    for row in rows:
        name = f"{row.get('item')}: {row.get('check')}"
        params = numbers.get(name, {})
        if "zero_at" in params and "full_at" in params:  # a check that the rubric has dropped since is no matter
            margins[name] = _margin(path, row, float(params["zero_at"]), float(params["full_at"]))
    return margins


def _margin(path: Path, row: Mapping[str, str], zero_at: float, full_at: float) -> Margin:
    try:
        numbers = float(row["worst"]), float(row["total_error"])
    except (KeyError, ValueError, TypeError):
        raise GraderError(f"{path}: expected numbers in worst and total_error; calibrate again") from None
    if not all(math.isfinite(number) for number in numbers):
        raise GraderError(f"{path}: a number is not finite; calibrate again")
    return Margin(zero_at, full_at, *numbers)
