"""Frames: named byte strings on a pipe. Nothing else crosses the boundary of the box, in either direction.

`frames.py` defines their kinds and contents.

A frame is an 8-byte header (name length, data length; big-endian unsigned), the UTF-8 name and the data. The
supervisor imports this file, and a copy is in the box; the supervisor trusts nothing that it reads from a box.
"""

from __future__ import annotations

import struct
from typing import BinaryIO

HEADER = struct.Struct(">II")
MAX_NAME = 200


class WireError(Exception):
    """The stream is not a sequence of frames, or a frame is larger than allowed."""


def write_frame(stream: BinaryIO, name: str, data: bytes) -> None:
    """Writes one frame and flushes it."""
    encoded = name.encode()
    if len(encoded) > MAX_NAME:
        raise WireError(f"frame name of {len(encoded)} bytes, at most {MAX_NAME} allowed")
    stream.write(HEADER.pack(len(encoded), len(data)) + encoded)
    stream.write(data)
    stream.flush()


def _read_exactly(stream: BinaryIO, size: int) -> bytes:
    parts = []
    while size:
        part = stream.read(min(size, 1 << 20))
        if not part:
            raise WireError("the stream ended inside a frame")
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def read_frame(stream: BinaryIO, max_bytes: int) -> tuple[str, bytes] | None:
    """Returns the next (name, data), or None if the stream ends between two frames.

    Raises:
        WireError: the name is not UTF-8 or too long, the data exceeds `max_bytes`, or the stream ends early.
    """
    first = stream.read(1)
    if not first:
        return None
    name_length, data_length = HEADER.unpack(first + _read_exactly(stream, HEADER.size - 1))
    if name_length > MAX_NAME:
        raise WireError(f"frame name of {name_length} bytes, at most {MAX_NAME} allowed")
    if data_length > max_bytes:
        raise WireError(f"frame of {data_length} bytes, at most {max_bytes} allowed")
    try:
        name = _read_exactly(stream, name_length).decode()
    except UnicodeDecodeError:
        raise WireError("frame name is not UTF-8") from None
    return name, _read_exactly(stream, data_length)
