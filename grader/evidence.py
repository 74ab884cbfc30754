"""Reads untrusted tensors against a specification; stores them in one file, without pickle.

A box's answer is the bytes of a safetensors file. Its header is bounded before it is parsed, and only the arrays that
the specification names, of the right kind, number and finiteness, become evidence; anything else is a fault of the
answer. A stored file is read just as carefully: someone else may have sent it.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import load, save

from grader.errors import EvidenceError, one_line, short_path
from grader.records import Address, Array, Blame, Evidence, Fault
from grader.store.bounded import Unreadable, leading_bytes

MAX_HEADER = 1 << 20
MAX_FILE = 1 << 29
MAX_TENSORS = 4096  # of one file; the state of a deep network has some hundreds
MAX_NAME = 400  # characters of a tensor's name
MAX_FAULT = 2000  # characters of a fault's message
LARGE = 500_000  # numbers; larger arrays are pictures, for which half precision is finer than a grey level
_HALF_UP_TO = 2.0  # above it half precision is coarser than that, and far above it infinite
_ANSWERED = {"F32", "I64"}
_STORED = {"F16", "F32", "F64", "I64", "I32", "U8", "BOOL"}
_HEADER = struct.Struct("<Q")


@dataclass(frozen=True, slots=True)
class ArraySpec:
    """The required type and size of an array of an answer: `kind` is "float" (float32) or "int" (int64)."""

    kind: str
    max_elements: int
    max_dims: int = 5

    def __post_init__(self) -> None:
        """Refuses another kind with a ValueError."""
        if self.kind not in ("float", "int"):
            raise ValueError(f'ArraySpec: expected kind "float" or "int", got {self.kind!r}')


AnswerSpec = Mapping[str, ArraySpec]


_NO_FILE = "the answer is not a tensor file"


class NotAnswered(Exception):
    """There is no answer to check; `fault` says why, and who is to blame."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.message)
        self.fault = fault


def answer(evidence: Evidence, address: Address, *names: str) -> list[Array]:
    """These arrays of the answer.

    Raises:
        NotAnswered: the box gave none; with the reason.
    """
    arrays = [evidence.answers.get(address.array(name)) for name in names]
    if any(array is None for array in arrays):
        raise NotAnswered(evidence.fault(address, *names))
    return [array for array in arrays if array is not None]


def give_up(message: str) -> NoReturn:
    """Ends the check: the answer cannot be used, and the message says why."""
    raise NotAnswered(Fault(Blame.STUDENT, message))


class Rejected(Exception):
    """The bytes are not an answer to the question; the message says why, for the student."""


def read_tensors(data: bytes) -> dict[str, Array]:
    """The arrays in a safetensors file's bytes, of float32 and int64 only.

    Raises:
        Rejected: the bytes are not such a file.
    """
    kinds, _ = _header(data)
    if other_kinds := sorted(kinds - _ANSWERED):
        raise Rejected(f"expected 32-bit floats or 64-bit integers, got {one_line(', '.join(other_kinds))}")
    try:
        return dict(load(data))
    except (ValueError, KeyError, TypeError, SafetensorError, OverflowError):
        raise Rejected(_NO_FILE) from None


def _header(data: bytes) -> tuple[set[str], dict[str, Any]]:
    """Returns the arrays' types and the file's metadata, from a header of limited size."""
    if len(data) < _HEADER.size:
        raise Rejected(_NO_FILE)
    (size,) = _HEADER.unpack(data[: _HEADER.size])
    if size > min(MAX_HEADER, len(data) - _HEADER.size):
        raise Rejected(_NO_FILE)
    try:
        header = json.loads(data[_HEADER.size : _HEADER.size + size], object_pairs_hook=_unique)
        metadata = header.pop("__metadata__", None) or {}
        kinds = {entry["dtype"] for entry in header.values()}
    except (ValueError, RecursionError, KeyError, TypeError, AttributeError):
        raise Rejected(_NO_FILE) from None
    if len(header) > MAX_TENSORS or any(len(name) > MAX_NAME for name in header):
        raise Rejected("the answer holds too many arrays, or names that are too long")
    if not all(isinstance(kind, str) for kind in kinds) or not isinstance(metadata, dict):
        raise Rejected(_NO_FILE)
    return kinds, metadata


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Returns the object; refuses a repeated key, because readers disagree on which entry counts."""
    entries = dict(pairs)
    if len(entries) != len(pairs):
        raise ValueError("a key is given twice")
    return entries


def read_answer(data: bytes, spec: AnswerSpec) -> dict[str, Array]:
    """The arrays of one answer, exactly those that the specification names.

    Raises:
        Rejected: an array is missing, unexpected, of another type or too large.
    """
    tensors = read_tensors(data)
    if set(tensors) != set(spec):
        names = one_line(", ".join(sorted(tensors)), 100) or "nothing"
        raise Rejected(f"the answer is incomplete: expected {', '.join(sorted(spec))}, got {names}")
    for name, array_spec in spec.items():
        array = tensors[name]
        if (array.dtype == np.float32) != (array_spec.kind == "float"):
            raise Rejected(f"expected {name} to be {array_spec.kind} numbers, got {array.dtype}")
        if array.size > array_spec.max_elements:
            raise Rejected(f"{name} has {array.size} numbers, more than can be asked for ({array_spec.max_elements})")
        if array.ndim > array_spec.max_dims:
            raise Rejected(f"{name} has {array.ndim} dimensions, more than can be asked for ({array_spec.max_dims})")
    return tensors


def save_evidence(evidence: Evidence) -> bytes:
    """The evidence as the bytes of one safetensors file; large float arrays are kept in half precision."""
    arrays: dict[str, Array] = {}
    for prefix, stored in (("q", evidence.questions), ("a", evidence.answers)):
        for name, array in stored.items():
            arrays[f"{prefix}:{name}"] = np.array(array, dtype=_stored_dtype(array), order="C")
    faults = {name: [fault.blame, fault.message] for name, fault in evidence.faults.items()}
    return save(arrays, metadata={"faults": json.dumps(faults)})


def _stored_dtype(array: Array) -> np.dtype[Any]:
    large = array.dtype == np.float32 and array.size >= LARGE and np.abs(array).max() <= _HALF_UP_TO
    return np.dtype(np.float16) if large else array.dtype


def as_stored(evidence: Evidence) -> Evidence:
    """Returns the evidence as `load_evidence` will return it, rounded to half precision where that is stored."""

    def round_arrays(arrays: Mapping[str, Array]) -> dict[str, Array]:
        return {name: _full(array.astype(_stored_dtype(array), copy=False)) for name, array in arrays.items()}

    return Evidence(round_arrays(evidence.questions), round_arrays(evidence.answers), evidence.faults)


def load_evidence(path: Path) -> Evidence:
    """The evidence of a file that this grader has written; each array is read on first access.

    Raises:
        EvidenceError: the file is missing, too large or not evidence; on access, if it has changed since.
    """
    try:
        data = leading_bytes(path, MAX_FILE, _HEADER.size + MAX_HEADER)
        kinds, metadata = _header(data)
        if not kinds <= _STORED:
            raise Rejected("other kinds of numbers")
        faults = _faults(metadata)
        with safe_open(path, "np") as file:
            names = list(file.keys())
    except (Unreadable, Rejected, SafetensorError, OSError) as reason:
        raise _not_evidence(path, reason) from None

    def arrays_of(prefix: str) -> Mapping[str, Array]:
        stored = {name.removeprefix(prefix): partial(_array, path, name) for name in names if name.startswith(prefix)}
        return _LazyMapping(lambda: stored)

    return Evidence(arrays_of("q:"), arrays_of("a:"), faults)


def _array(path: Path, name: str) -> Array:
    try:
        with safe_open(path, "np") as file:
            return _full(file.get_tensor(name))
    except (SafetensorError, OSError, ValueError) as reason:
        raise _not_evidence(path, reason) from None


def _not_evidence(path: Path, reason: Exception) -> EvidenceError:
    what = f"not an evidence file of this grader ({one_line(str(reason), 100)})"
    return EvidenceError(f"{short_path(path)}: {what}; grade again")


def read_later(load: Callable[[], Evidence]) -> Evidence:
    """Returns evidence that calls `load` on first access."""
    load_once = cache(load)

    def entries_of(select: Callable[[Evidence], Mapping[str, Any]]) -> Mapping[str, Any]:
        return _LazyMapping(lambda: _readers(select(load_once())))

    return Evidence(
        entries_of(lambda evidence: evidence.questions),
        entries_of(lambda evidence: evidence.answers),
        entries_of(lambda evidence: evidence.faults),
    )


def overlay(below: Mapping[str, Any], above: Mapping[str, Any], is_kept: Callable[[str], bool]) -> Mapping[str, Any]:
    """The entries `above`, and those `below` whose names are kept; none of them is read before it is needed."""

    def readers() -> dict[str, Callable[[], Any]]:
        return {name: read for name, read in _readers(below).items() if is_kept(name)} | _readers(above)

    return _LazyMapping(readers)


def _readers(entries: Mapping[str, Any]) -> dict[str, Callable[[], Any]]:
    return {name: partial(entries.__getitem__, name) for name in entries}


class _LazyMapping(Mapping[str, Any]):
    """A mapping whose keys are determined on first use, and whose values are loaded one by one on first access.

    Most checks need only a few arrays, which may take many MB.
    """

    def __init__(self, makers: Callable[[], Mapping[str, Callable[[], Any]]]) -> None:
        self._makers = load_makers = cache(makers)
        self._value = cache(lambda key: load_makers()[key]())  # not by `self`: a cycle would keep arrays for a while

    def __getitem__(self, key: str) -> Any:
        return self._value(key)

    def __contains__(self, key: object) -> bool:
        return key in self._makers()

    def __iter__(self) -> Iterator[str]:
        return iter(self._makers())

    def __len__(self) -> int:
        return len(self._makers())


def _faults(metadata: Mapping[str, Any]) -> dict[str, Fault]:
    """The faults in the file's metadata.

    Raises:
        Rejected: they are not what `save_evidence` wrote.
    """
    try:
        entries: Mapping[str, tuple[str, str]] = json.loads(metadata["faults"], object_pairs_hook=_unique)
        faults = {address: Fault(Blame(blame), message) for address, (blame, message) in entries.items()}
    except (ValueError, RecursionError, KeyError, TypeError, AttributeError):
        raise Rejected("its faults cannot be read") from None
    for fault in faults.values():
        if not isinstance(fault.message, str) or len(fault.message) > MAX_FAULT:
            raise Rejected("its faults cannot be read")
    return faults


def _full(array: Array) -> Array:
    return array.astype(np.float32) if array.dtype == np.float16 else array
