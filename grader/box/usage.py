"""What the processes below one process use, seen from outside."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path

import psutil


@dataclass(frozen=True, slots=True)
class Usage:
    """Of a process's descendants: memory in MB, CPU seconds, and how many there are."""

    memory_mb: float
    cpu_s: float
    processes: int


def usage(pid: int, memory_limit_mb: float) -> Usage:
    """The descendants' use. Memory is what is theirs and what they share among each other, but no files.

    Pages that several processes share are counted in each, which costs nothing to know; only where that sum is above
    `memory_limit_mb` are they shared out among their users, so that the workers of a data loader are not their
    parent's memory over again.
    """
    try:
        family = psutil.Process(pid).children(recursive=True)
    except psutil.Error:
        return Usage(0.0, 0.0, 0)
    cpu_s = 0.0
    for process in family:
        with contextlib.suppress(psutil.Error):
            times = process.cpu_times()
            cpu_s += times.user + times.system + times.children_user + times.children_system
    memory_mb = sum(_resident_mb(process) for process in family)
    if memory_mb > memory_limit_mb:
        memory_mb = sum(_proportional_mb(process) for process in family)
    return Usage(memory_mb, cpu_s, len(family))


def _resident_mb(process: psutil.Process) -> float:
    """Anonymous and shared memory, which no file stands behind."""
    found = _kilobytes(Path(f"/proc/{process.pid}/status"), ("RssAnon", "RssShmem"))
    if found is not None:
        return found / 1e3
    try:
        return float(process.memory_info().rss) / 1e6  # a system without /proc
    except psutil.Error:
        return 0.0


def _proportional_mb(process: psutil.Process) -> float:
    """The same, each page divided by the number of processes that share it."""
    found = _kilobytes(Path(f"/proc/{process.pid}/smaps_rollup"), ("Pss_Anon", "Pss_Shmem"))
    return _resident_mb(process) if found is None else found / 1e3


def _kilobytes(path: Path, keys: tuple[str, ...]) -> float | None:
    """The sum of the file's lines `key: number kB`; None where it has none of them."""
    try:
        lines = path.read_text().splitlines()
    except OSError:
        return None
    values = [float(line.split()[1]) * 1.024 for line in lines if line.partition(":")[0] in keys]
    return sum(values) if values else None
