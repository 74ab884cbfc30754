"""Constants and structures of Landlock, with which a process restricts its own access to files, without any privilege.

`launch.open_rules` makes the calls with these values. Each version of the kernel's interface can forbid more:

| version | since Linux | more that can be forbidden |
| --- | --- | --- |
| 1 | 5.13 | opening, making and removing files, and tracing a process outside |
| 2 | 5.19 | moving and linking a file from one folder to another; before, all of that is forbidden |
| 3 | 6.2 | emptying a file |
| 4 | 6.7 | TCP |
| 5 | 6.10 | a device's own calls |
| 6 | 6.12 | signals to a process outside, and abstract sockets of such a process |

See landlock(7). No version up to 6 can forbid a process to test whether a path exists, to change a file's mode or
times, or to connect to a socket file.
"""

from __future__ import annotations

import ctypes
import struct

CREATE_RULESET = 444  # on every architecture
ASK_VERSION = 1

EXECUTE, WRITE_FILE, READ_FILE, READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
REMOVE_FILE, MAKE_REG = 1 << 5, 1 << 8
REFER, TRUNCATE, IOCTL_DEV = 1 << 13, 1 << 14, 1 << 15
FIRST = (1 << 13) - 1  # the rights of the first version: all below REFER
OF_FILE = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | IOCTL_DEV  # the others apply only to folders
TCP = 0b11  # to bind, to connect
SCOPES = 0b11  # abstract sockets, signals

SEE = EXECUTE | READ_FILE | READ_DIR
OWN_FOLDER = FIRST | REFER | TRUNCATE
DEVICE = READ_FILE | WRITE_FILE | READ_DIR | TRUNCATE | IOCTL_DEV
SHARED = READ_FILE | WRITE_FILE | REMOVE_FILE | MAKE_REG | TRUNCATE | REFER  # names in it cannot be listed

_NEW_RIGHTS = {1: FIRST, 2: REFER, 3: TRUNCATE, 5: IOCTL_DEV}

SINCE = {1: "5.13", 2: "5.19", 3: "6.2", 4: "6.7", 5: "6.10", 6: "6.12"}  # the kernel that brought each version


def version() -> int:
    """Returns the version that this kernel offers; 0 if it lacks Landlock, or has it switched off."""
    return max(0, int(ctypes.CDLL(None).syscall(CREATE_RULESET, None, 0, ASK_VERSION)))


def supported(rights: int, offered: int) -> int:
    """Returns those of the rights that the version `offered` knows."""
    return rights & sum(bits for since, bits in _NEW_RIGHTS.items() if offered >= since)


def ruleset(offered: int) -> bytes:
    """Returns the kernel's `struct landlock_ruleset_attr`, which forbids everything that this version can forbid."""
    files = supported(sum(_NEW_RIGHTS.values()), offered)
    network, scopes = TCP if offered >= 4 else 0, SCOPES if offered >= 6 else 0
    fields = (files, network, scopes)[: 1 + (offered >= 4) + (offered >= 6)]
    return struct.pack(f"={len(fields)}Q", *fields)
