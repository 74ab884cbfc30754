"""The kernel's limits for each single process of a box: the part of the wall that needs no control group.

What is not here, and why: AS, because CUDA and torch reserve far more addresses than they use. NPROC, because outside a
box it counts every task of the real user on this machine, so that a busy account could start no box; the runner sets it
on itself where it counts the box's tasks alone (`counts_tasks_by_box`).
"""

from __future__ import annotations

import math
import os
import platform
import re

from grader.records import Limits

OPEN_FILES = 4096


def rlimits(limits: Limits) -> dict[str, int]:
    """The limits by the name that follows RLIMIT_; bytes, seconds, or a number of files."""
    return {
        "CORE": 0,
        "NOFILE": OPEN_FILES,
        "FSIZE": limits.disk_mb * 1_000_000,
        # Never reached before the wall time by a process that is ended with its box; the end of one that is not.
        "CPU": math.ceil(limits.wall_s) * (os.cpu_count() or 1),
    }


def counts_tasks_by_box() -> bool:
    """Whether NPROC, set inside a user namespace, counts the tasks of that namespace alone: since Linux 5.14."""
    found = re.match(r"(\d+)\.(\d+)", platform.release())
    return platform.system() == "Linux" and found is not None and (int(found[1]), int(found[2])) >= (5, 14)
