"""Numbers that show whether a function's code has changed: the same inside and outside a box, and in any cell."""

from __future__ import annotations

import zlib
from types import CodeType

MISSING = -1  # no such name, or its value has no Python code
PLAIN = (str, bytes, int, float, complex, bool, type(None), type(...))


def fingerprint(code: CodeType) -> int:
    """A number for the code's instructions, names and constants, independent of its place in a file."""
    parts = [code.co_code.hex(), repr(code.co_names), repr(code.co_varnames), repr(code.co_freevars)]
    return zlib.crc32(" ".join([*parts, *map(_constant, code.co_consts)]).encode("utf-8", "replace"))


def _constant(value: object) -> str:
    if isinstance(value, CodeType):
        return str(fingerprint(value))
    if isinstance(value, tuple | frozenset):
        parts = [_constant(part) for part in value]
        return repr(sorted(parts) if isinstance(value, frozenset) else parts)
    return repr(value) if isinstance(value, PLAIN) else type(value).__name__


def fingerprint_of(namespace: dict[str, object], path: str) -> int:
    """The fingerprint of the `function` or `Class.method` of that name; `MISSING` if there is none."""
    first, _, method = path.partition(".")
    value: object = namespace.get(first)
    if method:
        value = vars(value).get(method) if isinstance(value, type) else None
    code = getattr(value, "__code__", None)
    return fingerprint(code) if isinstance(code, CodeType) else MISSING


def number_of(namespace: dict[str, object], name: str) -> float:
    """The number of that name; `MISSING` if it is not a number."""
    value = namespace.get(name)
    plain = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if plain and abs(value) < 1e9 else float(MISSING)  # type: ignore[arg-type]
