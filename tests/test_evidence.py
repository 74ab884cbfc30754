"""Hostile tensor files are always rejected with `Rejected`; stored evidence is read back unchanged."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import save

from grader.errors import GraderError
from grader.evidence import (
    LARGE,
    MAX_HEADER,
    ArraySpec,
    Rejected,
    as_stored,
    load_evidence,
    read_answer,
    read_tensors,
    save_evidence,
)
from grader.records import Evidence, Fault

GOOD = save({"x": np.arange(6, dtype=np.float32).reshape(2, 3), "n": np.array([7], dtype=np.int64)})
SPEC = {"x": ArraySpec("float", 6), "n": ArraySpec("int", 1)}


def file(header: Any, data: bytes = b"", size: int | None = None) -> bytes:
    """A tensor file with any header."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if size is None else size) + text + data


def entry(dtype: Any = "F32", shape: Any = (1,), offsets: Any = (0, 4)) -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": offsets}


def rejected_or_valid(data: bytes) -> None:
    """The property: any bytes are a valid answer, or raise `Rejected` with one line."""
    try:
        arrays = read_answer(data, SPEC)
    except Rejected as rejected:
        reason = str(rejected)
    else:
        reason = ""
        assert arrays.keys() == SPEC.keys()
        assert (arrays["x"].dtype, arrays["n"].dtype) == (np.float32, np.int64)
    assert "\n" not in reason
    assert len(reason) < 300


@given(st.binary(max_size=400))
def test_any_bytes_are_rejected_or_valid(data: bytes) -> None:
    rejected_or_valid(data)


@given(st.lists(st.tuples(st.integers(0, len(GOOD) - 1), st.integers(0, 255)), max_size=4), st.integers(0, len(GOOD)))
def test_a_changed_or_truncated_file_is_rejected_or_valid(changes: list[tuple[int, int]], length: int) -> None:
    data = bytearray(GOOD)
    for place, value in changes:
        data[place] = value
    rejected_or_valid(bytes(data))
    rejected_or_valid(bytes(data[:length]))


_NUMBERS = st.one_of(st.integers(-(2**70), 2**70), st.integers(0, 30), st.floats(), st.none())
_VALUES = st.recursive(_NUMBERS | st.text(max_size=5), lambda inner: st.lists(inner, max_size=3), max_leaves=6)
_ENTRIES = st.fixed_dictionaries(
    {
        "dtype": st.sampled_from(["F32", "I64", "F16", "BOOL", "F8_E4M3"]) | _VALUES,
        "shape": st.lists(_NUMBERS, max_size=4) | _VALUES,
        "data_offsets": st.lists(_NUMBERS, max_size=3) | _VALUES,
    }
)


@given(st.dictionaries(st.sampled_from(["x", "n", "__metadata__", ""]), _ENTRIES | _VALUES), st.binary(max_size=64))
def test_any_header_is_rejected_or_valid(header: dict[str, Any], data: bytes) -> None:
    rejected_or_valid(file(header, data))


@pytest.mark.parametrize(
    "data",
    [
        file({}, size=2**63),
        file({}, size=MAX_HEADER + 1),
        file(b" " * (MAX_HEADER + 1)),
        file(b"[" * 50_000),
        file(b'{"x": ' * 5000),
        file([]),
        file(b"null"),
        file(b"\xff\xfe{}"),
        file({"x": entry(), "y": entry()}, bytes(4)),  # both use the same four bytes
        file({"x": entry(), "y": entry(offsets=(2, 6))}, bytes(6)),
        file({"x": entry(offsets=(4, 0))}, bytes(4)),
        file({"x": entry(offsets=(0, 400))}, bytes(4)),
        file({"x": entry(shape=(2**40, 2**40))}, bytes(4)),
        file({"x": entry(shape=(-1,))}, bytes(4)),
        file({"x": entry(dtype=["F32"])}, bytes(4)),
        file({"x": {"dtype": "F32"}}, bytes(4)),
        file({"x": entry()}, bytes(8)),
    ],
)
def test_broken_files_are_rejected(data: bytes) -> None:
    with pytest.raises(Rejected):
        read_tensors(data)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x": np.ones(6, dtype=np.float64)}, "expected 32-bit floats or 64-bit integers, got F64"),
        ({"x": np.ones(6, dtype=np.float32)}, "the answer is incomplete: expected n, x, got x"),
        ({"x": np.ones(6, dtype=np.int64)}, "expected x to be float numbers, got int64"),
        ({"n": np.ones(1, dtype=np.float32)}, "expected n to be int numbers, got float32"),
        ({"x": np.ones(7, dtype=np.float32)}, "x has 7 numbers, more than can be asked for (6)"),
        ({"x": np.ones((1,) * 6, dtype=np.float32)}, "x has 6 dimensions, more than can be asked for (5)"),
        ({"more": np.ones(1, dtype=np.float32)}, "the answer is incomplete: expected n, x, got more, n, x"),
    ],
)
def test_an_invalid_answer_is_refused_with_what_was_expected(arrays: dict[str, Any], message: str) -> None:
    right = {"x": np.ones(6, dtype=np.float32), "n": np.ones(1, dtype=np.int64)}
    if not message.endswith("got x"):
        arrays = {**right, **arrays}
    with pytest.raises(Rejected) as reason:
        read_answer(save(arrays), SPEC)
    assert str(reason.value) == message


def test_evidence_is_read_back_unchanged(tmp_path: Path) -> None:
    large = np.random.default_rng(0).random((2000, 60), dtype=np.float32)
    evidence = Evidence(
        {"components.one/x": np.arange(5), "components.one/scalar": np.array(3, dtype=np.int64)},
        {"components.one/function/y": np.array([[1.5, 2.5]], dtype=np.float32), "quality.one/images/x": large},
        {"trained.one/history": Fault("student", "raised 'é\ud800'"), "decode.one/apply": Fault("ours", "")},
    )
    (tmp_path / "evidence.safetensors").write_bytes(save_evidence(evidence))
    loaded = load_evidence(tmp_path / "evidence.safetensors")
    assert dict(loaded.faults) == dict(evidence.faults)
    for got, kept in ((loaded.questions, evidence.questions), (loaded.answers, evidence.answers)):
        assert got.keys() == kept.keys()
        for name in kept:
            assert (got[name].dtype, got[name].shape) == (kept[name].dtype, kept[name].shape)
            assert np.allclose(got[name], kept[name], atol=1e-3 if kept[name].size > 10_000 else 0)


@pytest.mark.parametrize("content", [b"", b"nonsense", GOOD, save({}, metadata={"faults": "not JSON"})])
def test_a_file_without_evidence_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "evidence.safetensors"
    path.write_bytes(content)
    with pytest.raises(GraderError, match=r"evidence file of this grader \(.*\); grade again$"):
        load_evidence(path)


def test_missing_evidence_is_reported(tmp_path: Path) -> None:
    with pytest.raises(GraderError, match=r"grade again$"):
        load_evidence(tmp_path / "nothing")


def test_as_stored_gives_the_same_evidence_as_its_file(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    arrays = {
        "pictures": rng.random(LARGE, dtype=np.float32).reshape(-1, 100),
        "large numbers": rng.normal(0, 1e6, LARGE).astype(np.float32),
        "few": rng.random(10, dtype=np.float32),
        "integers": np.arange(7),
    }
    evidence = Evidence({"q/x": arrays["pictures"]}, arrays, {"a/b": Fault("student", "no")})
    (tmp_path / "e").write_bytes(save_evidence(evidence))
    read, stored = load_evidence(tmp_path / "e"), as_stored(evidence)
    for ours, theirs in ((stored.questions, read.questions), (stored.answers, read.answers)):
        assert ours.keys() == theirs.keys()
        for name, array in ours.items():
            assert array.dtype == theirs[name].dtype
            np.testing.assert_array_equal(array, theirs[name])
    assert stored.faults == read.faults
    assert (stored.answers["pictures"] != arrays["pictures"]).any()
