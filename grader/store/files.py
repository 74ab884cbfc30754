"""Files that are written completely or not at all, tables as bytes, and the lock that keeps a folder to one grader."""

from __future__ import annotations

import contextlib
import csv
import fcntl
import getpass
import io
import os
import re
import secrets
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from grader.errors import GraderError, one_line, short_path

_ASIDE_BYTES = 8  # random bytes in the name of a file that is being written
_ASIDE = re.compile(rf"\.[0-9a-f]{{{2 * _ASIDE_BYTES}}}\.tmp")


def csv_bytes(rows: Sequence[Mapping[str, object]]) -> bytes:
    """The rows as CSV, with the columns of all rows in the order in which they first appear."""
    stream = io.StringIO(newline="")
    writer = csv.DictWriter(stream, list(dict.fromkeys(key for row in rows for key in row)), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return stream.getvalue().encode()


def write_atomically(path: Path, data: bytes) -> None:
    """Writes exactly `data` to `path`; a writer that is killed leaves the old file, or none.

    The temporary file is in the same folder, so that the last step is one rename. A link at `path` is
    replaced, never followed.

    Raises:
        OSError: the folder is missing, full or not writable; `path` is as it was.
    """
    temporary = path.with_name(f".{secrets.token_hex(_ASIDE_BYTES)}.tmp")
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def write_changed(path: Path, content: bytes) -> None:
    """Writes the content to the file, unless the file already holds it.

    Raises:
        OSError: it cannot be written.
    """
    same = path.is_file() and not path.is_symlink() and path.stat().st_size == len(content)
    if not same or path.read_bytes() != content:
        write_atomically(path, content)


@contextlib.contextmanager
def written_aside(path: Path) -> Iterator[Path]:
    """Yields the path of a temporary file in the same folder, which replaces `path` at the end.

    Raises:
        OSError: as `write_atomically` does.
    """
    temporary = path.with_name(f".{secrets.token_hex(_ASIDE_BYTES)}.tmp")
    try:
        yield temporary
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def sweep(folder: Path) -> None:
    """Removes the files that killed writers left in and below the folder; call it only while nothing is written."""
    for where, _, names in os.walk(folder):
        for name in names:
            if _ASIDE.fullmatch(name):
                Path(where, name).unlink(missing_ok=True)


LOCK = ".lock"


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keeps other processes from grading into the folder; the lock ends with the process, however it ends.

    Raises:
        GraderError: another process has the lock.
    """
    folder.mkdir(parents=True, exist_ok=True)
    handle = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o666)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = one_line(os.read(handle, 200).decode(errors="replace"), 100)
            raise GraderError(
                f"{short_path(folder, 100)}: another grader is working here ({holder or 'unknown process'}); "
                "wait for it, or stop it"
            ) from None
        os.truncate(handle, 0)
        holder = f"process {os.getpid()} of {user()}, since {datetime.now(UTC):%Y-%m-%d %H:%M} UTC"
        os.pwrite(handle, holder.encode(), 0)
        yield
    finally:
        os.close(handle)


def user() -> str:
    """The login name of the current user."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"user {os.getuid()}"
