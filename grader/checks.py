"""The small contract between the judge and an exercise's checks.

A check is a function with `@check(...)` above it, which says all that the engine must know about it. An exercise
gathers those of its own modules with `checks_of`; nothing is registered anywhere else.

What was measured knows no threshold, and what weighs it measures nothing: a moved threshold costs no measurement again.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import ModuleType
from typing import NoReturn

from grader.errors import ExerciseError
from grader.records import Evidence, Finding, Level, Measured

BORDERLINE = 2.0  # standard errors: another draw would hardly move a value further
CLOSE = "; this is close to the limit, and the better side was given"


@dataclass(frozen=True, slots=True)
class Measurement:
    """A level before it is weighed, and the words for what comes of it."""

    name: str  # what was measured, for instance "explained variance"
    value: float
    standard_error: float
    good: str  # the clause that is true where nothing is lost, about "they"
    hint: str
    more: Measured = field(default_factory=dict)  # measured beside the level


def scored(found: Measurement, *, zero_at: float, full_at: float) -> Finding:
    """The finding on a measurement; its message holds no number that a student could aim at."""
    level = Level(found.name, found.value, found.standard_error, zero_at, full_at)
    score, borderline = graded(level)
    standing = f"{'nearly' if score > 0.6 else 'partly'} there" if score else "far from it"
    message = found.good if score == 1 else f"expected: {found.good}; they are {standing}"
    return Finding(
        score,
        message + CLOSE if borderline else message,
        "" if score == 1 else found.hint,
        {found.name: found.value, **found.more},
        level,
        borderline,
    )


def graded(level: Level) -> tuple[float, bool]:
    """The score in [0, 1] that a level earns, and whether it is borderline.

    Linear between `zero_at` and `full_at`, except within `BORDERLINE` standard errors of either, where the
    better side is given and the level is borderline: by `full_at` the score is 1; by `zero_at` it is that of
    the value moved `BORDERLINE` standard errors to the better, at most that of `zero_at` so moved. A better
    value never earns less.

    >>> graded(Level("share", 0.48, 0.02, zero_at=0.1, full_at=0.5))
    (1.0, True)
    """
    better = 1 if level.full_at > level.zero_at else -1
    span = abs(level.full_at - level.zero_at)
    room = BORDERLINE * level.standard_error
    above = better * (level.value - level.zero_at)  # how far it is from earning nothing
    if above >= span - room:
        return 1.0, 0 < room >= above - span
    if -room < above <= room:
        return min(above + room, room) / span, True
    return max(0.0, above / span), False


Measuring = Callable[..., Finding | Measurement]  # measuring(evidence, part, *, numbers...)
ENDS = ("zero_at", "full_at")  # of partial credit


@dataclass(frozen=True, eq=False)
class Check:
    """What a rubric may pay for: a function of evidence, and what the engine must know about it."""

    measure: Measuring
    has_thresholds: bool = False
    smaller_is_better: bool = False
    needs_training: bool = False
    presupposes: tuple[Check, ...] = ()
    affects_later: bool = True

    def __call__(self, evidence: Evidence, part: str, **numbers: float) -> Finding:
        """What the check finds with all the numbers that a rubric gives it.

        Raises:
            NotAnswered: where there is nothing to judge.
        """
        ends = {name: numbers.pop(name) for name in ENDS} if self.has_thresholds else {}
        found = self.measure(evidence, part, **numbers)
        if not isinstance(found, Measurement):
            return found
        if not ends:
            raise TypeError("only a check with has_thresholds=True returns a Measurement")
        return scored(found, **ends)

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
        taken = inspect.signature(self.measure).parameters.values()
        shape = tuple(number.name for number in taken if number.kind is number.KEYWORD_ONLY)
        return (*shape, *ENDS) if self.has_thresholds else shape


def check(
    bare: None = None,
    /,
    *,
    has_thresholds: bool = False,
    smaller_is_better: bool = False,
    needs_training: bool = False,
    presupposes: tuple[Check, ...] = (),
    affects_later: bool = True,
) -> Callable[[Measuring], Check]:
    """The function below is a check: `name(evidence, part, *, numbers without defaults)`.

    has_thresholds: it returns a `Measurement`, which is weighed between the rubric's `zero_at` and `full_at`.
    smaller_is_better: a rubric's `zero_at` stands above its `full_at`.
    needs_training: it is about what was trained; components alone are judged without it.
    presupposes: checks that must have earned something first, where the item has them; else this one is not judged.
    affects_later: what is lost here can have spoilt a later item, which is then judged once more.

    Raises:
        ExerciseError: one line that names the function, where it cannot be such a check.
    """

    if bare is not None:  # `@check` alone hands the function in
        _refuse(Check(bare), "write `@check()`, with parentheses")

    def marked(function: Measuring) -> Check:
        made = Check(function, has_thresholds, smaller_is_better, needs_training, presupposes, affects_later)
        _refuse_misuse(made)
        return made

    return marked


def checks_of(*modules: ModuleType) -> dict[str, Check]:
    """The checks that these modules define, by name, in the modules' order.

    Raises:
        ExerciseError: where two have one name, or a check presupposes one that is not among them.
    """
    found: dict[str, Check] = {}
    for module in modules:
        for made in vars(module).values():
            if not isinstance(made, Check) or made.measure.__module__ != module.__name__:
                continue
            if found.setdefault(made.name, made) is not made:
                _refuse(made, f"{found[made.name].measure.__module__} has a check of that name, too; rename one")
    for made in found.values():
        for other in made.presupposes:
            if found.get(other.name) is not other:
                _refuse(made, f"presupposes {other.name!r}, which is not among the exercise's checks")
    return found


def needing_training(checks: Mapping[str, Check]) -> frozenset[str]:
    """The names of the checks that are about what was trained."""
    return frozenset(name for name, made in checks.items() if made.needs_training)


def _refuse_misuse(made: Check) -> None:
    parameters = [*inspect.signature(made.measure).parameters.values()]
    numbers = parameters[2:]
    fit = all(number.kind is number.KEYWORD_ONLY and number.default is number.empty for number in numbers)
    if [parameter.name for parameter in parameters[:2]] != ["evidence", "part"] or not fit:
        got = ", ".join(map(str, parameters))
        _refuse(made, f"expected the arguments (evidence, part, *, numbers without defaults), got ({got})")
    if made.has_thresholds and (own := [number.name for number in numbers if number.name in ENDS]):
        _refuse(made, f"has_thresholds: {' and '.join(own)} are the engine's to take; leave them out of the arguments")
    if made.smaller_is_better and not {*ENDS} <= {*made.numbers}:
        _refuse(made, f"smaller_is_better is about {' and '.join(ENDS)}; take both, or say has_thresholds")
    if not isinstance(made.presupposes, tuple) or not all(isinstance(other, Check) for other in made.presupposes):
        _refuse(
            made, f"presupposes: expected a tuple of functions with @check above them, got {made.presupposes!r:.60}"
        )


def _refuse(made: Check, problem: str) -> NoReturn:
    raise ExerciseError(f"{made.measure.__module__}: check {made.name!r}: {problem}")
