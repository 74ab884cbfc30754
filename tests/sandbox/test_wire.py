"""Frames are read as written; other bytes are refused."""

from __future__ import annotations

import contextlib
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grader.sandbox.in_box.wire import HEADER, MAX_NAME, WireError, read_frame, write_frame


@given(st.lists(st.tuples(st.text(max_size=40), st.binary(max_size=3000)), max_size=5))
def test_frames_are_read_as_they_were_written(frames: list[tuple[str, bytes]]) -> None:
    frames = [(name.encode(errors="ignore").decode(), data) for name, data in frames]
    stream = io.BytesIO()
    for name, data in frames:
        write_frame(stream, name, data)
    stream.seek(0)
    assert [read_frame(stream, 3000) for _ in frames] == frames
    assert read_frame(stream, 3000) is None


@given(st.binary(max_size=300))
def test_any_bytes_are_frames_an_end_or_a_wire_error(data: bytes) -> None:
    stream = io.BytesIO(data)
    with contextlib.suppress(WireError):
        while (frame := read_frame(stream, 100)) is not None:
            assert len(frame[1]) <= 100


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (HEADER.pack(MAX_NAME + 1, 0), "frame name of 201 bytes, at most 200 allowed"),
        (HEADER.pack(1, 101) + b"a", "frame of 101 bytes, at most 100 allowed"),
        (HEADER.pack(1, 0) + b"\xff", "frame name is not UTF-8"),
        (HEADER.pack(1, 5) + b"abc", "the stream ended inside a frame"),
        (b"\0\0", "the stream ended inside a frame"),
    ],
)
def test_each_fault_has_its_sentence(data: bytes, message: str) -> None:
    with pytest.raises(WireError) as caught:
        read_frame(io.BytesIO(data), 100)
    assert str(caught.value) == message


def test_a_long_name_is_refused_before_anything_is_written() -> None:
    stream = io.BytesIO()
    with pytest.raises(WireError):
        write_frame(stream, "n" * (MAX_NAME + 1), b"")
    assert stream.getvalue() == b""
