"""Numbers that say whether a function is the code that it was: the same in a box and outside, wherever it stands."""

from __future__ import annotations

import zlib
from types import CodeType

MISSING = -1  # nothing of that name, or nothing with code of Python's
PLAIN = (str, bytes, int, float, complex, bool, type(None), type(...))


def fingerprint(code: CodeType) -> int:
    """A number for what the code does, wherever it stands: its instructions, names and constants."""
    parts = [code.co_code.hex(), repr(code.co_names), repr(code.co_varnames), repr(code.co_freevars)]
    return zlib.crc32(" ".join([*parts, *map(_constant, code.co_consts)]).encode("utf-8", "replace"))


def _constant(value: object) -> str:
    if isinstance(value, CodeType):
        return str(fingerprint(value))
    if isinstance(value, tuple | frozenset):
        parts = [_constant(part) for part in value]
        return repr(sorted(parts) if isinstance(value, frozenset) else parts)
    return repr(value) if isinstance(value, PLAIN) else type(value).__name__


def fingerprint_of(names: dict[str, object], path: str) -> int:
    """The fingerprint of what is called `function` or `Class.method` among the names; `MISSING` where it has none."""
    first, _, method = path.partition(".")
    value: object = names.get(first)
    if method:
        value = vars(value).get(method) if isinstance(value, type) else None
    code = getattr(value, "__code__", None)
    return fingerprint(code) if isinstance(code, CodeType) else MISSING


def number_of(names: dict[str, object], name: str) -> float:
    """The number of that name; `MISSING` where it is none."""
    value = names.get(name)
    plain = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if plain and abs(value) < 1e9 else float(MISSING)  # type: ignore[arg-type]
