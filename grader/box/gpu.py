"""The first GPU: what it has left, and a box's share of its memory."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from grader.records import Limits

DRIVER = Path("/dev/nvidiactl")  # there where NVIDIA's driver is loaded
QUERY = ("--query-gpu=memory.total,memory.free,utilization.gpu,name", "--format=csv,noheader,nounits")
CONTEXT_MB = 700  # what CUDA and its libraries take for a process, beside what PyTorch gives out


@dataclass(frozen=True, slots=True)
class Gpu:
    """What the first GPU has, and has left."""

    total_mb: int
    free_mb: int
    busy_percent: int
    name: str


def gpu() -> Gpu | None:
    """The first GPU's state; None where there is none to be asked."""
    tool = shutil.which("nvidia-smi")
    if tool is None or not DRIVER.exists():
        return None
    try:
        asked = subprocess.run([tool, *QUERY], capture_output=True, text=True, timeout=20, check=True)
        total, free, busy, name = asked.stdout.splitlines()[0].split(",", 3)
        return Gpu(int(total), int(free), int(busy), name.strip())
    except (OSError, subprocess.SubprocessError, ValueError, IndexError):
        return None


def memory_share(limits: Limits) -> dict[str, str]:
    """The environment in which each PyTorch process keeps to the limit; nothing where the GPU has less, or is unknown.

    PyTorch's allocator refuses what would go beyond it with its own `OutOfMemoryError`, before it asks the GPU.
    Code that calls CUDA past PyTorch is not held; its neighbours' runs, if they fall short of memory then, are
    repeated alone.
    """
    card = gpu()
    if card is None or card.total_mb <= limits.gpu_memory_mb:
        return {}
    return {"PYTORCH_CUDA_ALLOC_CONF": f"per_process_memory_fraction:{limits.gpu_memory_mb / card.total_mb:.6f}"}
