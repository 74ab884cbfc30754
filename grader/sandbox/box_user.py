"""If root grades, each box runs as a separate user, who owns nothing on the machine.

A user namespace alone is not enough: user 1000 inside is still root outside and owns root's files, among them the
kernel's settings in /proc/sys, which their owner can write without any capability.

This module chooses the user's id, checks the capabilities that root needs to start such a box, and copies private
files for the box. The backends `bubblewrap` and `own_user` use it.
"""

from __future__ import annotations

import grp
import os
import pwd
import secrets
import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path

from grader.errors import BoxError
from grader.sandbox.launch import statuses

# Ids that no account, container or service gets; each box has its own, so that boxes do not share a user's kernel
# limits. https://systemd.io/UIDS-GIDS/ lists the assigned ranges.
FIRST, COUNT = 0x7000_0000, 0x1000_0000
ORDINARY, NOBODY = 20_000, 60_000  # in this range there are no ids of services, and few of people
NEEDED_POWERS = {
    "CAP_CHOWN": 0,
    "CAP_DAC_OVERRIDE": 1,
    "CAP_KILL": 5,
    "CAP_SETGID": 6,
    "CAP_SETUID": 7,
    "CAP_SETPCAP": 8,
}


def owns_the_kernel() -> bool:
    """Whether this account owns the machine's kernel settings: root does, except root of a user namespace."""
    return Path("/proc/sys").exists() and Path("/proc/sys").stat().st_uid == os.geteuid()


def new_id() -> int:
    """An id that no user of this machine has."""
    return FIRST + secrets.randbelow(COUNT)


def free_id(uid_map: Path = Path("/proc/self/uid_map")) -> int:
    """Returns an unused id, also in a container that has fewer user ids than the machine.

    Raises:
        BoxError: no id is free.
    """
    lines = [list(map(int, line.split())) for line in uid_map.read_text().splitlines()]
    ranges = [(first, first + count) for first, _, count in lines]
    if any(start <= FIRST and end >= FIRST + COUNT for start, end in ranges):
        return new_id()
    candidates = [id for start, end in ranges for id in range(max(start, ORDINARY), min(end, NOBODY))]
    used_ids = {account.pw_uid for account in pwd.getpwall()} | {group.gr_gid for group in grp.getgrall()}
    used_ids |= {int(id) for _, fields in statuses() for id in fields["Uid"]}
    if not (free_ids := sorted(set(candidates) - used_ids)):
        raise BoxError(
            "isolation: this container has only root's user id, so the sandbox cannot have its own user; "
            "start the container with more user ids"
        )
    return secrets.choice(free_ids)


def powers_missing() -> list[str]:
    """The names of the missing capabilities that root needs to run a process as another user and to end it."""
    status = Path("/proc/self/status").read_text()
    effective = int(status.partition("CapEff:")[2].split()[0], 16)
    return [name for name, bit in NEEDED_POWERS.items() if not effective >> bit & 1]


class ReadableCopies:
    """Provides paths that all users can read until `remove`: the original path, or a copy of a private one.

    Only the modes of the path and of everything below it count: root can bind files below folders that only it may
    enter.
    """

    def __init__(self) -> None:
        self._folder: Path | None = None

    def path(self, path: Path) -> Path:
        """Returns the file or folder itself, or a copy if it is private; only for small ones."""
        if tree_open_to_all(path):
            return path
        if self._folder is None:
            self._folder = Path(tempfile.mkdtemp(prefix="box-"))
        return readable_copy(path, self._folder)

    def remove(self) -> None:
        """Removes the copies."""
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)


def readable_copy(path: Path, folder: Path, user: int | None = None) -> Path:
    """Copies the file or folder to a new place in `folder`, readable by all users, or only by `user` and root."""
    place = Path(tempfile.mkdtemp(dir=folder, prefix="contents-"))
    copy = place / path.name
    if path.is_dir():
        shutil.copytree(path, copy, copy_function=shutil.copyfile)
    else:
        shutil.copyfile(path, copy)
    folder_mode, file_mode = (0o755, 0o644) if user is None else (0o750, 0o640)
    for each in (place, copy, *copy.rglob("*")):
        if user is not None:
            os.chown(each, 0, user)
        each.chmod(folder_mode if each.is_dir() else file_mode)
    return copy


def need_open(folders: Iterable[Path]) -> None:
    """Checks by their own modes that all users can read these folders, which are too large to be copied.

    Raises:
        BoxError: one of them is private.
    """
    for folder in folders:
        if not open_to_all(folder):
            raise BoxError(
                f"isolation: {folder}: expected a Python that all users can read, because root's box runs as another"
                f" user; got a private folder; run `chmod -R o+rX {folder}`"
            )


def closed_above(path: Path) -> list[Path]:
    """The folders above the path, and above the targets of its links, that other users may not enter."""
    above = (*reversed(path.absolute().parents), *reversed(path.resolve().parents))
    return [folder for folder in above if not folder.stat().st_mode & 0o001]


def open_to_all(path: Path) -> bool:
    """Whether other users may read the file, or list and enter the folder; folders above do not count."""
    if not path.exists():  # building the box will report that
        return True
    mode_bits = 0o005 if path.is_dir() else 0o004
    return path.stat().st_mode & mode_bits == mode_bits


def tree_open_to_all(path: Path) -> bool:
    """Whether other users may read the file, or the folder and everything below it; folders above do not count."""
    return all(open_to_all(each) for each in (path, *path.rglob("*")))
