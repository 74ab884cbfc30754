"""Damage to JSON values and to bytes, as data: hypothesis makes it, shrinks it, and `json_damaged` applies it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from hypothesis import strategies as st

PLACE = st.integers(0, 1 << 30)  # taken modulo the number of places
LEAVES: list[Any] = [
    *(None, True, False, 0, -1, 7, 1 << 63, -(1 << 64), 10**400, 1e308, -0.0, float("nan"), float("inf")),
    *("", "x", "code", "\ud800", "a\x00b", "\x1b[2J\x07", "\u202egnp.", "é" * 300, "../../../x", "=1+1", "{{7*7}}"),
    *([], {}, [[]], {"": {}}, ["a", 7], [["\n"]], {"a\nb": 1}),
]
VALUES = st.sampled_from(LEAVES) | st.integers() | st.floats() | st.text(max_size=12)
KINDS = ("set", "set", "drop", "double", "swap", "retype", "nest", "rename", "copy")
JSON_DAMAGE = st.lists(st.tuples(st.sampled_from(KINDS), PLACE, PLACE, VALUES), min_size=1, max_size=6)
BYTE_KINDS = ("flip", "cut", "insert", "splice", "tail", "repeat")
BYTES = st.sampled_from([b"", b"\0", b"\xff", b"\xef\xbb\xbf", b'"', b"\\", b"{", b"[" * 1500, b"9" * 500, b"]", b","])
BYTE_DAMAGE = st.lists(
    st.tuples(st.sampled_from(BYTE_KINDS), PLACE, PLACE, BYTES | st.binary(max_size=6)), min_size=1, max_size=4
)

Place = tuple[Any, Any]


def places(value: Any) -> list[Place]:
    """Every (container, key) of a JSON value."""
    pairs: list[Place] = []
    todo = [value]
    while todo:
        container = todo.pop()
        keys = list(container) if isinstance(container, dict) else range(len(container))
        for key in keys:
            pairs.append((container, key))
            if isinstance(container[key], dict | list):
                todo.append(container[key])
    return pairs


def json_damaged(text: str, damage: Sequence[tuple[str, int, int, Any]]) -> Any:
    """The JSON value after each piece of damage in turn."""
    root = [json.loads(text)]
    for kind, at, other, value in damage:
        known = places(root)
        container, key = known[at % len(known)]
        _apply(kind, container, key, known[other % len(known)], value)
        if not root:
            root.append(None)
    return root[0]


def _apply(kind: str, container: Any, key: Any, other: Place, value: Any) -> None:
    whole = json.dumps(container[key])  # a copy, so that nothing comes to hold itself
    if kind == "drop":
        del container[key]
    elif kind == "double" and isinstance(container, list):
        container[key:key] = [json.loads(whole)] * 3
    elif kind == "rename" and isinstance(container, dict):
        container[str(value)[:20]] = container.pop(key)
    elif kind == "swap":
        container[key], other[0][other[1]] = json.loads(json.dumps(other[0][other[1]])), json.loads(whole)
    elif kind == "copy":
        container[key] = json.loads(json.dumps(other[0][other[1]]))
    elif kind == "retype":
        container[key] = _retyped(container[key])
    elif kind == "nest":
        container[key] = (
            json.loads("[" * 60 + whole + "]" * 60) if isinstance(container, list) else {"a": container[key]}
        )
    else:
        container[key] = json.loads(json.dumps(value))


def _retyped(value: Any) -> Any:
    if isinstance(value, dict):
        return list(value.items())
    if isinstance(value, list):
        return {str(index): entry for index, entry in enumerate(value)}
    if isinstance(value, str):
        return [value[:5], value[5:]]
    return str(value)


def bytes_damaged(data: bytes, damage: Sequence[tuple[str, int, int, bytes]]) -> bytes:
    """The bytes after each piece of damage in turn."""
    for kind, at, other, value in damage:
        start, stop = sorted((at % (len(data) + 1), other % (len(data) + 1)))
        if kind == "flip" and data:
            place = at % len(data)
            data = data[:place] + bytes([data[place] ^ (1 << other % 8)]) + data[place + 1 :]
        elif kind == "cut":
            data = data[:start] + data[min(stop, start + 200) :]
        elif kind == "splice":
            data = data[:start] + data[stop : stop + 300] + data[start:]
        elif kind == "tail":
            data = data[:start]
        elif kind == "repeat":
            data = data[:stop] + data[start : min(stop, start + 500)] * 3 + data[stop:]
        else:
            data = data[:start] + value + data[start:]
    return data
