"""How a measured level becomes a finding: what was measured knows no threshold, and what weighs it measures nothing.

A moved threshold therefore costs no measurement again.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from grader.records import Finding, Level, Measured

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


def weighed(found: Measurement, *, zero_at: float, full_at: float) -> Finding:
    """The finding on a measurement; its message holds no number that a student could aim at."""
    level = Level(found.name, found.value, found.standard_error, zero_at, full_at)
    score, borderline = graded(level)
    message = found.good if score == 1 else f"expected: {found.good}; they are {_standing(score)}"
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


def _standing(score: float) -> str:
    if score == 0:
        return "far from it"
    return f"{'nearly' if score > 0.6 else 'partly'} there"
