"""The files that a box sees of this machine: the system's libraries and settings, and the Python that runs the grader.

Everything else of the machine is hidden, among it the grader and the course, wherever they are (`private_in_sight`).
Backends with namespaces also give the box the same home and folders to write in.
"""

from __future__ import annotations

import sys
import sysconfig
from collections.abc import Collection, Iterator
from pathlib import Path

import grader
from grader.sandbox.backend import WORK

HOME = "/home/student"
WRITABLE = (HOME, "/tmp", "/content", "/dev/shm", WORK)
SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64")
SETTINGS = (
    "/etc/ld.so.cache",
    "/etc/ld.so.conf",
    "/etc/ld.so.conf.d",
    "/etc/alternatives",
    "/etc/fonts",
    "/etc/localtime",
)
PASSWD = Path(__file__).parent / "in_box" / "passwd"


def python_folders() -> list[Path]:
    """Returns the folders outside `SYSTEM` that the interpreter needs.

    They are the installation, the environment that was made from it, and packages of other environments that it uses.
    """
    folders: list[Path] = []
    for prefix in dict.fromkeys((sys.base_prefix, sys.exec_prefix, sys.prefix, *_packages_elsewhere())):
        folder = Path(prefix).resolve()
        inside_system = any(folder.is_relative_to(system) for system in SYSTEM)
        if not inside_system and folder not in folders:
            folders.append(folder)
    return folders


def _packages_elsewhere() -> Iterator[str]:
    """Yields the folders of packages that a `.pth` file of the environment names.

    Folders with other names are left out, such as the source of an editable package.
    """
    for pth_file in sorted(Path(sysconfig.get_path("purelib")).glob("*.pth")):
        for line in pth_file.read_text(errors="replace").splitlines():
            if line.startswith("/") and Path(line).name in {"site-packages", "dist-packages"} and Path(line).is_dir():
                yield line


def private_in_sight(private: Collection[Path]) -> list[Path]:
    """Returns the grader's own folder and the `private` ones that are inside a folder of Python or the system.

    A box would see these. Of nested folders, only the outermost is returned.
    """
    visible = [*python_folders(), *map(Path, SYSTEM)]
    folders = sorted({path.resolve() for path in (Path(grader.__file__).parent, *private)})
    hidden: list[Path] = []
    for folder in folders:
        inside = any(folder.is_relative_to(seen) and folder != seen for seen in visible)
        if inside and folder.is_dir() and not any(folder.is_relative_to(outer) for outer in hidden):
            hidden.append(folder)
    return hidden


def python_program() -> str:
    """Returns the interpreter's path below one of `python_folders()`; `sys.executable` may lead through a link."""
    program, prefix = Path(sys.executable), Path(sys.prefix)
    return str(prefix.resolve() / program.relative_to(prefix) if program.is_relative_to(prefix) else program)
