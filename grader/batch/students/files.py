"""The files of a download or folder; their names are in composed letters (NFC), whatever system wrote them."""

from __future__ import annotations

import os
import re
import stat
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from grader.errors import GraderError, short_path

MAX_FILES = 500_000
UNREADABLE = "is a symbolic link"
_SUFFIX = re.compile(r"(?:\.tar|\.ipynb)?\.[A-Za-z0-9]{1,6}$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class File:
    """A file of a download: its place there, and the path of its content; None for a file that is not needed."""

    path_parts: tuple[str, ...]  # folders and name as in the download, made safe
    path: Path | None
    changed: float = 0.0  # seconds since 1970
    problem: str = ""  # why it cannot be used, in a few words
    section: str = ""  # its folder or archive, in a class that is split into several
    twin: bool = False  # another file's place differs only in how letters are encoded, so one got a number

    @property
    def place(self) -> str:
        """The file's place in the download, for display."""
        return "/".join(filter(None, (self.section, *self.path_parts)))

    @property
    def name(self) -> str:
        """The file's name without the folders."""
        return self.path_parts[-1]


class Places:
    """Gives each file a place in composed letters (NFC), the form in which systems and rosters write names.

    macOS writes decomposed letters (NFD), so a folder may hold two names that look the same. The second gets a number,
    "name (2).ipynb": no file replaces another.
    """

    def __init__(self) -> None:
        self._raw: dict[tuple[str, ...], str] = {}

    def place(self, raw: str, path_parts: tuple[str, ...]) -> tuple[tuple[str, ...], bool]:
        """The path, numbered if it is another file's, and whether it is; `raw` is the path as stored."""
        *folders, name = (composed(part) for part in path_parts)
        suffix = _SUFFIX.search(name)
        end = suffix.start() if suffix and suffix.start() else len(name)
        own, number = (*folders, name), 1
        while self._raw.setdefault(own, raw) != raw:
            number += 1
            own = (*folders, f"{name[:end]} ({number}){name[end:]}")
        return own, number > 1


def composed(text: str) -> str:
    """The text with each accented letter as one character (NFC), whatever the system that wrote it."""
    return unicodedata.normalize("NFC", text)


def files_below(root: Path) -> Iterator[File]:
    """The files below the folder, without following links; each is opened by its name on disk.

    Raises:
        GraderError: if there are too many.
    """
    count, places = 0, Places()
    for folder, names, files in os.walk(root, followlinks=False):
        inside = tuple(Path(folder).relative_to(root).parts)
        names.sort()
        for name in sorted([*files, *(n for n in names if (Path(folder) / n).is_symlink())]):
            count += 1
            if count > MAX_FILES:
                raise GraderError(
                    f"{short_path(root)}: expected at most {MAX_FILES} files, found more; check the folder"
                )
            path = Path(folder) / name
            status = path.lstat()
            is_link = stat.S_ISLNK(status.st_mode)
            if not is_link and not stat.S_ISREG(status.st_mode):
                continue
            path_parts, twin = places.place(path.as_posix(), (*inside, name))
            if is_link:
                yield File(path_parts, None, 0.0, UNREADABLE, twin=twin)
            else:
                yield File(path_parts, path, status.st_mtime, twin=twin)
