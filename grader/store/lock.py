"""One grader a folder: a second one is told who has it."""

from __future__ import annotations

import contextlib
import fcntl
import getpass
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from grader.errors import GraderError, one_line

NAME = ".lock"


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Nobody else grades into the folder meanwhile; the lock ends with the process, however it ends.

    Raises:
        GraderError: where another process has it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    handle = os.open(folder / NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o666)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = one_line(os.read(handle, 200).decode(errors="replace"), 100)
            raise GraderError(
                f"{one_line(str(folder), 100)}: another grader is at work here ({holder or 'it does not say who'}); "
                "wait for it, or end it"
            ) from None
        os.truncate(handle, 0)
        holder = f"process {os.getpid()} of {user()}, since {datetime.now(UTC):%Y-%m-%d %H:%M} UTC"
        os.pwrite(handle, holder.encode(), 0)
        yield
    finally:
        os.close(handle)


def user() -> str:
    """The login name of who runs this."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"user {os.getuid()}"
