"""The small contract between `grading/` and an exercise's checks.

A check is a function with `@check(...)` above it, which says all that the engine must know about it. An exercise
gathers those of its own modules with `checks_of`; nothing is registered anywhere else.

A measurement does not know its thresholds, so a changed threshold never requires measuring again.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import ModuleType
from typing import NoReturn

from grader.errors import ExerciseError
from grader.records import Evidence, Finding, Measured, MeasuredValue

BORDERLINE = 2.0  # standard errors within which of a threshold a value is borderline
CLOSE = "; this result is borderline, so the more favourable score counts"


@dataclass(frozen=True, slots=True)
class Measurement:
    """A measured value before it is scored, and the texts for its finding."""

    name: str  # what was measured, for instance "explained variance"
    value: float
    standard_error: float
    good: str  # the message for full points
    hint: str
    more: Measured = field(default_factory=dict)  # further measured values
    poor: str = ""  # the message for no points; by default, what was expected
    fair: str = ""  # the message for some points; by default, what was expected


def score_measurement(measurement: Measurement, *, zero_at: float, full_at: float) -> Finding:
    """The finding on a measurement; its message contains no number that a student could aim at."""
    if math.isnan(measurement.value):
        return Finding(None, f"the check measured no number for {measurement.name}", "", measurement.more)
    measured_value = MeasuredValue(measurement.name, measurement.value, measurement.standard_error, zero_at, full_at)
    score, borderline = score_of(measured_value)
    message = measurement.good if score == 1 else _lost(measurement, score)
    return Finding(
        score,
        message + CLOSE if borderline else message,
        "" if score == 1 else measurement.hint,
        {measurement.name: measurement.value, **measurement.more},
        measured_value,
        borderline,
    )


def _lost(measurement: Measurement, score: float) -> str:
    """The message if points are lost."""
    progress = f"{'nearly' if score > 0.6 else 'partly'} achieved" if score else "not achieved"
    own = measurement.fair if score else measurement.poor
    return own or f"expected: {measurement.good}; {progress}"


def score_of(measured_value: MeasuredValue) -> tuple[float, bool]:
    """The score in [0, 1] that a measured value earns by its thresholds, and whether it is borderline.

    Linear between `zero_at` and `full_at`. Within `BORDERLINE` standard errors of a threshold, a value is borderline
    and gets the benefit of the doubt: near `full_at` it scores 1; near `zero_at` it is scored as if it were
    `BORDERLINE` standard errors better, but at most like `zero_at` plus that margin. A better value never scores less.

    >>> score_of(MeasuredValue("share", 0.48, 0.02, zero_at=0.1, full_at=0.5))
    (1.0, True)
    """
    better = 1 if measured_value.full_at > measured_value.zero_at else -1
    span = abs(measured_value.full_at - measured_value.zero_at)
    margin = BORDERLINE * measured_value.standard_error
    distance = better * (measured_value.value - measured_value.zero_at)  # how far it is from earning nothing
    if distance >= span - margin:
        return 1.0, 0 < margin >= distance - span
    if -margin < distance <= margin:
        return min(distance + margin, margin) / span, True
    return max(0.0, distance / span), False


MeasureFunction = Callable[..., Finding | Measurement]  # measuring(evidence, part, *, numbers...)
THRESHOLDS = ("zero_at", "full_at")  # of partial credit


@dataclass(frozen=True, eq=False)
class Check:
    """A check that a rubric may give points for: a function of evidence, and what the engine must know about it."""

    measure: MeasureFunction
    has_thresholds: bool = False
    smaller_is_better: bool = False
    needs_training: bool = False
    presupposes: tuple[Check, ...] = ()
    affects_later: bool = True

    def __call__(self, evidence: Evidence, part: str, **numbers: float) -> Finding:
        """Returns the finding, given all the numbers of the rubric.

        Raises:
            NotAnswered: the answers that the check needs are missing.
        """
        thresholds = {name: numbers.pop(name) for name in THRESHOLDS} if self.has_thresholds else {}
        result = self.measure(evidence, part, **numbers)
        if not isinstance(result, Measurement):
            return result
        if not thresholds:
            raise TypeError("only a check with has_thresholds=True returns a Measurement")
        return score_measurement(result, **thresholds)

    @property
    def name(self) -> str:
        """The function's name, by which a rubric calls the check."""
        return str(getattr(self.measure, "__name__", "a check"))

    @property
    def title(self) -> str:
        """The sentence that is true when the check passes: the first line of the function's docstring."""
        return (self.measure.__doc__ or self.name.replace("_", " ")).strip().splitlines()[0]

    @property
    def numbers(self) -> tuple[str, ...]:
        """The numbers that a rubric must give it."""
        parameters = inspect.signature(self.measure).parameters.values()
        shape = tuple(number.name for number in parameters if number.kind is number.KEYWORD_ONLY)
        return (*shape, *THRESHOLDS) if self.has_thresholds else shape


def check(
    function_alone: None = None,
    /,
    *,
    has_thresholds: bool = False,
    smaller_is_better: bool = False,
    needs_training: bool = False,
    presupposes: tuple[Check, ...] = (),
    affects_later: bool = True,
) -> Callable[[MeasureFunction], Check]:
    """Makes the function below a check: `name(evidence, part, *, numbers without defaults)`.

    has_thresholds: it returns a `Measurement`, which is scored between the rubric's `zero_at` and `full_at`.
    smaller_is_better: a rubric's `zero_at` is larger than its `full_at`.
    needs_training: it is about what was trained; components are graded without it.
    presupposes: checks that must have earned something first, where the item has them; else this one is not graded.
    affects_later: a mistake here can affect a later item, which is then graded again.

    Raises:
        ExerciseError: one line that names the function, where it cannot be such a check.
    """

    if function_alone is not None:  # `@check` alone hands the function in
        _refuse(Check(function_alone), "write `@check()`, with parentheses")

    def decorate(function: MeasureFunction) -> Check:
        new_check = Check(function, has_thresholds, smaller_is_better, needs_training, presupposes, affects_later)
        _refuse_misuse(new_check)
        return new_check

    return decorate


def checks_of(*modules: ModuleType) -> dict[str, Check]:
    """The checks that these modules define, by name, in the modules' order.

    Raises:
        ExerciseError: where two have one name, or a check presupposes one that is not among them.
    """
    checks: dict[str, Check] = {}
    for module in modules:
        for candidate in vars(module).values():
            if not isinstance(candidate, Check) or candidate.measure.__module__ != module.__name__:
                continue
            if checks.setdefault(candidate.name, candidate) is not candidate:
                _refuse(
                    candidate, f"{checks[candidate.name].measure.__module__} has a check of that name, too; rename one"
                )
    for candidate in checks.values():
        for presupposed in candidate.presupposes:
            if checks.get(presupposed.name) is not presupposed:
                _refuse(candidate, f"presupposes {presupposed.name!r}, which is not among the exercise's checks")
    return checks


def needing_training(checks: Mapping[str, Check]) -> frozenset[str]:
    """The names of the checks that are about what was trained."""
    return frozenset(name for name, candidate in checks.items() if candidate.needs_training)


def _refuse_misuse(candidate: Check) -> None:
    parameters = [*inspect.signature(candidate.measure).parameters.values()]
    numbers = parameters[2:]
    fit = all(number.kind is number.KEYWORD_ONLY and number.default is number.empty for number in numbers)
    if [parameter.name for parameter in parameters[:2]] != ["evidence", "part"] or not fit:
        got = ", ".join(map(str, parameters))
        _refuse(candidate, f"expected the arguments (evidence, part, *, numbers without defaults), got ({got})")
    if candidate.has_thresholds and (
        engine_numbers := [number.name for number in numbers if number.name in THRESHOLDS]
    ):
        _refuse(
            candidate,
            f"has_thresholds: {' and '.join(engine_numbers)} are the engine's to take; leave them out of the arguments",
        )
    if candidate.smaller_is_better and not {*THRESHOLDS} <= {*candidate.numbers}:
        _refuse(candidate, f"smaller_is_better is about {' and '.join(THRESHOLDS)}; take both, or say has_thresholds")
    if not isinstance(candidate.presupposes, tuple) or not all(
        isinstance(presupposed, Check) for presupposed in candidate.presupposes
    ):
        _refuse(
            candidate,
            f"presupposes: expected a tuple of functions with @check above them, got {candidate.presupposes!r:.60}",
        )


def _refuse(candidate: Check, problem: str) -> NoReturn:
    raise ExerciseError(f"{candidate.measure.__module__}: check {candidate.name!r}: {problem}")
