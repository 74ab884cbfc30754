"""The libraries of NVIDIA's driver that CUDA needs: where they are on this machine, and how a box finds them.

They belong to the driver and not to PyTorch, and are in a folder that the machine's owner has chosen. A box has a clean
environment and does not know a folder that only `LD_LIBRARY_PATH` names: then these libraries, and nothing else of
their folder, are mounted into a separate folder.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

CUDA_IN_BOX = "/box/cuda"
LIBRARY_PATH = "LD_LIBRARY_PATH"
LIBRARY = "libcuda.so.1"
# The driver's libraries that belong to CUDA; the others are for graphics.
CUDA_LIBRARIES = re.compile(
    r"lib(cuda|cudadebugger|dxcore|nvidia-(ptxjitcompiler|ml|nvvm|nvvm70|gpucomp|cfg|allocator|compiler|"
    r"fatbinaryloader|pkcs11|pkcs11-openssl3|tileiras))\.so(\.\d+)*"
)
FOLDERS = (  # where container images, WSL and distributions put them, in addition to the loader's cache
    *("/usr/local/nvidia/lib64", "/usr/local/nvidia/lib", "/usr/lib/wsl/lib", "/run/opengl-driver/lib"),
    *("/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib64", "/usr/lib"),
)
SYSTEM = ("/usr/", "/lib/", "/lib64/")  # in every box the same as on the machine
_64_BIT = b"\x7fELF\x02"
LDCONFIG_S = 10


@dataclass(frozen=True, slots=True)
class CudaDriver:
    """The folder of `libcuda.so.1`, and the driver's libraries in it."""

    folder: Path
    files: tuple[Path, ...]
    known_to_loader: bool  # a box finds them without any variable

    def mounts(self) -> dict[str, Path]:
        """Path in a box -> file; empty if a box's loader finds the driver by itself."""
        return {} if self.known_to_loader else {f"{CUDA_IN_BOX}/{file.name}": file for file in self.files}

    def environment(self, folder: str = CUDA_IN_BOX) -> dict[str, str]:
        """The variables that let a process find the libraries in `folder`; empty if the loader finds them by itself."""
        return {} if self.known_to_loader else {LIBRARY_PATH: folder}


def find_cuda_driver(environment: Mapping[str, str] = os.environ) -> CudaDriver | None:
    """The driver's libraries, searched for like the loader does, then in the known folders; None if not found."""
    cached = _cached()
    for folder in _folders(environment, cached):
        if _is_library(folder / LIBRARY):
            by_itself = cached is not None and folder == cached.parent and str(folder).startswith(SYSTEM)
            files = tuple(path for path in sorted(folder.iterdir()) if CUDA_LIBRARIES.fullmatch(path.name))
            return CudaDriver(folder, files, by_itself)
    return None


def _folders(environment: Mapping[str, str], cached: Path | None) -> Iterator[Path]:
    """Yields the folders to search, in the loader's order: the caller's `LD_LIBRARY_PATH`, its cache, known folders."""
    yield from (Path(folder) for folder in environment.get(LIBRARY_PATH, "").split(":") if folder.startswith("/"))
    if cached is not None:
        yield cached.parent
    yield from map(Path, FOLDERS)


def _is_library(path: Path) -> bool:
    """Whether this is a library for 64-bit programs; a folder of 32-bit libraries may come first in the search."""
    try:
        with path.open("rb") as stream:
            return stream.read(len(_64_BIT)) == _64_BIT
    except OSError:
        return False


def _cached() -> Path | None:
    """The path of the 64-bit library in the loader's cache; None if it is not there, or the cache cannot be read."""
    tool = shutil.which("ldconfig", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if tool is None:
        return None
    try:
        result = subprocess.run([tool, "-p"], capture_output=True, text=True, errors="replace", timeout=LDCONFIG_S)
    except (OSError, subprocess.SubprocessError):
        return None
    lines = (line.partition(" => ") for line in result.stdout.splitlines() if line.strip().startswith(f"{LIBRARY} "))
    return next((Path(path.strip()) for _, _, path in lines if _is_library(Path(path.strip()))), None)
