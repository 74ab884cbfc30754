"""Control groups, with which the Linux kernel limits a whole box: its memory, and its number of processes.

They also give each box a fair share of the cores. If this account may not create any (an ordinary user without
delegation), the resource monitor replaces them.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from pathlib import Path

import psutil

ROOT = Path("/sys/fs/cgroup")
PREFIX = "vae-autograder"
FAIR = 1024  # cpu.shares of a box, however many processes it has
END_S = 30.0  # until the kernel must have removed the last process of a group
LEFT_BEHIND_S = 60.0  # a younger group may belong to a supervisor that we cannot see, and still be empty


class Cgroups:
    """The control groups of one box; empty if none could be made, or if they are not `enabled`."""

    def __init__(self, memory_mb: int, processes: int, *, enabled: bool = True) -> None:
        self.folders: list[Path] = []
        self._peak: Path | None = None
        if not enabled:
            return
        name = f"{PREFIX}-{os.getpid()}-{time.monotonic_ns()}"
        if (ROOT / "cgroup.controllers").exists():
            peak = "memory.peak"
            settings = {"memory.max": memory_mb << 20, "memory.swap.max": 0, "pids.max": processes}
            # A group that contains processes, like ours, can seldom delegate its controllers; one further up may.
            current_group = _current_group("", ROOT)
            above = [parent for parent in current_group.parents if parent.is_relative_to(ROOT)]
            places = [place for place in (current_group, *above) if os.access(place / "cgroup.procs", os.W_OK)]
            for place in places:
                if self._make(place / name, settings):
                    break
        else:
            peak = "memory.max_usage_in_bytes"
            memory = dict.fromkeys(("memory.limit_in_bytes", "memory.memsw.limit_in_bytes"), memory_mb << 20)
            self._make(_current_group("memory", ROOT / "memory") / name, memory)
            self._make(_current_group("pids", ROOT / "pids") / name, {"pids.max": processes})
            # Version 2 gives every group its share by itself.
            self._make(_current_group("cpu", ROOT / "cpu") / name, {"cpu.shares": FAIR})
        for folder in self.folders:
            if (folder / peak).exists():
                self._peak = folder / peak

    def _make(self, folder: Path, settings: dict[str, int]) -> bool:
        """Makes a group; returns whether it exists and has at least the first of the settings."""
        required = next(iter(settings))
        _remove_left_behind(folder.parent)
        try:
            folder.mkdir()
        except OSError:
            return False
        try:
            (folder / required).write_text(str(settings[required]))
        except OSError:
            folder.rmdir()
            return False
        for key in list(settings)[1:]:  # not every kernel counts swap
            with contextlib.suppress(OSError):
                (folder / key).write_text(str(settings[key]))
        self.folders.append(folder)
        return True

    @property
    def procs_files(self) -> list[str]:
        """The files to which a process writes its id to join."""
        return [str(folder / "cgroup.procs") for folder in self.folders]

    @property
    def limits_memory(self) -> bool:
        """Whether the kernel limits the memory, so that the resource monitor need not."""
        return self._peak is not None

    @property
    def peak_memory_mb(self) -> float:
        """The most memory the group has held, in MB; 0 if the kernel did not count it."""
        try:
            return int(self._peak.read_text()) / 1e6 if self._peak else 0.0
        except (OSError, ValueError):
            return 0.0

    @property
    def killed_for_memory(self) -> bool:
        """Whether the kernel has killed something of the group for its memory."""
        for folder in self.folders:
            for file in ("memory.events", "memory.oom_control"):
                with contextlib.suppress(OSError):
                    for line in (folder / file).read_text().splitlines():
                        key, _, value = line.partition(" ")
                        if key == "oom_kill" and value != "0":
                            return True
        return False

    def kill(self) -> bool:
        """Kills every process in the groups, wherever it is in the process tree; returns whether all are dead."""
        deadline = time.monotonic() + END_S
        while members := {pid for folder in self.folders for pid in _members(folder)}:
            for pid in members:
                with contextlib.suppress(OSError):
                    os.kill(pid, signal.SIGKILL)
            if time.monotonic() > deadline:
                return False
            time.sleep(0.01)
        return True

    def remove(self) -> None:
        """Removes the groups that have no process any more."""
        deadline = time.monotonic() + END_S
        for folder in self.folders:
            while folder.exists():
                with contextlib.suppress(OSError):
                    folder.rmdir()
                    break
                if time.monotonic() > deadline:
                    break
                time.sleep(0.02)
        self.folders = []


def can_make_groups() -> bool:
    """Whether this account may make groups that limit memory."""
    groups = Cgroups(64, 64)
    try:
        files = ("memory.max", "memory.limit_in_bytes")
        return any((folder / file).exists() for folder in groups.folders for file in files)
    finally:
        groups.remove()


def _members(folder: Path) -> list[int]:
    try:
        return [int(line) for line in (folder / "cgroup.procs").read_text().split()]
    except OSError:
        return []


def _remove_left_behind(parent: Path) -> None:
    """Removes the empty groups of supervisors that were killed before they could do so."""
    for folder in parent.glob(f"{PREFIX}-*-*"):
        supervisor = folder.name.removeprefix(f"{PREFIX}-").partition("-")[0]
        if supervisor.isdigit() and not psutil.pid_exists(int(supervisor)):
            with contextlib.suppress(OSError):  # a group with a process in it stays
                if time.time() - folder.stat().st_mtime >= LEFT_BEHIND_S:
                    folder.rmdir()


def _current_group(controller: str, root: Path) -> Path:
    """Returns the group that this process is in: new groups must be made below it."""
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if controller in controllers.split(",") and (root / path.lstrip("/")).is_dir():
            return root / path.lstrip("/")
    return root
