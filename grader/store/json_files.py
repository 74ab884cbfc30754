"""The grader's own JSON, written whole and read within bounds into the types that were written: files, lines, messages.

Some files are caches. `store_cached` notes what their value was computed from, and `read_cached` gives nothing where
that has changed, or where the file is damaged. docs/remembered.md lists them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from grader.store.bounded import Unreadable, file_bytes, json_value
from grader.store.files import write_atomically

MOST_BYTES = 50_000_000
MOST_VALUES = 5_000_000
Value = TypeVar("Value")


def read_json(path: Path, adapter: TypeAdapter[Value], most_bytes: int = MOST_BYTES, form: int | None = None) -> Value:
    """The value in the file. With a `form`, the file is an object whose `format` is that number.

    Raises:
        Unreadable: the file is missing, a link, too large, or holds something else.
    """
    values = _values(file_bytes(path, most_bytes))
    if form is not None and (not isinstance(values, dict) or values.get("format") != form):
        raise Unreadable(f"expected format {form}")
    return validate(values, adapter)


def parse_json(data: bytes, adapter: TypeAdapter[Value], most_values: int = MOST_VALUES) -> Value:
    """The value in the bytes of a line, a message or a file.

    Raises:
        Unreadable: they are not JSON, hold too many values, or something else.
    """
    return validate(_values(data, most_values), adapter)


def validate(values: Any, adapter: TypeAdapter[Value], place: str = "") -> Value:
    """Plain JSON values, which stand at this place of a file, as the adapter's type.

    Raises:
        Unreadable: they are something else; the text names the first place where they are.
    """
    try:
        return adapter.validate_python(values)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(filter(None, (place, *map(str, first["loc"]))))
        raise Unreadable(f"{where}: {first['msg']}" if where else str(first["msg"])) from None


def write_json(path: Path, adapter: TypeAdapter[Value], value: Value) -> None:
    """The file holds the value; it is not touched where it did before.

    Raises:
        OSError: it cannot be written.
    """
    write_changed(path, dump_json(adapter.dump_python(value, mode="json"), indent=1))


def write_changed(path: Path, content: bytes) -> None:
    """The file holds the content; it is not touched where it did before.

    Raises:
        OSError: it cannot be written.
    """
    same = path.is_file() and not path.is_symlink() and path.stat().st_size == len(content)
    if not same or path.read_bytes() != content:
        write_atomically(path, content)


def json_line(adapter: TypeAdapter[Value], value: Value) -> bytes:
    """The value as one line, with its end."""
    return dump_json(adapter.dump_python(value, mode="json"), indent=None)


def store_cached(path: Path, adapter: TypeAdapter[Value], value: Value, made_of: Mapping[str, str]) -> None:
    """The file holds the value, and what it was made of.

    Raises:
        OSError: it cannot be written.
    """
    values = {"made_of": dict(made_of), "value": adapter.dump_python(value, mode="json")}
    write_changed(path, dump_json(values, indent=1))


def read_cached(path: Path, adapter: TypeAdapter[Value], made_of: Mapping[str, str]) -> Value | None:
    """What `store_cached` wrote, if it was made of the same; else None."""
    try:
        values = _values(file_bytes(path, MOST_BYTES))
        if not isinstance(values, dict) or values.get("made_of") != dict(made_of):
            return None
        return validate(values.get("value"), adapter)
    except Unreadable:
        return None


def dump_json(values: Any, indent: int | None = 2) -> bytes:
    """Plain JSON values in ASCII, with a newline at the end: a terminal can show whatever a notebook has printed.

    Raises:
        ValueError: a number is not finite.
    """
    return (json.dumps(values, indent=indent, allow_nan=False) + "\n").encode("ascii")


def _values(data: bytes, most_values: int = MOST_VALUES) -> Any:
    return json_value(data, most_values=most_values)
