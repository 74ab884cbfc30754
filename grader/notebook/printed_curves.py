"""Compares the loss curves that a cell printed in two runs.

Numbers are compared without knowledge of the exercise: lines that differ only in their numbers make a table, and a
column counts if it is named like a loss or one of its terms. Timings, counters and progress bars never count.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from grader.records import Comparison

# Four seeds of the reference end within 0.3 % of each other and begin within 1.3 %; other correct implementations of
# the loss end within 0.1 %. Thirty times that allows for other machines. A single number may come from a few images
# only.
END_TOLERANCE = 0.1
SINGLE_TOLERANCE = 0.2
SHAPE_TOLERANCE = 0.3  # of a value before the end, relative
SHAPE_SHARE = 0.25  # of these values that may lie outside the tolerance
_NEAR_ZERO = 0.02  # of the largest value of a curve: differences below it are noise
_MAX_CHARS = 300_000  # of what one cell printed
_MAX_LINES = 3000
_MAX_LINE = 300
_MAX_TABLES = 40
_MAX_SHOWN = 8  # rows of a comparison, beside the shorter side's last
_NUMBER = re.compile(r"(?<![\w.])[-+]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d{1,4})?(?![\w])|(?<!\w)[-+]?(?:nan|inf)\b")
_LOSS = re.compile(r"loss|elbo|recon|(?<![a-z])(?:kld?|bce|mse|nll)(?![a-z])", re.IGNORECASE)
_LABEL = 40  # characters before a number that may name it

Curve = list[str]  # one column of numbers as they were printed
Curves = dict[tuple[str, int], Curve]  # (the line without its numbers, column) -> its numbers


@dataclass(frozen=True, slots=True)
class Contradiction:
    """Printed numbers of one name in two runs of a cell that cannot come from the same computation."""

    what: str  # for instance "loss"
    how: str  # the difference in words
    rows: tuple[Comparison, ...]


def read_curves(text: str) -> Curves:
    """The columns of loss-like numbers in the text; bounded in time and size whatever the text is."""
    curves: Curves = {}
    for line in (line[:_MAX_LINE] for line in text.splitlines()[:_MAX_LINES]):
        numbers = list(_NUMBER.finditer(line))
        skeleton = " ".join(_NUMBER.sub("#", line).split())
        end = 0
        for column, number in enumerate(numbers):
            label = line[max(end, number.start() - _LABEL) : number.start()]
            end = number.end()
            if _LOSS.search(label) and not number.group().lstrip("+-").isdigit():
                key = (skeleton, column)
                if key in curves or len(curves) < _MAX_TABLES:
                    curves.setdefault(key, []).append(number.group())
    return curves


def contradictions(saved: Curves, rerun: Curves, *, is_complete: bool) -> Iterator[Contradiction]:
    """Yields the contradictions; if the run is not complete, only those in the part that both printed."""
    for key, saved_values in saved.items():
        what = _name(key)
        rerun_values = rerun.get(key, [])
        if not rerun_values:
            if is_complete and not rerun and len(saved_values) >= 3:
                yield Contradiction(what, "this run printed no such value", _rows(what, saved_values, []))
            continue
        if is_complete and len(saved_values) != len(rerun_values):
            how = f"{len(saved_values)} values were submitted, this run printed {len(rerun_values)}"
            yield Contradiction(what, how, _rows(what, saved_values, rerun_values))
            continue
        length = min(len(saved_values), len(rerun_values))
        how = _difference(saved_values[:length], rerun_values[:length])
        if how:
            yield Contradiction(what, how, _rows(what, saved_values, rerun_values))


def _difference(saved_texts: Sequence[str], rerun_texts: Sequence[str]) -> str:
    saved, rerun = [float(value) for value in saved_texts], [float(value) for value in rerun_texts]
    finite = [abs(value) for value in (*saved, *rerun) if math.isfinite(value)]
    noise = _NEAR_ZERO * max(finite, default=0.0)
    tail = max(1, len(saved) // 10)  # single batches are noisy: the end of a long curve is a mean
    tolerance = END_TOLERANCE if len(saved) >= 3 else SINGLE_TOLERANCE
    if _differ(_mean(saved[-tail:]), _mean(rerun[-tail:]), tolerance, noise):
        return f"the submitted value ends at {saved_texts[-1]}, this run's at {rerun_texts[-1]}"
    count_outside = sum(_differ(a, b, SHAPE_TOLERANCE, noise) for a, b in zip(saved, rerun, strict=True))
    if count_outside >= 2 and count_outside > SHAPE_SHARE * len(saved):
        return f"{count_outside} of {len(saved)} values differ"
    return ""


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values) if all(map(math.isfinite, values)) else math.nan


def _differ(value: float, other_value: float, tolerance: float, noise: float) -> bool:
    if not (math.isfinite(value) and math.isfinite(other_value)):
        return math.isfinite(value) != math.isfinite(other_value)
    return abs(value - other_value) > max(tolerance * max(abs(value), abs(other_value)), noise)


def _rows(what: str, saved_texts: Sequence[str], rerun_texts: Sequence[str]) -> tuple[Comparison, ...]:
    length = max(len(saved_texts), len(rerun_texts))
    count = min(length, _MAX_SHOWN)
    last = max(0, min(len(saved_texts), len(rerun_texts)) - 1)  # where the shorter one ends
    positions = sorted({last, *(round(n * (length - 1) / max(1, count - 1)) for n in range(count))})
    return tuple(
        Comparison(
            f"{what}, {n + 1} of {length}" if length > 1 else what,
            saved_texts[n] if n < len(saved_texts) else "–",
            rerun_texts[n] if n < len(rerun_texts) else "–",
        )
        for n in positions
    )


def _name(key: tuple[str, int]) -> str:
    skeleton, column = key
    words = re.findall(r"[\w-]+(?: [\w-]+)?", skeleton.split("#")[column][-_LABEL:])
    loss_words = [word for word in words if _LOSS.search(word)]
    return str((loss_words or words or ["number"])[-1])


def printed_text(outputs: Sequence[Mapping[str, Any]]) -> tuple[str, bool]:
    """The text that a cell printed to standard output, and whether it is complete; progress bars are left out."""
    texts: list[str] = []
    chars_left = _MAX_CHARS
    for output in outputs:
        text = output.get("text") if output.get("name") == "stdout" else None
        if isinstance(text, str):
            texts.append(text[: max(0, chars_left)])
            chars_left -= len(text)
    lines = "".join(texts).replace("\r\n", "\n").split("\n")
    return "\n".join(line.rstrip("\r").rpartition("\r")[2] for line in lines), chars_left >= 0
