"""What the processes of a box use, seen from outside."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import psutil


@dataclass(frozen=True, slots=True)
class Usage:
    """Of a process's descendants: memory in MB, CPU seconds, and who they are."""

    memory_mb: float
    cpu_s: float
    family: tuple[psutil.Process, ...]


def usage(pid: int, memory_limit_mb: float, files_mb: float = 0.0) -> Usage:
    """The descendants' use. Memory is what is theirs, what they share among each other, and `files_mb`.

    Files in memory may be among the shared pages, so the larger of the two counts. Pages that several processes share
    are counted in each, which costs nothing to know; only where the sum is above `memory_limit_mb` are they shared
    out among their users, so that the workers of a data loader are not their parent's memory over again.
    """
    try:
        family = psutil.Process(pid).children(recursive=True)
    except psutil.Error:
        return Usage(0.0, 0.0, ())
    cpu_s = 0.0
    for process in family:
        with contextlib.suppress(psutil.Error):
            times = process.cpu_times()
            cpu_s += times.user + times.system + times.children_user + times.children_system
    memory_mb = _together([_resident_mb(process) for process in family], files_mb)
    if memory_mb > memory_limit_mb:
        memory_mb = _together([_proportional_mb(process) for process in family], files_mb)
    return Usage(memory_mb, cpu_s, tuple(family))


def _together(parts: list[tuple[float, float]], files_mb: float) -> float:
    return sum(own for own, _ in parts) + max(sum(shared for _, shared in parts), files_mb)


def files_in_memory(pid: int, folders: Collection[str]) -> tuple[float, int]:
    """What lies in these folders as the process sees them: MB, and how many files; nothing where we may not look.

    For folders that are file systems in memory, which no process's own memory shows.
    """
    megabytes, files = 0.0, 0
    seen_by_it = Path("/proc", str(pid), "root")
    for folder in folders:
        with contextlib.suppress(OSError):
            found = os.statvfs(seen_by_it / folder.lstrip("/"))
            megabytes += (found.f_blocks - found.f_bfree) * found.f_frsize / 1e6
            files += found.f_files - found.f_ffree
    return megabytes, files


def resident_mb(process: psutil.Process) -> float:
    """What the process holds of memory, its own and shared."""
    return sum(_resident_mb(process))


def _resident_mb(process: psutil.Process) -> tuple[float, float]:
    """Memory that no file on a disk stands behind: the process's own, and shared."""
    found = _megabytes(Path(f"/proc/{process.pid}/status"), ("RssAnon", "RssShmem"))
    if found is not None:
        return found
    try:
        return float(process.memory_info().rss) / 1e6, 0.0  # a system without /proc
    except psutil.Error:
        return 0.0, 0.0


def _proportional_mb(process: psutil.Process) -> tuple[float, float]:
    """The same, each page divided by the number of processes that share it."""
    found = _megabytes(Path(f"/proc/{process.pid}/smaps_rollup"), ("Pss_Anon", "Pss_Shmem"))
    return _resident_mb(process) if found is None else found


def _megabytes(path: Path, keys: tuple[str, str]) -> tuple[float, float] | None:
    """The numbers of the file's two lines `key: number kB`; None where it has not got both."""
    try:
        lines = path.read_text().splitlines()
    except OSError:
        return None
    pairs = (line.partition(":")[::2] for line in lines)
    found = {key: float(rest.split()[0]) * 1.024e-3 for key, rest in pairs if key in keys}
    return (found[keys[0]], found[keys[1]]) if len(found) == 2 else None
