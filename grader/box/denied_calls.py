"""The kernel calls that no notebook needs, by what they are for, with their numbers on the two machines we know.

Everything else is allowed: a list of what torch, CUDA and Jupyter need would be longer, and wrong next year. Numbers
are (x86_64, aarch64), from the kernel's own tables; None where a machine has no such call.
"""

from __future__ import annotations

from dataclasses import dataclass
from errno import ENOSYS, EPERM

MACHINES = ("x86_64", "aarch64")  # the columns below
NEWEST = 466  # the last call that this table was made with; what came later has yet to be looked at

Numbers = tuple[int | None, int | None]

DENIED: dict[str, dict[str, Numbers]] = {
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
    # Pretended to have worked, for honest libraries take it for advice: a box keeps to the cores that it was given.
    "cores": {"sched_setaffinity": (203, 122)},
    # ENOSYS: the C library then makes its threads with clone, whose flags a filter can read.
    "clone3": {"clone3": (435, 435)},
}


@dataclass(frozen=True, slots=True)
class Argument:
    """A call that is denied for some values of one argument, of which the lower 32 bits count."""

    numbers: Numbers
    index: int
    denied: str  # "any of the bits" | "these" | "all but these"
    values: tuple[int, ...]


NEW_NAMESPACES = 0x7E02_0000  # CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET
TERMINAL = (0x5412, 0x541C, 0x5423)  # TIOCSTI types for another program; TIOCLINUX and TIOCSETD likewise reach beyond
FAMILIES = (1, 2, 10, 16)  # AF_UNIX, AF_INET, AF_INET6, AF_NETLINK
ASK_PERSONALITY = 0xFFFF_FFFF

ARGUMENTS: dict[str, Argument] = {
    "clone": Argument((56, 220), 0, "any of the bits", (NEW_NAMESPACES,)),
    "ioctl": Argument((16, 29), 1, "these", TERMINAL),
    "socket": Argument((41, 198), 0, "all but these", FAMILIES),
    "socketpair": Argument((53, 199), 0, "all but these", FAMILIES),
    "personality": Argument((135, 92), 0, "all but these", (ASK_PERSONALITY,)),
}


PRETENDED = 0
ANSWERS = {"clone3": ENOSYS, "sched_setaffinity": PRETENDED}


def error_of(call: str) -> int:
    """The error that a denied call ends with; 0 where it does nothing and says that it did."""
    return ANSWERS.get(call, EPERM)
