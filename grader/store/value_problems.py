"""Describes what is wrong with a value from a file: its place, what was expected, and what was found.

pydantic finds the problems; its own sentences ("Input should be a valid integer") are for programmers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic_core import ErrorDetails

_EXPECTED: Mapping[str, str] = {
    "int": "a whole number",
    "float": "a number",
    "finite_number": "a finite number",
    "string": "text",
    "bool": "true or false",
    "list": "a list",
    "tuple": "a list",
    "dict": "a table",
    "mapping": "a table",
    "model": "a table",
    "dataclass": "a table",
    "greater_than": "a number above {gt}",
    "greater_than_equal": "a number of at least {ge}",
    "less_than": "a number below {lt}",
    "less_than_equal": "a number of at most {le}",
    "string_pattern_mismatch": "text of the form {pattern}",
    "enum": "{expected}",
    "literal_error": "{expected}",
    "too_short": "at least {min_length} entries",
    "too_long": "at most {max_length} entries",
    "missing_argument": "a value",
}
_KINDS: Mapping[type, str] = {dict: "a table", list: "a list", type(None): "nothing"}
_MAX_SHOWN = 60  # characters


def place_text(place: Sequence[str | int]) -> str:
    """The place in the file, counted from 0.

    >>> place_text(("items", 3, "points"))
    'items[3].points'
    """
    text = ""
    for piece in place:  # "[key]" is what pydantic calls the key of a table
        if piece == "[key]":
            continue
        text += f"[{piece}]" if isinstance(piece, int) else f".{piece}" if text else piece
    return text


def problem_text(problem: ErrorDetails) -> str:
    """What was expected at the place of the problem, and what was found.

    >>> problem_text({"type": "float_type", "loc": ("points",), "msg": "...", "input": "ten"})
    "expected a number, got 'ten'"
    """
    kind = problem["type"]
    if kind in {"missing", "missing_argument"}:
        return "is missing; add it"
    if kind in {"extra_forbidden", "unexpected_keyword_argument"}:
        return "unknown key; remove it"
    expected = _EXPECTED.get(kind) or _EXPECTED.get(kind.split("_")[0])
    if expected is None:
        message = problem["msg"]
        return f"{message[:1].lower()}{message[1:]}, got {value_text(problem['input'])}"
    return f"expected {expected.format(**problem.get('ctx', {}))}, got {value_text(problem['input'])}"


def value_text(value: Any) -> str:
    """A value in a few characters; for a table or a list, only its type.

    >>> value_text("ten"), value_text([1, 2]), value_text(None)
    ("'ten'", 'a list', 'nothing')
    """
    text = _KINDS.get(type(value)) or repr(value)
    return text if len(text) <= _MAX_SHOWN else text[: _MAX_SHOWN - 3] + "..."
