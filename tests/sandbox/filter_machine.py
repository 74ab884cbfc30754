"""A machine for the kernel's packet filter, as far as ours uses it, to try a filter without its kernel."""

from __future__ import annotations

import struct

ALLOWED = 0x7FFF_0000
ERROR = 0x0005_0000
PRETENDS = -1


def verdict(program: bytes, architecture: int, number: int, *arguments: int) -> int:
    """0 where the call is allowed, `PRETENDS` where it does nothing and returns 0, else the error that it returns."""
    given = [*arguments, *[0] * (6 - len(arguments))]
    seen = struct.pack("=IIQ6Q", number, architecture, 0, *(value % 2**64 for value in given))
    steps = list(struct.iter_unpack("=HBBI", program))
    loaded, at = 0, 0
    while True:
        code, yes, no, value = steps[at]
        at += 1
        if code == 0x20:
            (loaded,) = struct.unpack_from("=I", seen, value)
        elif code == 0x06:
            assert value == ALLOWED or value >> 16 == ERROR >> 16
            return 0 if value == ALLOWED else value & 0xFFFF or PRETENDS
        else:
            holds = {0x15: loaded == value, 0x35: loaded >= value, 0x45: bool(loaded & value)}[code]
            at += yes if holds else no
