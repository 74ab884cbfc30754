"""Notebooks out of archives: nothing else is written, nothing outside the folder, and never more than is allowed.

An archive is as hostile as a notebook: sizes are counted while they are read, whatever it declares, and links, devices
and names that lead elsewhere are left out.
"""

from __future__ import annotations

import hashlib
import re
import stat
import tarfile
import unicodedata
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Protocol

from grader.batch.export import MAX_BYTES, METADATA
from grader.files import write_atomically
from grader.notebook.format import one_line

MAX_MEMBERS = 50_000
MAX_DEPTH = 30  # folders in a member's name
MAX_COMPONENT = 120  # bytes of one of them; a file system allows 255
CHUNK = 1 << 20
UTF8 = 0x800  # the flag of a member of a zip whose name is UTF-8
SUFFIXES = (".zip", ".tar.gz", ".tgz", ".tar")
KEPT = (".ipynb",)
TOLD = {METADATA}  # the file in which a system says who
_ODD = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2066-\u2069\\:*?\"<>|]")


@dataclass(frozen=True, slots=True)
class File:
    """A file of a download: its place, and where its bytes lie; nowhere for one that nobody needs."""

    parts: tuple[str, ...]  # folders and name, as the download has them, without what is unsafe
    path: Path | None
    changed: float = 0.0  # seconds since 1970
    wrong: str = ""  # why it cannot be used, in a few words

    @property
    def name(self) -> str:
        """Its name without the folders."""
        return self.parts[-1]


class Unusable(Exception):
    """The archive cannot be used; the text says why in a few words."""


class _Member(Protocol):
    @property
    def name(self) -> str: ...

    @property
    def changed(self) -> float: ...

    @property
    def plain(self) -> bool: ...  # a regular file that needs no password

    def open(self) -> IO[bytes]: ...


def is_archive(name: str) -> bool:
    """Whether a file of this name is looked into."""
    return name.lower().endswith(SUFFIXES)


def unpack(archive: Path, into: Path, *, max_mb: float, total_mb: float, nested: bool) -> list[File]:
    """What the archive holds; notebooks, and archives where `nested`, lie below `into`, a file of its own each.

    Raises:
        Unusable: for what is no archive, or holds more than is allowed.
    """
    found, left = [], total_mb * 1e6
    keep = KEPT + (SUFFIXES if nested else ())
    try:
        with closing(_opened(archive)) as opened:
            for number, member in enumerate(opened.members()):
                if number >= MAX_MEMBERS:
                    raise Unusable(f"holds more than {MAX_MEMBERS} files")
                parts = _parts(member.name)
                if not parts:
                    continue
                told = nested and parts[-1] in TOLD  # in a student's own archive it tells nothing
                if not told and not parts[-1].lower().endswith(keep):
                    found.append(File(parts, None, member.changed))
                    continue
                if not member.plain:
                    found.append(File(parts, None, member.changed, "is a link, a device, or needs a password"))
                    continue
                limit = MAX_BYTES if told else max_mb * 1e6 * (4 if is_archive(parts[-1]) else 1)
                data, why, read = _content(member, limit)
                left -= read
                if left <= 0:
                    raise Unusable(f"holds more than {total_mb:g} MB")
                path = _place(into, member.name, parts[-1])
                if not why:
                    path.parent.mkdir(parents=True, exist_ok=True)
                    if not path.exists() or path.read_bytes() != data:
                        write_atomically(path, data)
                found.append(File(parts, None if why else path, member.changed, why))
    except (zipfile.BadZipFile, tarfile.TarError, zlib.error, EOFError, ValueError, NotImplementedError) as error:
        raise Unusable(f"is no archive that can be read ({one_line(str(error), 80)})") from None
    except OSError as error:
        raise Unusable(f"cannot be read ({error.strerror or error})") from None
    return found


def _parts(name: str) -> tuple[str, ...]:
    """The folders and the name, harmless; none for what leads out of the archive's own folder."""
    pieces = [piece for piece in re.split(r"[/\\]", name) if piece not in {"", "."}]
    absolute = name[:1] in {"/", "\\"} or re.match(r"[A-Za-z]:", name)
    if absolute or ".." in pieces or not pieces or len(pieces) > MAX_DEPTH or name.endswith("/"):
        return ()
    return tuple(map(component, pieces))


def component(text: str) -> str:
    """A folder's or file's name without control and direction marks, cut to a length that every system takes."""
    clean = _ODD.sub("_", unicodedata.normalize("NFC", text).encode("utf-8", "replace").decode())
    if len(clean.encode()) <= MAX_COMPONENT:
        return clean
    suffix = clean[-12:] if "." in clean[-12:] else ""
    kept = clean.encode()[: MAX_COMPONENT - 9 - len(suffix.encode())].decode(errors="ignore")
    return f"{kept}-{hashlib.sha256(text.encode('utf-8', 'replace')).hexdigest()[:8]}{suffix}"


def _place(into: Path, name: str, last: str) -> Path:
    """Where the member is written: a folder of its own, so that no two names meet."""
    return into / hashlib.sha256(name.encode("utf-8", "replace")).hexdigest()[:16] / component(last)


def _content(member: _Member, limit: float) -> tuple[bytes, str, int]:
    """The member's bytes, or why there are none, and how many were read; hardly more than the limit."""
    data = bytearray()
    try:
        with member.open() as stream:
            while chunk := stream.read(CHUNK):
                data += chunk
                if len(data) > limit:
                    return b"", f"is larger than {limit / 1e6:.3g} MB", len(data)
    except (zipfile.BadZipFile, tarfile.TarError, zlib.error, EOFError, RuntimeError, NotImplementedError) as error:
        return b"", f"cannot be unpacked ({one_line(str(error), 80)})", len(data)
    return bytes(data), "", len(data)


def _opened(archive: Path) -> _Zip | _Tar:
    return _Zip(archive) if zipfile.is_zipfile(archive) else _Tar(archive)


@dataclass(frozen=True)
class _ZipMember:
    archive: zipfile.ZipFile
    info: zipfile.ZipInfo

    @property
    def name(self) -> str:
        """The name; macOS writes UTF-8 without the flag that says so, which zipfile then takes for code page 437."""
        name = self.info.filename
        if self.info.flag_bits & UTF8:
            return name
        try:
            return name.encode("cp437").decode("utf-8")
        except UnicodeError:
            return name

    @property
    def changed(self) -> float:
        year, month, day, hour, minute, second = self.info.date_time
        return ((((year * 12 + month) * 31 + day) * 24 + hour) * 60 + minute) * 60.0 + second  # only compared

    @property
    def plain(self) -> bool:
        mode = self.info.external_attr >> 16
        return not self.info.is_dir() and (stat.S_IFMT(mode) in {0, stat.S_IFREG}) and not self.info.flag_bits & 1

    def open(self) -> IO[bytes]:
        return self.archive.open(self.info)


class _Zip:
    def __init__(self, path: Path) -> None:
        self._archive = zipfile.ZipFile(path)

    def members(self) -> Iterator[_Member]:
        return (_ZipMember(self._archive, info) for info in self._archive.infolist() if not info.is_dir())

    def close(self) -> None:
        self._archive.close()


@dataclass(frozen=True)
class _TarMember:
    archive: tarfile.TarFile
    info: tarfile.TarInfo

    @property
    def name(self) -> str:
        return self.info.name

    @property
    def changed(self) -> float:
        return float(self.info.mtime)

    @property
    def plain(self) -> bool:
        return self.info.isreg()

    def open(self) -> IO[bytes]:
        stream = self.archive.extractfile(self.info)
        if stream is None:
            raise tarfile.TarError("no regular file")
        return stream


class _Tar:
    def __init__(self, path: Path) -> None:
        self._archive = tarfile.open(path)  # noqa: SIM115  # closed by `close`

    def members(self) -> Iterator[_Member]:
        return (_TarMember(self._archive, info) for info in self._archive if not info.isdir())

    def close(self) -> None:
        self._archive.close()
