"""Reads hostile tensors against a specification, and keeps them in one file without pickle.

A box's answer is the bytes of a safetensors file. Its header is bounded before it is parsed, and only the arrays that
the specification names, of the right kind, number and finiteness, become evidence; anything else is a fault of the
answer.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import load, save

from grader.errors import GraderError
from grader.notebook.format import one_line
from grader.records import Array, Evidence, Fault

MAX_HEADER = 1 << 20
MAX_FILE = 1 << 30
LARGE = 500_000  # numbers: thousands of pictures, where half precision is finer than a grey level
_HEADER = struct.Struct("<Q")


@dataclass(frozen=True, slots=True)
class ArraySpec:
    """What an array of an answer must be: `kind` is "float" (float32) or "int" (int64)."""

    kind: str
    max_elements: int
    max_dims: int = 5


AnswerSpec = Mapping[str, ArraySpec]


class Rejected(Exception):
    """The bytes are no answer to the question; the message says why, for the student."""


def read_tensors(data: bytes) -> dict[str, Array]:
    """The arrays in a safetensors file's bytes, of float32 and int64 only.

    Raises:
        Rejected: for bytes that are not such a file.
    """
    if len(data) < _HEADER.size:
        raise Rejected("the answer is not a tensor file")
    (size,) = _HEADER.unpack(data[: _HEADER.size])
    if size > min(MAX_HEADER, len(data) - _HEADER.size):
        raise Rejected("the answer is not a tensor file")
    try:
        header = json.loads(data[_HEADER.size : _HEADER.size + size])
        kinds = {entry["dtype"] for name, entry in header.items() if name != "__metadata__"}
        if others := sorted(kinds - {"F32", "I64"}):
            raise Rejected(f"expected 32-bit floats or 64-bit integers, got {one_line(', '.join(others))}")
        return dict(load(data))
    except (ValueError, RecursionError, KeyError, TypeError, AttributeError, SafetensorError, OverflowError):
        raise Rejected("the answer is not a tensor file") from None


def read_answer(data: bytes, spec: AnswerSpec) -> dict[str, Array]:
    """The arrays of one answer, exactly those that the specification names.

    Raises:
        Rejected: for an array that is missing, too many, of another kind, too large or not finite.
    """
    tensors = read_tensors(data)
    if set(tensors) != set(spec):
        raise Rejected("the answer is incomplete")
    for name, wanted in spec.items():
        array = tensors[name]
        if (array.dtype == np.float32) != (wanted.kind == "float"):
            raise Rejected(f"expected {name} to be {wanted.kind} numbers, got {array.dtype}")
        if array.size > wanted.max_elements or array.ndim > wanted.max_dims:
            raise Rejected(f"{name} has {array.size} numbers in {array.ndim} dimensions, more than can be asked for")
        if not np.isfinite(array).all():
            raise Rejected(f"{readable(name)} contains NaN or infinity")
    return tensors


def readable(name: str) -> str:
    """The array's name as a student would read it."""
    return name.replace("_", " ")


def save_evidence(evidence: Evidence) -> bytes:
    """The evidence as the bytes of one safetensors file; large float arrays are kept in half precision."""
    arrays: dict[str, Array] = {}
    for prefix, source in (("q", evidence.questions), ("a", evidence.answers)):
        for name, array in source.items():
            large = array.dtype == np.float32 and array.size >= LARGE
            arrays[f"{prefix}:{name}"] = np.array(array, dtype=np.float16 if large else array.dtype, order="C")
    faults = {name: [fault.blame, fault.message] for name, fault in evidence.faults.items()}
    return save(arrays, metadata={"faults": json.dumps(faults)})


def load_evidence(path: Path) -> Evidence:
    """The evidence of a file that this grader has written.

    Raises:
        GraderError: for a file that is missing, too large or not evidence.
    """
    try:
        if path.stat().st_size > MAX_FILE:
            raise GraderError(f"{path}: larger than any evidence; delete it and grade again")
        with safe_open(path, framework="numpy") as file:
            faults: dict[str, list[str]] = json.loads((file.metadata() or {})["faults"])
            arrays = {name: _full(file.get_tensor(name)) for name in file.keys()}  # noqa: SIM118  # not a mapping
    except (OSError, SafetensorError, ValueError, KeyError):
        raise GraderError(f"{path}: not an evidence file of this grader; grade again") from None

    def part(prefix: str) -> dict[str, Any]:
        return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}

    return Evidence(part("q:"), part("a:"), {name: Fault(*fault) for name, fault in faults.items()})


def _full(array: Array) -> Array:
    return array.astype(np.float32) if array.dtype == np.float16 else array
