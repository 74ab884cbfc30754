"""The findings of checks on a submission's evidence, stored beside it, so that re-grading does not measure again.

A finding is stored under all numbers of its check, a measurement under all except the thresholds. Both are valid for
one checksum of the evidence and one version of the code, and are dropped otherwise. Grader faults are never cached.
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
Result = Finding | Measurement | Fault
_RESULT: TypeAdapter[Result] = TypeAdapter(Result)  # no two of them have the same fields
_ENTRIES: TypeAdapter[dict[str, Result]] = TypeAdapter(dict[str, Result])


@dataclass
class FindingCache:
    """Results by their keys; `new_keys` are those of results that no file holds yet."""

    entries: dict[str, Result] = field(default_factory=dict)
    prefix: str = ""
    new_keys: list[str] = field(default_factory=list)

    def get(self, key: str, measure: Callable[[], Finding | Measurement]) -> Finding | Measurement:
        """Returns the result under this key; if there is none, caches and returns the result of `measure`.

        Raises:
            NotAnswered: as `measure` does, also where that is cached.
        """
        key = self.prefix + key
        cached = self.entries.get(key)
        if isinstance(cached, Fault):
            raise NotAnswered(cached)
        if cached is not None:
            return cached
        try:
            result = measure()
        except NotAnswered as error:
            self._add(key, error.fault)
            raise
        if isinstance(result, Finding | Measurement):
            self._add(key, result)
        return result

    def with_prefix(self, prefix: str) -> FindingCache:
        """The same cache, for other evidence of the same submission."""
        return FindingCache(self.entries, self.prefix + prefix, self.new_keys)

    def _add(self, key: str, result: Result) -> None:
        if len(self.entries) < MAX_ENTRIES and (plain := _plain(result)) is not None:
            self.entries[key] = plain
            self.new_keys.append(key)


def cache_key(part: str, check: str, numbers: Mapping[str, Any]) -> str:
    """The key of what the check finds in the part with these numbers."""
    return f"{part}/{check}/{json.dumps(dict(numbers), sort_keys=True, default=str)}"


def write_findings(path: Path, findings: FindingCache, made_of: Mapping[str, str]) -> None:
    """Writes the findings, if there are new ones, and checksums of what they were made from.

    Raises:
        OSError: it cannot be written.
    """
    if findings.new_keys:
        store_cached(path, _ENTRIES, findings.entries, made_of)
        findings.new_keys.clear()


def read_findings(path: Path, made_of: Mapping[str, str]) -> FindingCache:
    """Reads what `write_findings` wrote; returns an empty cache if it was made from other input, or is damaged."""
    entries = read_cached(path, _ENTRIES, made_of) or {}
    return FindingCache(entries if len(entries) <= MAX_ENTRIES else {})


def _plain(result: Result) -> Result | None:
    """Returns the result with Python's own numbers, as a file would return it; None if it cannot be stored.

    Infinite numbers cannot be stored, and a grader fault must not be cached.
    """
    if isinstance(result, Fault) and result.blame == Blame.OURS:
        return None
    try:
        return _RESULT.validate_python(json.loads(json.dumps(asdict(result), allow_nan=False, default=_number)))
    except (ValueError, TypeError):
        return None


def _number(value: object) -> object:
    """Converts NumPy's numbers to Python's."""
    plain = getattr(value, "item", None)
    if plain is None:
        raise TypeError(f"{type(value).__name__} is not cached")
    return plain()
