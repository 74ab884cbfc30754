"""What checks found on a submission's evidence, kept beside it, so that judging again measures nothing again.

Remembered are whole findings under all their numbers, and measurements under the numbers that shape them. What is
remembered belongs to one content of the evidence and one state of the grader's own files; with any other it is
forgotten. Faults of the grader's own are never remembered.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from pydantic import TypeAdapter, ValidationError

from grader.bounded import Unreadable, json_value
from grader.judging import NotAnswered
from grader.levels import Measurement
from grader.records import Fault, Finding

FORMAT = 1
MAX_BYTES = 20_000_000
MAX_VALUES = 500_000
MAX_ENTRIES = 5000  # a rubric has about a hundred checks; moved numbers add some each
Remembered = Finding | Measurement | Fault
KINDS: Mapping[str, TypeAdapter[Any]] = {
    "finding": TypeAdapter(Finding),
    "measurement": TypeAdapter(Measurement),
    "fault": TypeAdapter(Fault),
}


@dataclass
class Memory:
    """Results by what was asked; `grown` says that there is more than was read."""

    entries: dict[str, Remembered] = field(default_factory=dict)
    prefix: str = ""
    grown: list[str] = field(default_factory=list)

    def recall(self, asked: str, make: Callable[[], Finding | Measurement]) -> Finding | Measurement:
        """What `make` gave when the same was asked before; else what it gives now.

        Raises:
            NotAnswered: as `make` does, also from memory.
        """
        key = self.prefix + asked
        known = self.entries.get(key)
        if isinstance(known, Fault):
            raise NotAnswered(known)
        if known is not None:
            return known
        try:
            made = make()
        except NotAnswered as missing:
            self._keep(key, missing.fault)
            raise
        if isinstance(made, Finding | Measurement):
            self._keep(key, made)
        return made

    def beside(self, prefix: str) -> Memory:
        """The same memory, for other evidence of the same submission."""
        return Memory(self.entries, self.prefix + prefix, self.grown)

    def _keep(self, key: str, made: Remembered) -> None:
        if len(self.entries) < MAX_ENTRIES and _is_plain(made):
            self.entries[key] = made
            self.grown.append(key)


def asked(part: str, check: str, numbers: Mapping[str, Any]) -> str:
    """A name for what is asked."""
    return f"{part}/{check}/{json.dumps(dict(numbers), sort_keys=True, default=str)}"


def dump_memory(memory: Memory, belongs_to: Mapping[str, str]) -> bytes:
    """The memory as JSON, with what it belongs to."""
    entries = {key: [_kind(made), asdict(made)] for key, made in memory.entries.items()}
    told = {"format": FORMAT, "belongs_to": dict(belongs_to), "entries": entries}
    return json.dumps(told, allow_nan=False, default=_number).encode()


def read_memory(data: bytes, belongs_to: Mapping[str, str]) -> Memory:
    """What `dump_memory` wrote; an empty memory where that is another's, or damaged."""
    try:
        told = json_value(data, most_values=MAX_VALUES)
        if told["format"] != FORMAT or told["belongs_to"] != dict(belongs_to) or len(told["entries"]) > MAX_ENTRIES:
            return Memory()
        return Memory({key: KINDS[kind].validate_python(made) for key, (kind, made) in told["entries"].items()})
    except (Unreadable, ValidationError, KeyError, TypeError, ValueError, AttributeError):
        return Memory()


def _kind(made: Remembered) -> str:
    return "finding" if isinstance(made, Finding) else "measurement" if isinstance(made, Measurement) else "fault"


def _is_plain(made: Remembered) -> bool:
    """Whether it comes back from JSON as it was: no number in it is infinite or none."""
    try:
        json.dumps(asdict(made), allow_nan=False, default=_number)
    except (ValueError, TypeError):
        return False
    return not (isinstance(made, Fault) and made.blame == "ours")


def _number(value: object) -> object:
    """A number of numpy's as Python's."""
    plain = getattr(value, "item", None)
    if plain is None:
        raise TypeError(f"{type(value).__name__} is not remembered")
    found = plain()
    if isinstance(found, float) and not math.isfinite(found):
        raise ValueError("not finite")
    return found
