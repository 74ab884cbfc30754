"""Resource limits (setrlimit) for each process of a box. The kernel enforces them, and they need no control group.

Two of them are not set here. AS: CUDA and torch reserve far more addresses than they use. NPROC: outside a box it
counts every task of the real user on this machine, so that a busy account could start no box. The runner sets NPROC
on itself if the kernel then counts only the box's tasks (`counts_tasks_by_box`).
"""

from __future__ import annotations

import math
import os
import platform
import re

from grader.records import Limits

OPEN_FILES = 4096


def rlimits(limits: Limits) -> dict[str, int]:
    """Returns the resource limits by the name that follows RLIMIT_, in bytes, seconds, or number of files."""
    return {
        "CORE": 0,
        "NOFILE": OPEN_FILES,
        "FSIZE": limits.disk_mb * 1_000_000,
        # A process cannot reach this before the wall time; it ends a process that outlives its box.
        "CPU": math.ceil(limits.wall_s) * (os.cpu_count() or 1),
    }


def counts_tasks_by_box() -> bool:
    """Whether NPROC, set inside a user namespace, counts the tasks of that namespace alone: since Linux 5.14."""
    version = re.match(r"(\d+)\.(\d+)", platform.release())
    return platform.system() == "Linux" and version is not None and (int(version[1]), int(version[2])) >= (5, 14)
