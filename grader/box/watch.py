"""Looks at a running box from outside, again and again: what it uses, who belongs to it, whether that is too much."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

import psutil

from grader.box.usage import Usage, files_in_memory, resident_mb, usage
from grader.records import Limits, Status

START_GRACE_S = 120  # a machine under load may take long to import Jupyter
SPARE_PROCESSES = 4  # the box's own
MOST_ENDED = 20  # processes for their memory, before the whole run is
MAX_FILES = 200_000  # in memory; each costs about a kilobyte that no limit of bytes counts

End = tuple[Status, str]  # how a run ended, in one sentence


class Watch:
    """What has been seen of a box so far; `counted` where the kernel counts its memory, `limited` where we limit it."""

    def __init__(self, pid: int, limits: Limits, folders: Sequence[str], *, counted: bool, limited: bool) -> None:
        self.peak_mb, self.cpu_s = 0.0, 0.0
        self.ended_for_memory = 0  # processes
        self._pid, self._limits, self._folders = pid, limits, folders
        self._counted, self._limited = counted, limited
        self._seen: dict[int, psutil.Process] = {}

    def look(self, wall_s: float, *, started: bool) -> End | None:
        """Why the box has to be ended now; None where it may go on."""
        limits = self._limits
        if wall_s > limits.wall_s:
            return Status.TIMEOUT, f"the run was ended: it took longer than {limits.wall_s:.0f} s"
        if not started and wall_s > START_GRACE_S:
            return Status.BOX_ERROR, f"the box did not start within {START_GRACE_S} s"
        files_mb, files = 0.0, 0
        if started and self._limited and not self._counted and (inner := self._first_inside()) is not None:
            files_mb, files = files_in_memory(inner, self._folders)
        used = usage(self._pid, limits.memory_mb, files_mb)
        self._seen.update((process.pid, process) for process in used.family)
        self.cpu_s = max(self.cpu_s, used.cpu_s)
        if not self._counted:
            self.peak_mb = max(self.peak_mb, used.memory_mb)
        if not self._limited:
            return None
        if not self._counted and used.memory_mb > limits.memory_mb and not self._make_room(used, files_mb):
            return Status.KILLED, f"the run was ended: it used more than {limits.memory_mb} MB of memory"
        if files > MAX_FILES:
            return Status.KILLED, f"the run was ended: it made more than {MAX_FILES} files"
        if len(used.family) > limits.processes + SPARE_PROCESSES:
            return Status.KILLED, f"the run was ended: it started more than {limits.processes} processes"
        return None

    def _make_room(self, used: Usage, files_mb: float) -> bool:
        """Ends the largest process, as the kernel does where it counts; False where that would not help."""
        if files_mb > self._limits.memory_mb or self.ended_for_memory >= MOST_ENDED:
            return False
        largest = max(used.family, key=resident_mb, default=None)
        if largest is None:
            return False
        with contextlib.suppress(psutil.Error):
            largest.kill()
            largest.wait(timeout=1)  # what it held is free, or the next look would end another
        self.ended_for_memory += 1
        return True

    def family(self) -> list[psutil.Process]:
        """Every process that was ever seen in the box and may still be alive: also those that have left its tree."""
        now = usage(self._pid, self._limits.memory_mb).family
        self._seen.update((process.pid, process) for process in now)
        return list(self._seen.values())

    def _first_inside(self) -> int | None:
        return min(self._seen, default=None, key=lambda pid: self._seen[pid].create_time())
