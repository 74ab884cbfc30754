"""The grader's own JSON files: written whole, and read within bounds into the types that were written.

Some hold what was made of something else, so that it need not be made again: `keep` writes down of what, and `kept`
gives nothing where that has changed, or where the file is damaged. docs/remembered.md lists them.
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
Made = TypeVar("Made")


def read_json(path: Path, kind: TypeAdapter[Made], most_bytes: int = MOST_BYTES, form: int | None = None) -> Made:
    """The value in the file. With a `form`, the file is an object whose `format` is that number.

    Raises:
        Unreadable: the file is missing, a link, too large, or holds something else.
    """
    values = json_value(file_bytes(path, most_bytes), most_values=MOST_VALUES)
    if form is not None and (not isinstance(values, dict) or values.get("format") != form):
        raise Unreadable(f"expected format {form}")
    return checked(values, kind)


def checked(values: Any, kind: TypeAdapter[Made]) -> Made:
    """The values as what they are to be.

    Raises:
        Unreadable: they are something else; the text names the first place where they are.
    """
    try:
        return kind.validate_python(values)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise Unreadable(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from None


def write_json(path: Path, kind: TypeAdapter[Made], value: Made) -> None:
    """The file holds the value; it is not touched where it did before.

    Raises:
        OSError: it cannot be written.
    """
    write_changed(path, _dumped(kind.dump_python(value, mode="json")))


def write_changed(path: Path, content: bytes) -> None:
    """The file holds the content; it is not touched where it did before.

    Raises:
        OSError: it cannot be written.
    """
    same = path.is_file() and not path.is_symlink() and path.stat().st_size == len(content)
    if not same or path.read_bytes() != content:
        write_atomically(path, content)


def keep(path: Path, kind: TypeAdapter[Made], value: Made, made_of: Mapping[str, str]) -> None:
    """The file holds the value, and what it was made of.

    Raises:
        OSError: it cannot be written.
    """
    write_changed(path, _dumped({"made_of": dict(made_of), "value": kind.dump_python(value, mode="json")}))


def kept(path: Path, kind: TypeAdapter[Made], made_of: Mapping[str, str]) -> Made | None:
    """What `keep` wrote, if it was made of the same; else None."""
    try:
        told = json_value(file_bytes(path, MOST_BYTES), most_values=MOST_VALUES)
        if not isinstance(told, dict) or told.get("made_of") != dict(made_of):
            return None
        return checked(told.get("value"), kind)
    except Unreadable:
        return None


def _dumped(values: Any) -> bytes:
    """The values in ASCII: whatever a notebook has printed can be written, and shown by a terminal."""
    return (json.dumps(values, indent=1, allow_nan=False) + "\n").encode("ascii")
