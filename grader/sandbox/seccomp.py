"""The system calls denied to a box because no notebook needs them, as the kernel and container engines read them.

All other calls are allowed: a list of those that torch, CUDA and Jupyter need would be longer, and soon out of date.
Numbers are (x86_64, aarch64), from the kernel's own tables; None if a machine has no such call.

`kernel_filter` is a program for the kernel's classic packet filter, as bytes, built without a library; bubblewrap
reads it from a descriptor. `container_engine_profile` is the same table as the JSON that container engines read. All
calls of foreign ABIs (i386, x32) are refused, because their numbers mean other calls.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, replace
from enum import StrEnum
from errno import ENOSYS, EOPNOTSUPP, EPERM
from typing import Any

MACHINES = ("x86_64", "aarch64")  # the columns below
NEWEST = 466  # the last call that this table considers; later ones have not been examined yet

CallNumbers = tuple[int | None, int | None]

DENIED: dict[str, dict[str, CallNumbers]] = {
    "keyring": {"add_key": (248, 217), "request_key": (249, 218), "keyctl": (250, 219)},
    "other processes": {
        "ptrace": (101, 117),
        "process_vm_readv": (310, 270),
        "process_vm_writev": (311, 271),
        "process_madvise": (440, 440),
        "kcmp": (312, 272),
        "pidfd_getfd": (438, 438),
    },
    "mounts": {
        "mount": (165, 40),
        "umount2": (166, 39),
        "pivot_root": (155, 41),
        "chroot": (161, 51),
        "open_tree": (428, 428),
        "move_mount": (429, 429),
        "fsopen": (430, 430),
        "fsconfig": (431, 431),
        "fsmount": (432, 432),
        "fspick": (433, 433),
        "mount_setattr": (442, 442),
        "statmount": (457, 457),
        "listmount": (458, 458),
    },
    "namespaces": {"unshare": (272, 97), "setns": (308, 268)},
    "programs for the kernel": {
        "bpf": (321, 280),
        "init_module": (175, 105),
        "finit_module": (313, 273),
        "delete_module": (176, 106),
        "create_module": (174, None),
        "query_module": (178, None),
        "get_kernel_syms": (177, None),
        "kexec_load": (246, 104),
        "kexec_file_load": (320, 294),
    },
    "tracing": {"perf_event_open": (298, 241), "lookup_dcookie": (212, 18), "syslog": (103, 116)},
    "page faults": {"userfaultfd": (323, 282)},
    "io_uring": {"io_uring_setup": (425, 425), "io_uring_enter": (426, 426), "io_uring_register": (427, 427)},
    "file handles": {
        "name_to_handle_at": (303, 264),
        "open_by_handle_at": (304, 265),
        "fanotify_init": (300, 262),
        "fanotify_mark": (301, 263),
    },
    "the machine": {
        "reboot": (169, 142),
        "swapon": (167, 224),
        "swapoff": (168, 225),
        "acct": (163, 89),
        "quotactl": (179, 60),
        "quotactl_fd": (443, 443),
        "sethostname": (170, 161),
        "setdomainname": (171, 162),
        "vhangup": (153, 58),
        "nfsservctl": (180, 42),
        "iopl": (172, None),
        "ioperm": (173, None),
        "modify_ldt": (154, None),
        "uselib": (134, None),
        "sysfs": (139, None),
        "_sysctl": (156, None),
    },
    "the clock": {
        "settimeofday": (164, 170),
        "clock_settime": (227, 112),
        "adjtimex": (159, 171),
        "clock_adjtime": (305, 266),
    },
    # Does nothing and reports success: a box keeps its cores, and libraries use this call only as advice.
    "cores": {"sched_setaffinity": (203, 122)},
    # ENOSYS: the C library then makes its threads with clone, whose flags a filter can read.
    "clone3": {"clone3": (435, 435)},
}

# Also denied to a box without namespaces: access to objects that all processes of the machine share.
DENIED_SHARED: dict[str, CallNumbers] = {
    **{"shmget": (29, 194), "shmat": (30, 196), "shmctl": (31, 195), "shmdt": (67, 197)},
    **{"semget": (64, 190), "semop": (65, 193), "semctl": (66, 191), "semtimedop": (220, 192)},
    **{"msgget": (68, 186), "msgsnd": (69, 189), "msgrcv": (70, 188), "msgctl": (71, 187)},
    **{"mq_open": (240, 180), "mq_unlink": (241, 181), "mq_timedsend": (242, 182), "mq_timedreceive": (243, 183)},
}
# Also denied if the box runs as the grader's account: changing the mode or owner of a file, which Landlock cannot
# forbid. These calls do nothing and report success, because libraries that copy or unpack a file also set its mode.
PRETENDED_OWN: dict[str, CallNumbers] = {
    **{"chmod": (90, None), "fchmod": (91, 52), "fchmodat": (268, 53), "fchmodat2": (452, 452)},
    **{"chown": (92, None), "fchown": (93, 55), "lchown": (94, None), "fchownat": (260, 54)},
}


class Denied(StrEnum):
    """Which values of an argument are denied, compared with the values that are listed for it."""

    ANY_BIT = "values that have any of the listed bits"
    LISTED = "the listed values"
    NOT_LISTED = "all values but the listed ones"


@dataclass(frozen=True, slots=True)
class Argument:
    """A call that is denied for some values of one argument, of which the lower 32 bits count."""

    numbers: CallNumbers
    index: int
    denied: Denied
    values: tuple[int, ...]
    error: int = EPERM


NEW_NAMESPACES = 0x7E02_0000  # CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET
TERMINAL = (0x5412, 0x541C, 0x5423)  # TIOCSTI, TIOCLINUX, TIOCSETD: they reach other programs
FAMILIES = (1, 2, 10, 16)  # AF_UNIX, AF_INET, AF_INET6, AF_NETLINK
FAMILIES_SHARED = (1,)  # if the box shares the machine's network, which netlink would describe
ASK_PERSONALITY = 0xFFFF_FFFF

ARGUMENTS: dict[str, Argument] = {
    "clone": Argument((56, 220), 0, Denied.ANY_BIT, (NEW_NAMESPACES,)),
    "ioctl": Argument((16, 29), 1, Denied.LISTED, TERMINAL),
    "socket": Argument((41, 198), 0, Denied.NOT_LISTED, FAMILIES),
    "socketpair": Argument((53, 199), 0, Denied.NOT_LISTED, FAMILIES),
    "personality": Argument((135, 92), 0, Denied.NOT_LISTED, (ASK_PERSONALITY,)),
}
# EOPNOTSUPP: ZeroMQ, which the Jupyter kernel uses, aborts on any other error when it lists network interfaces.
ARGUMENTS_SHARED = {
    name: replace(ARGUMENTS[name], values=FAMILIES_SHARED, error=EOPNOTSUPP) for name in ("socket", "socketpair")
}


PRETENDED = 0
ANSWERS = {"clone3": ENOSYS, "sched_setaffinity": PRETENDED, **dict.fromkeys(PRETENDED_OWN, PRETENDED)}


def error_of(call: str) -> int:
    """The error that a denied call returns; 0 for a call that does nothing and reports success."""
    return ANSWERS.get(call, EPERM)


ARCHITECTURES = {"x86_64": 0xC000_003E, "aarch64": 0xC000_00B7}  # AUDIT_ARCH_*
X32 = 0x4000_0000  # the bit that marks x32's numbers; no call of aarch64 has it either
NUMBER, ARCHITECTURE, FIRST_ARGUMENT, ARGUMENT_BYTES = 0, 4, 16, 8  # offsets in `struct seccomp_data`
LOAD, IF_EQUAL, IF_AT_LEAST, IF_ANY_BIT, RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
ALLOW, ERROR = 0x7FFF_0000, 0x0005_0000
LOW_HALF = 0xFFFF_FFFF


def kernel_filter(machine: str, *, shared: bool = False, own_files: bool = False) -> bytes | None:
    """Returns the filter for a machine, named as by `platform.machine()`; None if its calls are not in the table.

    `shared` is for a box without namespaces, `own_files` for a box that runs as the grader's account.
    """
    if machine not in MACHINES:
        return None
    column = MACHINES.index(machine)
    program = [
        (LOAD, 0, 0, ARCHITECTURE),
        (IF_EQUAL, 1, 0, ARCHITECTURES[machine]),
        (RETURN, 0, 0, ERROR | EPERM),
        (LOAD, 0, 0, NUMBER),
        *_return_if(IF_AT_LEAST, X32, ERROR | EPERM),
        *_return_if(IF_AT_LEAST, NEWEST + 1, ERROR | ENOSYS),
    ]
    denied = [*DENIED.values(), *([DENIED_SHARED] if shared else []), *([PRETENDED_OWN] if own_files else [])]
    for calls in denied:
        for name, numbers in calls.items():
            if (number := numbers[column]) is not None:
                program += _return_if(IF_EQUAL, number, ERROR | error_of(name))
    for argument in (ARGUMENTS | (ARGUMENTS_SHARED if shared else {})).values():
        if (number := argument.numbers[column]) is not None:
            steps = _argument_steps(argument)
            program += [(IF_EQUAL, 0, len(steps), number), *steps]
    program.append((RETURN, 0, 0, ALLOW))
    return b"".join(struct.pack("=HBBI", *step) for step in program)


FilterStep = tuple[int, int, int, int]  # operation, steps to skip if true, steps to skip if false, operand


def _return_if(question: int, value: int, verdict: int) -> list[FilterStep]:
    """Returns the steps that return the verdict if the comparison with the loaded number is true, else go on."""
    return [(question, 0, 1, value), (RETURN, 0, 0, verdict)]


def _argument_steps(argument: Argument) -> list[FilterStep]:
    """Returns the steps that check the argument of a call whose number matched; these machines are little-endian."""
    refused = ERROR | argument.error
    on_match, otherwise = (ALLOW, refused) if argument.denied is Denied.NOT_LISTED else (refused, ALLOW)
    comparison = IF_ANY_BIT if argument.denied is Denied.ANY_BIT else IF_EQUAL
    steps: list[FilterStep] = [(LOAD, 0, 0, FIRST_ARGUMENT + ARGUMENT_BYTES * argument.index)]
    for value in argument.values:
        steps += _return_if(comparison, value, on_match)
    return [*steps, (RETURN, 0, 0, otherwise)]


def container_engine_profile() -> dict[str, Any]:
    """Returns the profile that docker and podman read: the same calls, for both machines."""
    rules = []
    for error in (EPERM, ENOSYS, PRETENDED):
        names = [name for calls in DENIED.values() for name in calls if error_of(name) == error]
        rules.append({"names": names, "action": "SCMP_ACT_ERRNO", "errnoRet": error})
    for name, argument in ARGUMENTS.items():
        for condition in _conditions(argument):
            rule = {"names": [name], "action": "SCMP_ACT_ERRNO", "errnoRet": EPERM}
            rules.append({**rule, "args": [{"index": argument.index, **condition}]})
    machines = [{"architecture": f"SCMP_ARCH_{machine.upper()}", "subArchitectures": []} for machine in MACHINES]
    return {"defaultAction": "SCMP_ACT_ALLOW", "archMap": machines, "syscalls": rules}


def _conditions(argument: Argument) -> list[dict[str, Any]]:
    """Returns a condition per rule of a container engine; only a masked comparison reads the lower 32 bits alone."""
    masked = "SCMP_CMP_MASKED_EQ"
    if argument.denied is Denied.ANY_BIT:
        bits = [1 << n for n in range(32) if argument.values[0] >> n & 1]
        return [{"op": masked, "value": bit, "valueTwo": bit} for bit in bits]
    if argument.denied is Denied.LISTED:
        return [{"op": masked, "value": LOW_HALF, "valueTwo": value} for value in argument.values]
    if len(argument.values) == 1:
        return [{"op": "SCMP_CMP_NE", "value": argument.values[0]}]
    highest = max(argument.values)
    between = [value for value in range(highest) if value not in argument.values]
    below = [{"op": masked, "value": LOW_HALF, "valueTwo": value} for value in between]
    return [*below, {"op": "SCMP_CMP_GT", "value": highest}]
