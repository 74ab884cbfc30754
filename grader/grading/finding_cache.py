"""What checks found on a submission's evidence, kept beside it, so that judging again measures nothing again.

Remembered are whole findings under all their numbers, and measurements under the numbers that shape them. What is
remembered belongs to one content of the evidence and one state of the grader's own files; with any other it is
forgotten. Faults of the grader's own are never remembered.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from grader.checks import Measurement
from grader.evidence import NotAnswered
from grader.records import Blame, Fault, Finding
from grader.store.json_files import read_cached, store_cached

MAX_ENTRIES = 5000  # a rubric has about a hundred checks; moved numbers add some each
Remembered = Finding | Measurement | Fault
_ONE: TypeAdapter[Remembered] = TypeAdapter(Remembered)  # no two of them have the same fields
_ENTRIES: TypeAdapter[dict[str, Remembered]] = TypeAdapter(dict[str, Remembered])


@dataclass
class FindingCache:
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

    def beside(self, prefix: str) -> FindingCache:
        """The same memory, for other evidence of the same submission."""
        return FindingCache(self.entries, self.prefix + prefix, self.grown)

    def _keep(self, key: str, made: Remembered) -> None:
        if len(self.entries) < MAX_ENTRIES and (plain := _plain(made)) is not None:
            self.entries[key] = plain
            self.grown.append(key)


def asked(part: str, check: str, numbers: Mapping[str, Any]) -> str:
    """A name for what is asked."""
    return f"{part}/{check}/{json.dumps(dict(numbers), sort_keys=True, default=str)}"


def store_memory(path: Path, memory: FindingCache, made_of: Mapping[str, str]) -> None:
    """The file holds the memory, if there is more than was read, and what its results were made of.

    Raises:
        OSError: it cannot be written.
    """
    if memory.grown:
        store_cached(path, _ENTRIES, memory.entries, made_of)
        memory.grown.clear()


def stored_memory(path: Path, made_of: Mapping[str, str]) -> FindingCache:
    """What `store_memory` wrote; an empty memory where it was made of something else, or is damaged."""
    known = read_cached(path, _ENTRIES, made_of) or {}
    return FindingCache(known if len(known) <= MAX_ENTRIES else {})


def _plain(made: Remembered) -> Remembered | None:
    """The same with Python's own numbers, as it comes back from a file; None where it would not.

    Infinite numbers would not; and a fault of the grader's own is not to be remembered.
    """
    if isinstance(made, Fault) and made.blame == Blame.OURS:
        return None
    try:
        return _ONE.validate_python(json.loads(json.dumps(asdict(made), allow_nan=False, default=_number)))
    except (ValueError, TypeError):
        return None


def _number(value: object) -> object:
    """A number of numpy's as Python's."""
    plain = getattr(value, "item", None)
    if plain is None:
        raise TypeError(f"{type(value).__name__} is not remembered")
    return plain()
