"""The libraries of NVIDIA's driver for CUDA: where this machine has them, and how a box finds them.

They belong to the driver and not to PyTorch, and lie wherever the machine's owner has put them. A box has a clean
environment, so a folder that only `LD_LIBRARY_PATH` names is unknown to it: then the libraries are mounted into a
folder of their own, and nothing else of the folder that they lie in.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

IN_BOX = "/box/cuda"
SEARCHED = "LD_LIBRARY_PATH"
LIBRARY = "libcuda.so.1"
# What belongs to CUDA, of the driver's libraries; the others draw on screens.
BELONGING = re.compile(
    r"lib(cuda|cudadebugger|dxcore|nvidia-(ptxjitcompiler|ml|nvvm|nvvm70|gpucomp|cfg|allocator|compiler|"
    r"fatbinaryloader|pkcs11|pkcs11-openssl3|tileiras))\.so(\.\d+)*"
)
FOLDERS = (  # where images for containers, WSL and distributions put them, beside what the loader knows
    *("/usr/local/nvidia/lib64", "/usr/local/nvidia/lib", "/usr/lib/wsl/lib", "/run/opengl-driver/lib"),
    *("/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib64", "/usr/lib"),
)
SYSTEM = ("/usr/", "/lib/", "/lib64/")  # what every box sees as the machine has it
_64_BIT = b"\x7fELF\x02"
ANSWER_S = 10


@dataclass(frozen=True, slots=True)
class CudaDriver:
    """Where `libcuda.so.1` lies, and the driver's libraries beside it."""

    folder: Path
    files: tuple[Path, ...]
    known_to_loader: bool  # a box finds it with nothing set

    def mounts(self) -> dict[str, Path]:
        """Path in a box -> file; empty where a box's loader finds the driver by itself."""
        return {} if self.known_to_loader else {f"{IN_BOX}/{file.name}": file for file in self.files}

    def environment(self, folder: str = IN_BOX) -> dict[str, str]:
        """What a process needs to find the libraries in `folder`; nothing where the loader finds them by itself."""
        return {} if self.known_to_loader else {SEARCHED: folder}


def cuda_driver(environment: Mapping[str, str] = os.environ) -> CudaDriver | None:
    """The driver's libraries, found as the loader finds them, then in the known folders; None where there are none."""
    cached = _cached()
    for folder in _folders(environment, cached):
        if _is_library(folder / LIBRARY):
            known = cached is not None and folder == cached.parent and str(folder).startswith(SYSTEM)
            files = tuple(path for path in sorted(folder.iterdir()) if BELONGING.fullmatch(path.name))
            return CudaDriver(folder, files, known)
    return None


def _folders(environment: Mapping[str, str], cached: Path | None) -> Iterator[Path]:
    """Where to look, in the loader's own order: what the caller names, what its cache knows, and the known folders."""
    yield from (Path(folder) for folder in environment.get(SEARCHED, "").split(":") if folder.startswith("/"))
    if cached is not None:
        yield cached.parent
    yield from map(Path, FOLDERS)


def _is_library(path: Path) -> bool:
    """Whether this is a library for a 64-bit program; a folder with 32-bit ones may come first."""
    try:
        with path.open("rb") as stream:
            return stream.read(len(_64_BIT)) == _64_BIT
    except OSError:
        return False


def _cached() -> Path | None:
    """Where the loader's cache has the library for this machine's programs; None where it has none or cannot say."""
    tool = shutil.which("ldconfig", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if tool is None:
        return None
    try:
        asked = subprocess.run([tool, "-p"], capture_output=True, text=True, errors="replace", timeout=ANSWER_S)
    except (OSError, subprocess.SubprocessError):
        return None
    lines = (line.partition(" => ") for line in asked.stdout.splitlines() if line.strip().startswith(f"{LIBRARY} "))
    return next((Path(path.strip()) for _, _, path in lines if _is_library(Path(path.strip()))), None)
