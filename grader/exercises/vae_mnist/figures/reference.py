"""What the reference notebook gives, for pictures to stand beside: read from `reference.json`.

`make_reference` writes that file. These are levels of one honest solution, no thresholds.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

FILE = Path(__file__).with_name("reference.json")


@dataclass(frozen=True, slots=True)
class Reference:
    """Levels of one part of the reference notebook."""

    loss: tuple[float, ...]  # the mean loss of each epoch
    kept: float  # explained variance of hidden images
    worst: tuple[float, ...]  # the error of each digit's worst reconstruction, see `reconstructions.errors_of`
    nearest: float  # the smallest ratio of a sample's distances to training images, see `grader.metrics.copies`
    read_as_asked: float | None = None  # the share of conditional samples that the classifier reads as asked


@lru_cache(maxsize=1)
def _stored() -> dict[str, Reference]:
    parts = json.loads(FILE.read_text(encoding="utf-8"))
    return {
        part: Reference(tuple(told.pop("loss")), worst=tuple(told.pop("worst")), **told) for part, told in parts.items()
    }


def reference(part: str) -> Reference:
    """The levels of that part."""
    return _stored()[part]
