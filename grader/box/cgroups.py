"""Control groups for one box: memory and number of processes, enforced by the kernel where this machine lets us.

Where it does not (an ordinary user without delegation), the keeper's own watching is the fallback.
"""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path

ROOT = Path("/sys/fs/cgroup")


class Cgroups:
    """The groups of one box; empty where none could be made."""

    def __init__(self, memory_mb: int, processes: int) -> None:
        self.folders: list[Path] = []
        self._peak: Path | None = None
        name = f"vae-autograder-{os.getpid()}-{time.monotonic_ns()}"
        if (ROOT / "cgroup.controllers").exists():
            self._make(
                _own("", ROOT) / name,
                {"memory.max": memory_mb << 20, "memory.swap.max": 0, "pids.max": processes},
            )
            peak = "memory.peak"
        else:
            memory = {
                "memory.limit_in_bytes": memory_mb << 20,
                "memory.memsw.limit_in_bytes": memory_mb << 20,
            }
            self._make(_own("memory", ROOT / "memory") / name, memory)
            self._make(_own("pids", ROOT / "pids") / name, {"pids.max": processes})
            peak = "memory.max_usage_in_bytes"
        for folder in self.folders:
            if (folder / peak).exists():
                self._peak = folder / peak

    def _make(self, folder: Path, settings: dict[str, int]) -> None:
        required = next(iter(settings))
        try:
            folder.mkdir()
        except OSError:
            return
        try:
            (folder / required).write_text(str(settings[required]))
        except OSError:
            folder.rmdir()
            return
        for key in list(settings)[1:]:  # swap accounting is not everywhere
            with contextlib.suppress(OSError):
                (folder / key).write_text(str(settings[key]))
        self.folders.append(folder)

    @property
    def join(self) -> list[str]:
        """The files to which a process writes its id to join."""
        return [str(folder / "cgroup.procs") for folder in self.folders]

    @property
    def limits_memory(self) -> bool:
        """Whether the kernel counts the memory, so that nobody else has to."""
        return self._peak is not None

    @property
    def peak_memory_mb(self) -> float:
        """The most memory the group has held, in MB; 0 where nobody counted."""
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

    def remove(self) -> None:
        """The groups are gone, if every process in them is."""
        for folder in self.folders:
            for _ in range(50):
                with contextlib.suppress(OSError):
                    folder.rmdir()
                if not folder.exists():
                    break
                time.sleep(0.02)
        self.folders = []


def _own(controller: str, root: Path) -> Path:
    """The group this process is in: new ones must be made below it."""
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if controller in controllers.split(",") and (root / path.lstrip("/")).is_dir():
            return root / path.lstrip("/")
    return root
