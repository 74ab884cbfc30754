"""Unpacks notebooks from archives: writes nothing else, nothing outside the folder, and no more than the limits allow.

An archive may be hostile: sizes are counted while reading, whatever the archive declares, and links, devices and names
that lead outside the folder are left out.
"""

from __future__ import annotations

import gzip
import hashlib
import math
import re
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO

from grader.batch.students.files import File, Places, composed
from grader.batch.students.gradescope_export import MAX_BYTES, METADATA
from grader.errors import one_line
from grader.store.files import write_atomically

MAX_MEMBERS = 50_000
MAX_NOTEBOOKS = 500  # in a student's own archive; writing each safely takes 4 to 8 ms
MAX_DEPTH = 30  # folders in a member's path
MAX_COMPONENT = 120  # bytes of a folder's or file's name; file systems allow 255
MAX_AT_ONCE = 32_000_000  # bytes: the list of a zip of `MAX_MEMBERS` files is shorter
MAX_STRUCTURE = 200_000_000  # bytes of a tar beside the unpacked files: headers and skipped files
ODD_MEMBER = "is a link or a device, uses an unusual compression, or needs a password"
CHUNK = 1 << 20
UTF8 = 0x800  # the flag of a zip member with a UTF-8 name
SUFFIXES = (".zip", ".tar.gz", ".tgz", ".tar")
NOTEBOOK_SUFFIXES = (".ipynb",)
METADATA_FILES = {METADATA}  # the file with a system's list of submitters
_ODD = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2066-\u2069\\:*?\"<>|]")


class UnusableArchive(Exception):
    """The archive cannot be used; the message says why in a few words."""


@dataclass(frozen=True, slots=True)
class _Member:
    """A file of an archive, as the archive describes it."""

    name: str
    changed: float  # for a zip not a true time, but comparable
    plain: bool  # a regular file that needs no password
    open: Callable[[], IO[bytes] | None]


def is_archive(name: str) -> bool:
    """Whether a file of this name is an archive that can be unpacked."""
    return name.lower().endswith(SUFFIXES)


def unpack(archive: Path, into: Path, *, max_mb: float, total_mb: float, nested: bool) -> list[File]:
    """The files of the archive; unpacks its notebooks, and with `nested` its archives, below `into`.

    Raises:
        UnusableArchive: if it is not an archive, or exceeds the limits.
    """
    files, bytes_left, count = [], total_mb * 1e6, 0
    suffixes = NOTEBOOK_SUFFIXES + (SUFFIXES if nested else ())
    with _members(archive, total_mb) as members:
        for member, path_parts, twin in members:
            is_metadata = nested and path_parts[-1] in METADATA_FILES  # ignored in a student's own archive
            if not is_metadata and not path_parts[-1].lower().endswith(suffixes):
                files.append(File(path_parts, None, member.changed, twin=twin))
                continue
            if not member.plain:
                files.append(File(path_parts, None, member.changed, ODD_MEMBER, twin=twin))
                continue
            limit = MAX_BYTES if is_metadata else max_mb * 1e6 * (4 if is_archive(path_parts[-1]) else 1)
            count += 1
            if count > MAX_NOTEBOOKS and not nested:
                raise UnusableArchive(f"holds more than {MAX_NOTEBOOKS} notebooks")
            data, problem, size = _content(member, limit)
            bytes_left -= size
            if bytes_left <= 0:
                raise UnusableArchive(f"holds more than {total_mb:g} MB")
            path = _place(into, member.name, path_parts[-1])
            if not problem:
                path.parent.mkdir(parents=True, exist_ok=True)
                if not path.exists() or path.read_bytes() != data:
                    write_atomically(path, data)
            files.append(File(path_parts, None if problem else path, member.changed, problem, twin=twin))
    return files


def list_files(archive: Path, *, total_mb: float) -> list[File]:
    """The files of the archive by name only; unpacks nothing.

    Raises:
        UnusableArchive: if it is not an archive, or exceeds the limits.
    """
    with _members(archive, total_mb) as members:
        return [File(path_parts, None, member.changed, twin=twin) for member, path_parts, twin in members]


@contextmanager
def _members(archive: Path, total_mb: float) -> Iterator[Iterator[tuple[_Member, tuple[str, ...], bool]]]:
    """The members while the archive is open, with a safe place, and whether it is numbered.

    Any error becomes `UnusableArchive`.
    """
    try:
        most = total_mb * 1e6 + MAX_STRUCTURE
        with _zip(archive) if zipfile.is_zipfile(archive) else _tar(archive, most) as members:
            yield _safe_members(members)
    except (zipfile.BadZipFile, tarfile.TarError, zlib.error, EOFError, ValueError, NotImplementedError) as error:
        raise UnusableArchive(f"is not a readable archive ({one_line(str(error), 80)})") from None
    except OSError as error:
        raise UnusableArchive(f"cannot be read ({error.strerror or error})") from None


def _safe_members(members: Iterator[_Member]) -> Iterator[tuple[_Member, tuple[str, ...], bool]]:
    places = Places()
    for number, member in enumerate(members):
        if number >= MAX_MEMBERS:
            raise UnusableArchive(f"holds more than {MAX_MEMBERS} files")
        if path_parts := _path_parts(member.name):
            yield member, *places.place(member.name, path_parts)


def _path_parts(name: str) -> tuple[str, ...]:
    """The folders and the name, made safe; empty for a path that leads out of the archive's folder."""
    pieces = [piece for piece in re.split(r"[/\\]", name) if piece not in {"", "."}]
    absolute = name[:1] in {"/", "\\"} or re.match(r"[A-Za-z]:", name)
    if absolute or ".." in pieces or not pieces or len(pieces) > MAX_DEPTH or name.endswith("/"):
        return ()
    return tuple(map(component, pieces))


def component(text: str) -> str:
    """A folder's or file's name without control and direction marks, cut to a length that every file system allows."""
    clean = _ODD.sub("_", composed(text).encode("utf-8", "replace").decode())
    if len(clean.encode()) <= MAX_COMPONENT:
        return clean
    suffix = clean[-12:] if "." in clean[-12:] else ""
    start = clean.encode()[: MAX_COMPONENT - 9 - len(suffix.encode())].decode(errors="ignore")
    return f"{start}-{hashlib.sha256(text.encode('utf-8', 'replace')).hexdigest()[:8]}{suffix}"


def _place(into: Path, name: str, last: str) -> Path:
    """The path to write the member to: in its own folder, so that names cannot collide."""
    return into / hashlib.sha256(name.encode("utf-8", "replace")).hexdigest()[:16] / component(last)


def _content(member: _Member, limit: float) -> tuple[bytes, str, int]:
    """The member's bytes, or the reason why there are none, and the number of bytes read."""
    data = bytearray()
    try:
        stream = member.open()
        assert stream is not None  # None only for irregular files, and a plain member is regular
        with stream:
            while chunk := stream.read(CHUNK):
                data += chunk
                if len(data) > limit:
                    return b"", f"is larger than {limit / 1e6:.3g} MB", len(data)
    except (zipfile.BadZipFile, tarfile.TarError, zlib.error, EOFError, RuntimeError, NotImplementedError) as error:
        return b"", f"cannot be unpacked ({one_line(str(error), 80)})", len(data)
    return bytes(data), "", len(data)


class _BoundedFile:
    """A file that refuses reads of more than `MAX_AT_ONCE` bytes, or beyond its first `most` bytes.

    The libraries would otherwise read as much as an archive declares, however large.
    """

    def __init__(self, file: IO[bytes], most: float = math.inf) -> None:
        self._file, self._most, self.tell = file, most, file.tell

    def read(self, size: int = -1) -> bytes:
        length = MAX_AT_ONCE + 1 if size < 0 else size
        if size > MAX_AT_ONCE:
            raise UnusableArchive("has too long a list of files")
        data = self._file.read(length)
        if len(data) > MAX_AT_ONCE or self._file.tell() > self._most:
            raise UnusableArchive(f"holds more than {self._most / 1e6:.0f} MB")
        return data

    def seek(self, offset: int, whence: int = 0) -> int:
        if whence == 0 and offset > self._most:  # skipping in a compressed file unpacks all of it
            raise UnusableArchive(f"holds more than {self._most / 1e6:.0f} MB")
        return self._file.seek(offset, whence)

    def seekable(self) -> bool:
        return True


@contextmanager
def _zip(path: Path) -> Iterator[Iterator[_Member]]:
    """The members of a zip archive, while it is open."""
    with path.open("rb") as file, zipfile.ZipFile(_BoundedFile(file)) as archive:  # needs only read and seek
        yield (_zip_member(archive, info) for info in archive.infolist() if not info.is_dir())


def _zip_member(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> _Member:
    year, month, day, hour, minute, second = info.date_time
    changed = ((((year * 12 + month) * 31 + day) * 24 + hour) * 60 + minute) * 60.0 + second
    usual = info.compress_type in {
        zipfile.ZIP_STORED,
        zipfile.ZIP_DEFLATED,
    }  # LZMA uses as much memory as the file asks for
    regular = stat.S_IFMT(info.external_attr >> 16) in {0, stat.S_IFREG}
    plain = usual and regular and not info.flag_bits & 1
    return _Member(_zip_name(info), changed, plain, partial(archive.open, info))


def _zip_name(info: zipfile.ZipInfo) -> str:
    """The name; macOS writes UTF-8 without its flag, which zipfile then reads as code page 437."""
    if info.flag_bits & UTF8:
        return info.filename
    try:
        return info.filename.encode("cp437").decode("utf-8")
    except UnicodeError:
        return info.filename


@contextmanager
def _tar(path: Path, most: float) -> Iterator[Iterator[_Member]]:
    """The members of a tar archive, compressed by gzip or not, while it is open."""
    with path.open("rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
        file.seek(0)
        unpacked: IO[bytes] = gzip.GzipFile(fileobj=file) if packed else file  # type: ignore[assignment]
        with unpacked, tarfile.open(fileobj=_BoundedFile(unpacked, most), mode="r:") as archive:  # type: ignore[call-overload]
            yield _tar_members(archive)


def _tar_members(archive: tarfile.TarFile) -> Iterator[_Member]:
    for number, info in enumerate(archive):  # folders count too, since each is kept in memory
        if number >= 2 * MAX_MEMBERS:
            raise UnusableArchive(f"holds more than {MAX_MEMBERS} files")
        if not info.isdir():
            yield _Member(info.name, float(info.mtime), info.isreg(), partial(archive.extractfile, info))
