"""Runs a program that can neither make namespaces nor mount anything, as in a container.

    no_namespaces.py [--no-landlock] PROGRAM ARGUMENTS

The box's own filter of kernel calls sees to that, for this process and those below it; nothing of the machine changes.
With `--no-landlock` the kernel seems to be one without Landlock, too.
"""

from __future__ import annotations

import ctypes
import os
import platform
import struct
import sys
from errno import ENOSYS
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from grader.sandbox.landlock import CREATE_RULESET
from grader.sandbox.seccomp import ALLOW, ERROR, IF_EQUAL, LOAD, NUMBER, RETURN, kernel_filter

NO_NEW_PRIVILEGES, SECCOMP, FILTER = 38, 22, 2
NO_LANDLOCK = (
    (LOAD, 0, 0, NUMBER),
    (IF_EQUAL, 0, 1, CREATE_RULESET),
    (RETURN, 0, 0, ERROR | ENOSYS),
    (RETURN, 0, 0, ALLOW),
)


def install(filter: bytes) -> None:
    """The kernel keeps to it from now on."""
    libc = ctypes.CDLL(None, use_errno=True)
    steps = ctypes.create_string_buffer(filter)
    program = struct.pack("@HP", len(filter) // 8, ctypes.addressof(steps))
    if libc.prctl(NO_NEW_PRIVILEGES, 1, 0, 0, 0) or libc.prctl(SECCOMP, FILTER, program, 0, 0):
        sys.exit(f"the filter was refused: {os.strerror(ctypes.get_errno())}")


if __name__ == "__main__":
    arguments = sys.argv[1:]
    if arguments[0] == "--no-landlock":
        install(b"".join(struct.pack("=HBBI", *step) for step in NO_LANDLOCK))
        arguments = arguments[1:]
    install(kernel_filter(platform.machine()) or b"")
    os.execvp(arguments[0], arguments)
