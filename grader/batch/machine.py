"""How many submissions this machine grades at once, and on which cores.

On a CPU there is a worker for each core, where PyTorch's kernels run in one thread: side by side that is faster than
kernels that share all cores (docs/measurements.md). Fewer workers have several cores each. On a GPU memory decides, and
cores are left alone.
"""

from __future__ import annotations

import os

import psutil

from grader.box.gpu import CONTEXT_MB, gpu
from grader.records import Limits

CORES_A_GPU_BOX = 2  # the notebook's own process and the one that watches it


def slots(wanted: int | None, limits: Limits) -> list[frozenset[int]]:
    """One set of cores for each worker, empty for any of them: as many as asked for, else as fit."""
    allowed = sorted(os.sched_getaffinity(0))
    room = max(1, int(psutil.virtual_memory().available / 1e6 / limits.memory_mb))
    if (card := gpu()) is not None:
        fit = min(room, len(allowed) // CORES_A_GPU_BOX, card.free_mb // (limits.gpu_memory_mb + CONTEXT_MB))
        return [frozenset()] * (wanted or max(1, fit))
    count = wanted or min(room, len(allowed))
    if count > len(allowed):
        return [frozenset()] * count
    return [frozenset(allowed[number::count]) for number in range(count)]
