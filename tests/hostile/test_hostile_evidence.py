"""Damaged tensor files are rejected in one line, whether a box sent them or a folder holds them."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hostile_forms import FORMS, Form, check_reason
from hostile_mutations import BYTE_DAMAGE, JSON_DAMAGE, bytes_damaged, json_damaged
from hypothesis import strategies as st
from safetensors.numpy import save
from small_exercise import running

from grader.errors import GraderError
from grader.evidence import (
    MAX_HEADER,
    MAX_TENSORS,
    ArraySpec,
    Rejected,
    load_evidence,
    read_answer,
    read_tensors,
    save_evidence,
)
from grader.grading.verdicts import item_verdicts
from grader.records import Array, Evidence, Fault
from grader.skeleton.exercise.plugin import TwoNumbers

SPEC = {"x": ArraySpec("float", 600), "labels": ArraySpec("int", 8), "mu": ArraySpec("float", 40, 2)}
RUBRIC = running.rubric()
TOY = TwoNumbers()
X = np.linspace(-1, 1, 16, dtype=np.float32)
STORED = Evidence(
    {f"{kind}.{part}/x": X for kind in ("components", "quality") for part in ("one", "two")},
    {
        **{"components.one/function/y": 2 * X, "trained.one/history/history": X[:5] ** 2 + 1},
        **{"quality.one/apply/y": 2 * X, "decode.one/apply/y": 4 * X},
    },
    {"components.two/function": Fault("student", "raised é"), "trained.two/history": Fault("ours", "the box broke")},
)


def answer() -> bytes:
    rng = np.random.default_rng(0)
    arrays = {
        "x": rng.random((3, 1, 14, 14), dtype=np.float32),
        "labels": np.arange(8),
        "mu": np.ones((5, 8), np.float32),
    }
    return save(arrays)


def parts(data: bytes) -> tuple[str, bytes]:
    """The header's text and the numbers of a tensor file."""
    (size,) = struct.unpack("<Q", data[:8])
    return data[8 : 8 + size].decode(), data[8 + size :]


def whole(header: Any, numbers: bytes) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + numbers


def check_answer(data: bytes) -> None:
    """The property: arrays of the right kinds and numbers, or one line."""
    for read in (lambda: read_answer(data, SPEC), lambda: read_tensors(data)):
        try:
            arrays: dict[str, Array] = read()
        except Rejected as rejected:
            check_reason(str(rejected))
            continue
        assert sum(array.nbytes for array in arrays.values()) <= len(data)
        assert {array.dtype.name for array in arrays.values()} <= {"float32", "int64"}


def check_stored(path: Path, data: bytes) -> None:
    """The property: evidence that can be graded, or one line."""
    path.write_bytes(data)
    try:
        evidence = load_evidence(path)
    except GraderError as error:
        check_reason(str(error))
        return
    assert all(fault.blame in ("student", "ours", "nobody") for fault in evidence.faults.values())
    with np.errstate(all="ignore"):  # numbers of a stored file may be anything
        items = item_verdicts(evidence, RUBRIC, TOY.checks)
    assert all(0 <= item.points_milli <= item.max_points_milli for item in items)


@FORMS
def test_an_answer_with_a_damaged_header_is_read_or_rejected(form: Form) -> None:
    header, numbers = parts(answer())
    form.holds(JSON_DAMAGE, lambda damage: check_answer(whole(json_damaged(header, damage), numbers)))


@FORMS
def test_an_answer_with_damaged_bytes_is_read_or_rejected(form: Form) -> None:
    form.holds(BYTE_DAMAGE, lambda damage: check_answer(bytes_damaged(answer(), damage)))


@FORMS
def test_an_answer_with_damaged_numbers_is_read_or_rejected(form: Form) -> None:
    header, numbers = parts(answer())
    odd = st.sampled_from([0x7FC00000, 0x7F800000, 0xFF800000, 0x80000000, 1, 0x7F7FFFFF, 0xFFFFFFFF])
    places = st.lists(st.tuples(st.integers(0, len(numbers) // 4 - 1), odd), max_size=9)

    def numbered(changes: list[tuple[int, int]]) -> None:
        data = bytearray(numbers)
        for place, pattern in changes:
            struct.pack_into("<I", data, 4 * place, pattern)
        check_answer(whole(header.encode(), bytes(data)))

    form.holds(places, numbered)


@FORMS
def test_stored_evidence_with_a_damaged_header_is_loaded_or_refused(form: Form, tmp_path: Path) -> None:
    header, numbers = parts(save_evidence(STORED))
    form.holds(
        JSON_DAMAGE, lambda damage: check_stored(tmp_path / "evidence", whole(json_damaged(header, damage), numbers))
    )


@FORMS
def test_stored_evidence_with_damaged_faults_is_loaded_or_refused(form: Form, tmp_path: Path) -> None:
    header, numbers = parts(save_evidence(STORED))

    def faulty(damage: Any) -> None:
        fields = json.loads(header)
        fields["__metadata__"]["faults"] = json.dumps(json_damaged(fields["__metadata__"]["faults"], damage))
        check_stored(tmp_path / "evidence", whole(fields, numbers))

    form.holds(JSON_DAMAGE, faulty)


@FORMS
def test_stored_evidence_with_damaged_bytes_is_loaded_or_refused(form: Form, tmp_path: Path) -> None:
    stored = save_evidence(STORED)
    form.holds(BYTE_DAMAGE, lambda damage: check_stored(tmp_path / "evidence", bytes_damaged(stored, damage)))


def entry(dtype: str = "F32", shape: Any = (1,), offsets: Any = (0, 4)) -> dict[str, Any]:
    return {"dtype": dtype, "shape": list(shape), "data_offsets": list(offsets)}


TWICE = b'{"x":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"x":{"dtype":"F16","shape":[2],"data_offsets":[0,4]}}'
REJECTED = {
    "nothing": b"",
    "seven bytes": bytes(7),
    "a header of zero bytes": bytes(8),
    "a header larger than the file": struct.pack("<Q", 1 << 40) + b"{}",
    "a header larger than allowed": whole(b"{}" + b" " * MAX_HEADER, b""),
    "a name given twice, where two readers would differ": whole(TWICE, bytes(4)),
    "a kind given twice": whole(TWICE.replace(b'"shape":[1]', b'"dtype":"F32","shape":[1]'), bytes(4)),
    "more arrays than allowed": whole(
        {f"x{n}": entry(offsets=(0, 0), shape=(0,)) for n in range(MAX_TENSORS + 1)}, b""
    ),
    "a name of a thousand characters": whole({"x" * 1000: entry()}, bytes(4)),
    "a name that is not a text": whole(b'{"\\ud800":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}', bytes(4)),
    "half precision": whole({"x": entry("F16", (2,))}, bytes(4)),
    "brain floats": whole({"x": entry("BF16", (2,))}, bytes(4)),
    "truth values": whole({"x": entry("BOOL", (4,))}, bytes(4)),
    "an unknown kind": whole({"x": entry("\x1b[2J" * 99, (4,))}, bytes(4)),
    "a shape whose product overflows": whole({"x": entry(shape=(1 << 32, 1 << 32))}, bytes(4)),
    "a shape whose bytes overflow": whole({"x": entry(shape=(1 << 62,), offsets=(0, 1 << 64))}, b""),
    "nothing of an endless shape": whole({"x": entry(shape=(0, 1 << 62), offsets=(0, 0))}, b""),
    "seventy dimensions": whole({"x": entry(shape=(1,) * 70)}, bytes(4)),
    "a shape below zero": whole({"x": entry(shape=(-1,))}, bytes(4)),
    "a shape of fractions": whole({"x": entry(shape=(1.0,))}, bytes(4)),
    "overlapping arrays": whole({"x": entry(), "y": entry(offsets=(2, 6))}, bytes(6)),
    "the same bytes twice": whole({"x": entry(), "y": entry()}, bytes(4)),
    "a gap between arrays": whole({"x": entry(), "y": entry(offsets=(8, 12))}, bytes(12)),
    "bytes after the last array": whole({"x": entry()}, bytes(8)),
    "an end before the beginning": whole({"x": entry(offsets=(4, 0))}, bytes(4)),
    "an end behind the file": whole({"x": entry(offsets=(0, 400), shape=(100,))}, bytes(4)),
    "more bytes than the shape": whole({"x": entry(offsets=(0, 8))}, bytes(8)),
    "a deep header": whole(b'{"x":' * 100_000, b""),
    "UTF-16": whole(json.dumps({"x": entry()}).encode("utf-16"), bytes(4)),
}


@pytest.mark.parametrize("name", REJECTED)
def test_files_that_are_not_tensor_files_are_rejected(name: str, tmp_path: Path) -> None:
    with pytest.raises(Rejected) as rejected:
        read_tensors(REJECTED[name])
    check_reason(str(rejected.value))
    (tmp_path / "evidence").write_bytes(REJECTED[name])
    with pytest.raises(GraderError) as refused:
        load_evidence(tmp_path / "evidence")
    check_reason(str(refused.value))


def test_a_weighty_answer_outside_the_range_of_half_precision_is_stored_as_it_is(tmp_path: Path) -> None:
    huge = np.full(600_000, 1e6, dtype=np.float32)
    (tmp_path / "evidence").write_bytes(save_evidence(Evidence({}, {"a/b/x": huge, "a/b/y": huge / 1e6})))
    kept = load_evidence(tmp_path / "evidence").answers
    assert (kept["a/b/x"] == huge).all()
    assert (kept["a/b/y"] == 1).all()
    assert (tmp_path / "evidence").stat().st_size < 4_000_000  # the other half of it in half precision
