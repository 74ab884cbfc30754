"""JSON files of the grader, written completely or not at all, and read within limits as the types that were written.

Some files are caches. `store_cached` notes what their value was computed from, and `read_cached` returns None if that
has changed, or if the file is damaged. docs/remembered.md lists them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from grader.store.bounded import Unreadable, file_bytes, json_value
from grader.store.files import write_changed
from grader.store.value_problems import place_text, problem_text

MOST_BYTES = 50_000_000
MOST_VALUES = 5_000_000
Value = TypeVar("Value")


def read_json(
    path: Path, adapter: TypeAdapter[Value], most_bytes: int = MOST_BYTES, format_version: int | None = None
) -> Value:
    """The value in the file. With a `format_version`, the file must be an object whose `format` is that number.

    Raises:
        Unreadable: the file is missing, a link, too large, or holds something else.
    """
    values = _values(file_bytes(path, most_bytes))
    if format_version is not None and (not isinstance(values, dict) or values.get("format") != format_version):
        raise Unreadable(f"expected a file of format {format_version}; it was written by another version of the grader")
    return validate(values, adapter)


def parse_json(data: bytes, adapter: TypeAdapter[Value], most_values: int = MOST_VALUES) -> Value:
    """The value in the bytes of a line, a message or a file.

    Raises:
        Unreadable: they are not JSON, hold too many values, or values of other types.
    """
    return validate(_values(data, most_values), adapter)


def validate(values: Any, adapter: TypeAdapter[Value], place: str = "") -> Value:
    """The plain JSON values, which are at this place of a file, as the adapter's type.

    Raises:
        Unreadable: they have another type; the text names the first place.
    """
    try:
        return adapter.validate_python(values)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = place_text((place, *first["loc"]) if place else first["loc"])
        problem = problem_text(first)
        raise Unreadable(f"{where}: {problem}" if where else problem) from None


def write_json(path: Path, adapter: TypeAdapter[Value], value: Value) -> None:
    """Writes the value to the file, unless the file already holds it.

    Raises:
        OSError: it cannot be written.
    """
    write_changed(path, dump_json(adapter.dump_python(value, mode="json"), indent=1))


def json_line(adapter: TypeAdapter[Value], value: Value) -> bytes:
    """The value as one line, with a newline."""
    return dump_json(adapter.dump_python(value, mode="json"), indent=None)


def store_cached(path: Path, adapter: TypeAdapter[Value], value: Value, made_of: Mapping[str, str]) -> None:
    """Writes the value, and what it was computed from, to the file.

    Raises:
        OSError: it cannot be written.
    """
    values = {"made_of": dict(made_of), "value": adapter.dump_python(value, mode="json")}
    write_changed(path, dump_json(values, indent=1))


def read_cached(path: Path, adapter: TypeAdapter[Value], made_of: Mapping[str, str]) -> Value | None:
    """Returns the value that `store_cached` wrote, if it was computed from the same source; else None."""
    try:
        values = _values(file_bytes(path, MOST_BYTES))
        if not isinstance(values, dict) or values.get("made_of") != dict(made_of):
            return None
        return validate(values.get("value"), adapter)
    except Unreadable:
        return None


def dump_json(values: Any, indent: int | None = 2) -> bytes:
    """Plain JSON values in ASCII, with a newline at the end, so that a terminal can show whatever a notebook printed.

    Raises:
        ValueError: a number is not finite.
    """
    return (json.dumps(values, indent=indent, allow_nan=False) + "\n").encode("ascii")


def _values(data: bytes, most_values: int = MOST_VALUES) -> Any:
    return json_value(data, most_values=most_values)
