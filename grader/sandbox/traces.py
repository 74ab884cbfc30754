"""What a box without namespaces has on the machine, counted while it runs and removed when it is over.

Nothing here follows a link: whoever runs in the box may put one wherever we look.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import stat
import subprocess
import sys
import time
from collections.abc import Collection, Iterable, Iterator, Sequence
from errno import ENAMETOOLONG
from pathlib import Path

from grader.errors import BoxError
from grader.sandbox.backend import Files
from grader.sandbox.launch import files_of, processes_of
from grader.sandbox.resource_monitor import MAX_FILES

MEMORY = "/dev/shm"  # where the C library puts semaphores and shared memory, whoever runs it
OPEN_TO_ALL = ("/tmp", "/var/tmp", MEMORY, "/dev/mqueue", "/run/lock")
OBJECTS = {"shm": "shmid", "sem": "semid", "msg": "msqid"}  # System V's, and their numbers' column in /proc/sysvipc
REST = 10.0  # times as long as a look at the files took, until the next


class Folders:
    """Counts the files of a box: in its own folders, in shared memory, and those that have no name any more."""

    def __init__(self, user: int | None, own: Sequence[Path]) -> None:
        self._user, self._own = user, own
        self._found = Files(0.0, 0.0, 0)
        self._next = 0.0

    def __call__(self, processes: Collection[int]) -> Files:
        """What they take now, or took a moment ago, for looking takes time, too."""
        if (started := time.monotonic()) >= self._next:
            self._found = self._counted(processes)
            self._next = time.monotonic() + REST * (time.monotonic() - started)
        return self._found

    def _counted(self, processes: Collection[int]) -> Files:
        count, fullest, disk = 0, 0.0, set[int]()
        for folder in self._own:
            taken = 0
            disk.add(folder.stat().st_dev)
            for found in _below(str(folder)):
                count, taken = count + 1, taken + found.st_blocks * 512
                if count > MAX_FILES:
                    break
            fullest = max(fullest, taken / 1e6)
        shared = list(_looked_at(files_of(self._user, MEMORY)))
        memory = sum(found.st_blocks * 512 for found in shared)
        fullest, count = max(fullest, memory / 1e6), count + len(shared)
        nameless = {(found.st_dev, found.st_ino): found for found in _nameless(processes)}.values()
        memory += sum(found.st_blocks * 512 for found in nameless if found.st_dev not in disk)
        fullest += sum(found.st_blocks * 512 for found in nameless if found.st_dev in disk) / 1e6
        return Files(fullest, memory / 1e6, count)


def remove(user: int | None, folder: Path) -> None:
    """No process, file or object of the user is left, where the user is the box's alone, and the folder is gone.

    Raises:
        BoxError: where something stays.
    """
    left = []
    if user is not None:
        left += _end_processes(user)
        for place in OPEN_TO_ALL:
            left += [path for path in files_of(user, place) if not _removed(path)]
        _remove_objects(user)
    if not _removed(str(folder)):
        left.append(str(folder))
    if left:
        raise BoxError(f"{left[0]}: of a box that is over, and could not be removed: nothing of this run is used")


def _end_processes(user: int) -> list[str]:
    """Those that are alive at the end, by name."""
    if any(processes_of(user)):
        launcher = str(Path(__file__).with_name("launch.py"))
        subprocess.run([sys.executable, "-I", "-S", launcher, json.dumps({"end": user})], check=False)
    return [f"process {process}" for process in processes_of(user)]


def _removed(path: str) -> bool:
    """The file or folder is gone, however deep it is: deeper than Python's own function goes."""
    subprocess.run(["/bin/rm", "-rf", "--", path], stderr=subprocess.DEVNULL, check=False)
    return not os.path.lexists(path)


def _remove_objects(user: int) -> None:
    """None of System V's objects belongs to the user; the filter lets a box make none in the first place."""
    libc = ctypes.CDLL(None)
    for kind, column in OBJECTS.items():
        with contextlib.suppress(OSError):  # a kernel without them
            names, *lines = Path("/proc/sysvipc", kind).read_text().splitlines()
            for line in lines:
                fields = dict(zip(names.split(), line.split(), strict=False))
                if str(user) in (fields["uid"], fields["cuid"]):
                    number = int(fields[column])
                    _ = libc.semctl(number, 0, 0) if kind == "sem" else getattr(libc, f"{kind}ctl")(number, 0, None)


def _below(folder: str) -> Iterator[os.stat_result]:
    """Everything below the folder; too much of it where something lies deeper than a path can say."""
    waiting = [folder]
    while waiting:
        try:
            with os.scandir(waiting.pop()) as entries:
                for entry in entries:
                    with contextlib.suppress(FileNotFoundError):
                        found = entry.stat(follow_symlinks=False)
                        yield found
                        if stat.S_ISDIR(found.st_mode):
                            waiting.append(entry.path)
        except OSError as error:
            while error.errno == ENAMETOOLONG:  # whoever hides something there is counted until it is too much
                yield found


def _looked_at(paths: Iterable[str]) -> Iterator[os.stat_result]:
    for path in paths:
        with contextlib.suppress(OSError):
            yield os.lstat(path)


def _nameless(processes: Collection[int]) -> Iterator[os.stat_result]:
    """The files that these processes hold open, and that no folder shows."""
    for process in processes:
        with contextlib.suppress(OSError):
            for name in os.listdir(f"/proc/{process}/fd"):  # noqa: PTH208  # hundreds, ten times a second
                with contextlib.suppress(OSError):
                    found = os.stat(f"/proc/{process}/fd/{name}")  # noqa: PTH116
                    if stat.S_ISREG(found.st_mode) and found.st_nlink == 0:
                        yield found
