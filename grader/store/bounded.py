"""Files and JSON from elsewhere, read within limits of size, count and depth.

The error for a file that cannot be read gives one reason in plain words. Links are not followed, pipes are not waited
for, and nothing is executed.
"""

from __future__ import annotations

import codecs
import json
import math
import os
import stat
from enum import Enum, auto
from pathlib import Path
from typing import Any

_MAX_DIGITS = 400  # of a whole number; Python itself refuses more than some thousands
_CHUNK = 1 << 20
_SEPARATORS = b",[{"
_OTHERS = bytes(set(range(256)) - set(_SEPARATORS) - set(b'"'))
_UNUSABLE_NUMBER = "a number is not finite, or has hundreds of digits"


class Reason(Enum):
    """Why bytes cannot be used, for callers that give advice or continue without the file."""

    EMPTY = auto()
    TOO_LARGE = auto()
    TOO_MANY_VALUES = auto()
    TOO_DEEP = auto()
    NOT_UTF8 = auto()
    NOT_JSON = auto()
    OTHER = auto()


class Unreadable(Exception):
    """The bytes cannot be used; the text gives the reason in a few words, to follow the name of the file."""

    def __init__(self, text: str, reason: Reason = Reason.OTHER) -> None:
        super().__init__(text)
        self.reason = reason


def file_bytes(path: Path, most_bytes: int) -> bytes:
    """All bytes of a regular file of at most `most_bytes`.

    Raises:
        Unreadable: the file is missing, empty, too large, a link, or not a regular file.
    """
    content = leading_bytes(path, most_bytes, most_bytes + 1)
    if len(content) > most_bytes:  # the file grew meanwhile
        raise Unreadable(f"has more than {most_bytes / 1e6:g} MB, the limit", Reason.TOO_LARGE)
    return content


def leading_bytes(path: Path, most_bytes: int, count: int) -> bytes:
    """The first `count` bytes of a regular file of at most `most_bytes`, or all of a shorter one.

    Raises:
        Unreadable: as `file_bytes` does.
    """
    try:
        _check_file(path.lstat(), most_bytes)
        # Between the two checks, the file may have been replaced by a pipe: do not wait for a writer.
        flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOFOLLOW", 0)
        with open(os.open(path, flags | getattr(os, "O_BINARY", 0)), "rb") as file:  # noqa: PTH123
            _check_file(os.fstat(file.fileno()), most_bytes)
            return file.read(count)
    except FileNotFoundError:
        raise Unreadable("no such file; check the path") from None
    except (OSError, ValueError) as error:
        raise Unreadable(f"cannot be read: {getattr(error, 'strerror', None) or error}") from None


def json_value(data: bytes, *, most_values: int, lenient: bool = False) -> Any:
    """The JSON value in UTF-8 bytes with or without a byte order mark, of at most about `most_values` values.

    Numbers that are not finite, or have hundreds of digits, are refused; if `lenient`, they become None.

    Raises:
        Unreadable: the bytes are not such JSON, hold too many values, or are nested too deeply.
    """
    body = data.removeprefix(codecs.BOM_UTF8)
    if sum(map(body.count, (b",", b"[", b"{"))) > most_values and values_in(body, most_values) > most_values:
        raise Unreadable("holds too many lists, objects and numbers", Reason.TOO_MANY_VALUES)
    to_int = _int_or_none if lenient else _int_or_refuse
    to_float = _float_or_none if lenient else _float_or_refuse
    try:
        text = body.decode("utf-8")
        try:
            return json.loads(text, parse_constant=to_int, parse_float=to_float)
        except json.JSONDecodeError:
            raise
        except ValueError:  # a number: each one is parsed in Python only here, since that is slow
            return json.loads(text, parse_constant=to_int, parse_float=to_float, parse_int=to_int)
    except UnicodeDecodeError as error:
        raise Unreadable(f"is not UTF-8 text (byte {error.start})", Reason.NOT_UTF8) from None
    except RecursionError:
        raise Unreadable("is nested too deeply", Reason.TOO_DEEP) from None
    except ValueError as error:
        raise Unreadable(f"is not JSON ({error})", Reason.NOT_JSON) from None


def values_in(data: bytes, most: int) -> int:
    """Roughly how many values the JSON holds, at most twice as many; stops counting somewhere above `most`."""
    plain = data.replace(b"\\\\", b"").replace(b'\\"', b"")  # every remaining quote begins or ends a string
    count, inside = 0, 0
    for start in range(0, len(plain), _CHUNK):
        pieces = plain[start : start + _CHUNK].translate(None, _OTHERS).split(b'"')
        count += sum(map(len, pieces[inside::2]))
        inside = (inside + len(pieces) - 1) % 2
        if count > most:
            break
    return count


def _check_file(status: os.stat_result, most_bytes: int) -> None:
    if stat.S_ISDIR(status.st_mode):
        raise Unreadable("is a folder; give a file in it")
    if stat.S_ISLNK(status.st_mode):
        raise Unreadable("is a symbolic link; give the file itself")
    if not stat.S_ISREG(status.st_mode):
        raise Unreadable("is not a regular file (a pipe, socket or device)")
    if status.st_size == 0:
        raise Unreadable("is empty (0 bytes)", Reason.EMPTY)
    if status.st_size > most_bytes:
        size, most = status.st_size / 1e6, most_bytes / 1e6
        raise Unreadable(f"has {size:.1f} MB, expected at most {most:g} MB", Reason.TOO_LARGE)


def _int_or_none(text: str) -> int | None:
    return None if len(text) > _MAX_DIGITS or not text.lstrip("-").isdigit() else int(text)


def _int_or_refuse(text: str) -> int:
    if len(text) <= _MAX_DIGITS and text.lstrip("-").isdigit():
        return int(text)
    raise ValueError(_UNUSABLE_NUMBER)


def _float_or_refuse(text: str) -> float:
    if math.isfinite(value := float(text)):
        return value
    raise ValueError(_UNUSABLE_NUMBER)


def _float_or_none(text: str) -> float | None:
    return value if math.isfinite(value := float(text)) else None
