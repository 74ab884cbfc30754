"""How many submissions this machine grades at once, and on which cores.

On a CPU each worker keeps to one core, where PyTorch's kernels run in one thread: side by side that is faster than
kernels that share all cores (docs/measurements.md). On a GPU memory decides, and cores are left alone.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import psutil

from grader.records import Limits

GPU_MB = 3000  # of a box: the context of CUDA and a small network's training, with room
CORES_A_GPU_BOX = 2  # the notebook's own process and the one that watches it
NVIDIA_SMI = ("--query-gpu=memory.free,utilization.gpu", "--format=csv,noheader,nounits")


@dataclass(frozen=True, slots=True)
class Gpu:
    """What the first GPU has left."""

    free_mb: int
    busy_percent: int


def slots(wanted: int | None, limits: Limits) -> list[frozenset[int]]:
    """One set of cores for each worker, empty for any of them: as many as asked for, else as fit."""
    allowed = sorted(os.sched_getaffinity(0))
    if (card := gpu()) is not None:
        count = wanted or max(1, min(len(allowed) // CORES_A_GPU_BOX, card.free_mb // GPU_MB))
        return [frozenset()] * count
    if wanted is not None and wanted > len(allowed):
        return [frozenset()] * wanted
    room = int(psutil.virtual_memory().available / 1e6 / limits.memory_mb)
    return [frozenset({core}) for core in allowed[: wanted or max(1, room)]]


def gpu() -> Gpu | None:
    """The first GPU's state; None where there is none to be asked."""
    tool = shutil.which("nvidia-smi")
    if tool is None or not Path("/dev/nvidiactl").exists():
        return None
    try:
        asked = subprocess.run([tool, *NVIDIA_SMI], capture_output=True, text=True, timeout=20, check=True)
        free, busy = asked.stdout.splitlines()[0].split(",")
        return Gpu(int(free), int(busy))
    except (OSError, subprocess.SubprocessError, ValueError, IndexError):
        return None
