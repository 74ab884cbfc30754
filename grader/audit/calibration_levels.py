"""The thresholds of a check of pictures in words, and the models whose pictures show what its levels mean.

The words are the same on the page and in the captions of the strips.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from grader.audit import corpus
from grader.audit.calibration import ModelMeasurement, Threshold
from grader.report.text import points_text

NEAR = 0.3  # of the way from no points to full points: a model this near to a level may illustrate it
_NUMBER = re.compile(r"\{[^{}]*\}(?: %| of 100)?")  # in the words of a level


@dataclass(frozen=True)
class ShownModel:
    """The model whose pictures illustrate one level of a check."""

    level: str  # "no points", "half of the points", "full points", or "" for the reference
    at: float  # the value of the level
    measurement: ModelMeasurement
    is_near: bool


def shown_models(row: Threshold, of_check: Sequence[ModelMeasurement]) -> Iterator[ShownModel]:
    """The models nearest to no points, half of the points and full points; last the reference, if it was measured."""
    half, span = (row.zero_at + row.full_at) / 2, abs(row.full_at - row.zero_at)
    models = [m for m in of_check if m.model != corpus.REFERENCE]
    for level, at in {"no points": row.zero_at, "half of the points": half, "full points": row.full_at}.items():
        if models:
            nearest = _nearest(models, at, span)
            yield ShownModel(level, at, nearest, abs(nearest.value - at) <= NEAR * span)
    yield from (ShownModel("", m.value, m, is_near=True) for m in of_check if m.name == corpus.REFERENCE)


def _nearest(models: Sequence[ModelMeasurement], level: float, span: float) -> ModelMeasurement:
    """The model nearest to the level; a model with changed sampling only if no other is near."""
    learnt = [m for m in models if not corpus.entry(m.model).regions.keys() & {"sample_vae", "sample_cvae"}]
    near = [m for m in learnt if abs(m.value - level) <= NEAR * span]
    return min(near or models, key=lambda m: abs(m.value - level))


def caption(shown: ShownModel, words: str) -> str:
    """One line: the level, the model, its value, and the points that it earned."""
    m = shown.measurement
    value, earned = amount(words, m.value), f"earned {points_text(m.points_milli)} of {points_text(m.max_milli)}"
    if not shown.level:
        return f"the reference: {value}, {earned}"
    distance = "" if shown.is_near else "no model is near; "
    at = amount(words, shown.at)
    return f"{distance}nearest to {shown.level} ({at}): {in_plain_words(m.name)}, {value}, {earned}"


def amount(words: str, value: float) -> str:
    """A value of a check with its unit, taken from the words of its levels.

    >>> amount("{percent:.0f} of 100 samples are copies", 0.02), amount("sharpness is {value:.2f}", 0.5)
    ('2 of 100', '0.50')
    """
    number = _NUMBER.search(words)
    return (number.group() if number else "{value:g}").format(value=value, percent=100 * value)


def bound(words: str, value: float, kind: str) -> str:
    """The words of a level as a condition; `kind` is "at least" or "at most".

    >>> bound("{percent:.0f} of 100 samples are copies", 0.02, "at most")
    'at most 2 of 100 samples are copies'
    """
    return _NUMBER.sub(lambda number: f"{kind} {number.group()}", words, count=1).format(
        value=value, percent=100 * value
    )


def bounds(row: Threshold) -> tuple[str, str]:
    """How a value without points compares with `zero_at`, and a value with full points with `full_at`."""
    return ("at most", "at least") if row.full_at > row.zero_at else ("at least", "at most")


def in_plain_words(name: str) -> str:
    """The name of a model or of a check in plain words.

    >>> in_plain_words("samples_are_the_decoders_own")
    "samples are the decoder's own"
    """
    return name.replace("_", " ").replace("decoders own", "decoder's own")
