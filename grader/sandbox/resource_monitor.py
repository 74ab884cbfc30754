"""Watches a running box from outside: the resources it uses, its processes, and whether it exceeds a limit."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import psutil

from grader.records import Limits, Status
from grader.sandbox.backend import RUNNER, Command, Files
from grader.sandbox.in_box.frames import At
from grader.sandbox.in_box.patience import is_over

START_GRACE_S = 120  # a machine under load may take long to import Jupyter
SPARE_PROCESSES = 4  # processes that the box itself needs
MOST_KILLS = 20  # killed processes (for memory), or mass kills (for their number), before the whole run is ended
CLEAR_S = 20.0  # until the processes of a notebook are ended: among hundreds of busy ones we get little CPU time
MAX_FILES = 200_000  # in memory; each costs about a kilobyte that no limit of bytes counts


class End(NamedTuple):
    """How a run ended: its status, one sentence, and whether code in the notebook ended the box's runner."""

    status: Status
    event: str
    ended_itself: bool = False


class ResourceMonitor:
    """Watches a box; `counted`: the kernel counts its memory, `enforces_limits`: this monitor enforces its limits."""

    def __init__(self, pid: int, limits: Limits, command: Command, *, counted: bool, enforces_limits: bool) -> None:
        self.peak_mb, self.cpu_s = 0.0, 0.0
        self.kills_for_memory = 0  # number of killed processes
        self.mass_kills = 0  # how often all processes but the runner were killed
        self.crowded_at = At()  # what was running when there were too many processes for the first time
        self._pid, self._limits, self._command = pid, limits, command
        self._counted, self._enforces_limits = counted, enforces_limits
        self._seen: dict[int, psutil.Process] = {}

    def exceeded_limit(self, wall_s: float, at: At, *, started: bool) -> End | None:
        """Measures the box, and returns why it has to be ended now; None if it may go on.

        If it uses too much memory or has too many processes, first only some processes are killed. `at` is what the
        box says is running.
        """
        limits = self._limits
        if is_over(wall_s, self.cpu_s, limits.wall_s):
            return End(Status.TIMEOUT, f"the run was ended: it took longer than {limits.wall_s:.0f} s")
        if not started and wall_s > START_GRACE_S:
            return End(Status.BOX_ERROR, f"the sandbox did not start within {START_GRACE_S} s")
        files = self._files() if started and self._enforces_limits else Files(0.0, 0.0, 0)
        current = usage_below(self._pid, limits.memory_mb, files.memory_mb)
        self._seen.update((process.pid, process) for process in current.processes)
        self.cpu_s = max(self.cpu_s, current.cpu_s)
        if not self._counted:
            self.peak_mb = max(self.peak_mb, current.memory_mb)
        if not self._enforces_limits:
            return None
        too_large = not self._counted and current.memory_mb > limits.memory_mb
        if too_large and not self._kill_largest(current, files.memory_mb):
            return End(Status.KILLED, f"the run was ended: it used more than {limits.memory_mb} MB of memory")
        if files.count > MAX_FILES:
            return End(Status.KILLED, f"the run was ended: it made more than {MAX_FILES} files")
        if files.disk_mb > limits.disk_mb:
            return End(Status.KILLED, f"the run was ended: its files in one folder took more than {limits.disk_mb} MB")
        if self._too_many(current):
            self.crowded_at = self.crowded_at or at
            if not self._kill_all_but_runner():
                return End(Status.KILLED, f"the run was ended: it started more than {limits.processes} processes")
        return None

    def _files(self) -> Files:
        """The size and number of the box's files, if nothing else limits them."""
        if self._command.count_files is not None:
            return self._command.count_files([process.pid for process in self._seen.values() if process.is_running()])
        if not self._counted and (inner := self._first_inside()) is not None:
            return files_in_memory(inner, self._command.memory_folders)
        return Files(0.0, 0.0, 0)

    def _too_many(self, current: Usage) -> bool:
        """Whether the box has too many processes; with many threads in few processes, only new ones are refused."""
        most, processes = self._limits.processes, len(current.processes)
        full = processes > most / 2 and sum(map(_threads, current.processes)) > most
        return full or processes > most + SPARE_PROCESSES

    def _kill_all_but_runner(self) -> bool:
        """Kills every process of the box except the runner and its ancestors, so that the other cells can run.

        They are stopped first, because a stopped process starts no other. Returns False if some could not be stopped
        in time, or if this has happened too often.
        """
        self.mass_kills += 1
        runner_and_above = _runner_and_above(self._pid)
        deadline = time.monotonic() + CLEAR_S
        stopped: set[psutil.Process] = set()
        while self.mass_kills <= MOST_KILLS and time.monotonic() < deadline:
            moving = {process for process in self.processes_seen() if process.is_running()} - runner_and_above - stopped
            if not moving:
                for process in stopped:
                    with contextlib.suppress(psutil.Error):
                        process.kill()
                psutil.wait_procs(stopped, timeout=1)  # otherwise the next measurement would count them again
                return True
            for process in moving:
                with contextlib.suppress(psutil.Error):
                    process.suspend()
            stopped |= moving
        return False

    def _kill_largest(self, current: Usage, files_mb: float) -> bool:
        """Kills the largest process, as the kernel does when it counts memory; returns False if that would not help."""
        if files_mb > self._limits.memory_mb or self.kills_for_memory >= MOST_KILLS:
            return False
        largest = max(current.processes, key=resident_mb, default=None)
        if largest is None:
            return False
        with contextlib.suppress(psutil.Error):
            largest.kill()
            largest.wait(timeout=1)  # its memory is free then; otherwise the next measurement would end another process
        self.kills_for_memory += 1
        return True

    def processes_seen(self) -> list[psutil.Process]:
        """Every process ever seen in the box that may still be alive, also those that have left its process tree."""
        self._seen.update((process.pid, process) for process in _descendants(self._pid))
        return list(self._seen.values())

    def _first_inside(self) -> int | None:
        """The id of the box's oldest living process; the launcher's earlier processes have ended by then."""
        alive = [pid for pid, process in self._seen.items() if process.is_running()]
        return min(alive, default=None, key=lambda pid: self._seen[pid].create_time())


def _threads(process: psutil.Process) -> int:
    with contextlib.suppress(psutil.Error):
        return int(process.num_threads())
    return 0


def _runner_and_above(outermost: int) -> set[psutil.Process]:
    """The runner, which is the oldest process of its name, and its ancestors; empty if it has ended."""
    candidates: list[tuple[float, psutil.Process]] = []
    with contextlib.suppress(psutil.Error):
        process = psutil.Process(outermost)
        for each in (process, *process.children(recursive=True)):
            with contextlib.suppress(psutil.Error):
                command = each.cmdline()  # the programs that start the runner have longer command lines
                if len(command) == 2 and Path(command[1]).name == RUNNER:
                    candidates.append((each.create_time(), each))
    if not candidates:
        return set()
    _, runner = min(candidates, key=lambda pair: pair[0])
    with contextlib.suppress(psutil.Error):
        return {runner, *runner.parents()}
    return {runner}


@dataclass(frozen=True, slots=True)
class Usage:
    """The descendants of a process, with their memory in MB and CPU seconds."""

    memory_mb: float
    cpu_s: float
    processes: tuple[psutil.Process, ...]


def usage_below(pid: int, memory_limit_mb: float, files_mb: float = 0.0) -> Usage:
    """The resource use of all descendants. Memory is their private and shared memory, and `files_mb`.

    Files in memory may be among the shared pages, so the larger of the two counts. Pages that several processes share
    are first counted for each process, which is cheap; only if the sum is above `memory_limit_mb` are they divided
    among the processes, so that the workers of a data loader do not multiply their parent's memory.
    """
    processes = _descendants(pid)
    cpu_s = 0.0
    for process in processes:
        with contextlib.suppress(psutil.Error):
            times = process.cpu_times()
            cpu_s += times.user + times.system + times.children_user + times.children_system
    memory_mb = _total_mb([_resident_mb(process) for process in processes], files_mb)
    if memory_mb > memory_limit_mb:
        memory_mb = _total_mb([_proportional_mb(process) for process in processes], files_mb)
    return Usage(memory_mb, cpu_s, tuple(processes))


def _descendants(pid: int) -> list[psutil.Process]:
    try:
        return list(psutil.Process(pid).children(recursive=True))
    except psutil.Error:
        return []


def _total_mb(parts: list[tuple[float, float]], files_mb: float) -> float:
    return sum(private for private, _ in parts) + max(sum(shared for _, shared in parts), files_mb)


def files_in_memory(pid: int, folders: Collection[str]) -> Files:
    """The size and number of files in these folders as the process sees them; zero without permission to look.

    For folders that are file systems in memory, whose files count as no process's memory.
    """
    megabytes, files = 0.0, 0
    root = Path("/proc", str(pid), "root")
    for folder in folders:
        with contextlib.suppress(OSError):
            filesystem = os.statvfs(root / folder.lstrip("/"))
            megabytes += (filesystem.f_blocks - filesystem.f_bfree) * filesystem.f_frsize / 1e6
            files += filesystem.f_files - filesystem.f_ffree
    return Files(0.0, megabytes, files)


def resident_mb(process: psutil.Process) -> float:
    """The private and shared memory of the process, in MB."""
    return sum(_resident_mb(process))


def _resident_mb(process: psutil.Process) -> tuple[float, float]:
    """Memory that is not backed by a file on disk, in MB: private, and shared."""
    parts = _megabytes(Path(f"/proc/{process.pid}/status"), ("RssAnon", "RssShmem"))
    if parts is not None:
        return parts
    try:
        return float(process.memory_info().rss) / 1e6, 0.0  # a system without /proc
    except psutil.Error:
        return 0.0, 0.0


def _proportional_mb(process: psutil.Process) -> tuple[float, float]:
    """The same memory, where each page is divided by the number of processes that share it."""
    parts = _megabytes(Path(f"/proc/{process.pid}/smaps_rollup"), ("Pss_Anon", "Pss_Shmem"))
    return _resident_mb(process) if parts is None else parts


def _megabytes(path: Path, keys: tuple[str, str]) -> tuple[float, float] | None:
    """The numbers in the file's two lines `key: number kB`; None if one is missing."""
    try:
        lines = path.read_text().splitlines()
    except OSError:
        return None
    pairs = (line.partition(":")[::2] for line in lines)
    values = {key: float(rest.split()[0]) * 1.024e-3 for key, rest in pairs if key in keys}
    return (values[keys[0]], values[keys[1]]) if len(values) == 2 else None
