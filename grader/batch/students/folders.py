"""Lists the files of a folder by names in composed letters (NFC), whatever system wrote them; follows no links."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from grader.batch.students.archives import File, Places
from grader.errors import GraderError, short_path

MAX_FILES = 500_000
UNREADABLE = "is a symbolic link"


def files_below(root: Path) -> Iterator[File]:
    """The files below the folder; each is opened by its name on disk.

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
            parts, twin = places.place(path.as_posix(), (*inside, name))
            if is_link:
                yield File(parts, None, 0.0, UNREADABLE, twin=twin)
            else:
                yield File(parts, path, status.st_mtime, twin=twin)
