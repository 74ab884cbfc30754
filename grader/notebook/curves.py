"""Numbers that a cell printed, read from hostile text and set beside those of another run of the same cell.

Knows no exercise: lines that are the same but for their numbers make a table, and of that table the columns count
that are called a loss or one of its terms. Timings, counters and progress bars therefore never count.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from grader.records import Comparison

# Four seeds of the reference end within 0.3 % of each other and begin within 1.3 %; other honest ways to write the same
# loss end within 0.1 %. Thirty times that is for other machines. A single number may come from a few images alone.
END_TOLERANCE = 0.1
SINGLE_TOLERANCE = 0.2
SHAPE_TOLERANCE = 0.3  # of a value on the way, relative
SHAPE_SHARE = 0.25  # of the values on the way that may lie outside it
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
    """What two runs of a cell printed under one name, where it cannot be the same computation."""

    what: str  # for instance "loss"
    how: str  # in words: what differs
    beside: tuple[Comparison, ...]


def read_curves(text: str) -> Curves:
    """The columns of loss-like numbers in the text; bounded in time and size whatever the text is."""
    found: Curves = {}
    for line in (line[:_MAX_LINE] for line in text.splitlines()[:_MAX_LINES]):
        numbers = list(_NUMBER.finditer(line))
        skeleton = " ".join(_NUMBER.sub("#", line).split())
        end = 0
        for column, number in enumerate(numbers):
            label = line[max(end, number.start() - _LABEL) : number.start()]
            end = number.end()
            if _LOSS.search(label) and not number.group().lstrip("+-").isdigit():
                key = (skeleton, column)
                if key in found or len(found) < _MAX_TABLES:
                    found.setdefault(key, []).append(number.group())
    return found


def contradictions(saved: Curves, again: Curves, *, complete: bool) -> Iterator[Contradiction]:
    """What contradicts; where the run was not `complete`, only as far as it came."""
    for key, mine in saved.items():
        what = _name(key)
        theirs = again.get(key, [])
        if not theirs:
            if complete and not again and len(mine) >= 3:
                yield Contradiction(what, "the run printed nothing of that kind", _rows(what, mine, []))
            continue
        if complete and len(mine) != len(theirs):
            how = f"{len(mine)} values were handed in, the run printed {len(theirs)}"
            yield Contradiction(what, how, _rows(what, mine, theirs))
            continue
        length = min(len(mine), len(theirs))
        how = _difference(mine[:length], theirs[:length])
        if how:
            yield Contradiction(what, how, _rows(what, mine, theirs))


def _difference(mine: Sequence[str], theirs: Sequence[str]) -> str:
    saved, again = [float(value) for value in mine], [float(value) for value in theirs]
    finite = [abs(value) for value in (*saved, *again) if math.isfinite(value)]
    noise = _NEAR_ZERO * max(finite, default=0.0)
    tail = max(1, len(saved) // 10)  # single batches are noisy: the end is a mean where there are many
    tolerance = END_TOLERANCE if len(saved) >= 3 else SINGLE_TOLERANCE
    if _apart(_mean(saved[-tail:]), _mean(again[-tail:]), tolerance, noise):
        return f"{mine[-1]} was handed in at the end, the run ended at {theirs[-1]}"
    outside = sum(_apart(a, b, SHAPE_TOLERANCE, noise) for a, b in zip(saved, again, strict=True))
    if outside >= 2 and outside > SHAPE_SHARE * len(saved):
        return f"the way there differs at {outside} of {len(saved)} values"
    return ""


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values) if all(map(math.isfinite, values)) else math.nan


def _apart(one: float, other: float, tolerance: float, noise: float) -> bool:
    if not (math.isfinite(one) and math.isfinite(other)):
        return math.isfinite(one) != math.isfinite(other)
    return abs(one - other) > max(tolerance * max(abs(one), abs(other)), noise)


def _rows(what: str, mine: Sequence[str], theirs: Sequence[str]) -> tuple[Comparison, ...]:
    length = max(len(mine), len(theirs))
    count = min(length, _MAX_SHOWN)
    last = max(0, min(len(mine), len(theirs)) - 1)  # where the shorter one ends
    chosen = sorted({last, *(round(n * (length - 1) / max(1, count - 1)) for n in range(count))})
    return tuple(
        Comparison(
            f"{what}, {n + 1} of {length}" if length > 1 else what,
            mine[n] if n < len(mine) else "–",
            theirs[n] if n < len(theirs) else "–",
        )
        for n in chosen
    )


def _name(key: tuple[str, int]) -> str:
    skeleton, column = key
    words = re.findall(r"[\w-]+(?: [\w-]+)?", skeleton.split("#")[column][-_LABEL:])
    named = [word for word in words if _LOSS.search(word)]
    return str((named or words or ["number"])[-1])


def printed(outputs: Sequence[Mapping[str, Any]]) -> tuple[str, bool]:
    """What a cell printed, and whether that is all of it; standard error, full of progress bars, does not count."""
    told: list[str] = []
    left = _MAX_CHARS
    for output in outputs:
        text = output.get("text") if output.get("name") == "stdout" else None
        if isinstance(text, str):
            told.append(text[: max(0, left)])
            left -= len(text)
    lines = "".join(told).replace("\r\n", "\n").split("\n")
    return "\n".join(line.rstrip("\r").rpartition("\r")[2] for line in lines), left >= 0
