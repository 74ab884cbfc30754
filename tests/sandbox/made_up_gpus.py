"""A machine with simulated GPUs: device nodes, the driver's files, and a stand-in for `nvidia-smi`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from grader.sandbox import cuda_driver, gpu

H100 = "NVIDIA H100 80GB HBM3"
LIBRARIES = ("libcuda.so.1", "libnvidia-ptxjitcompiler.so.1", "libnvidia-ml.so.1", "libnvidia-nvvm.so.4")


def row(index: int, total: int | str = 81559, free: int | str = 80000, name: str = H100, mig: str = "Disabled") -> str:
    """A line of the tool's answer."""
    return f"{index}, GPU-{index}0000000-aaaa, {mig}, {total}, {free}, 7, {name}"


def machine(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    rows: Sequence[str] = (),
    listed: str = "",
    *,
    nodes: Sequence[str] = ("nvidiactl", "nvidia-uvm"),
) -> Path:
    """The folder has the machine's nodes, of GPU n nvidia<7 + n>, and its tool, which is first on the PATH."""
    devices, driver_folder = folder / "dev", folder / "proc"
    devices.mkdir(exist_ok=True)
    for name in nodes:
        (devices / name).touch()
    for index in range(len(rows)):
        (devices / f"nvidia{7 + index}").touch()
        (driver_folder / f"000{index}").mkdir(parents=True, exist_ok=True)
        information = f"Model: \t\t {H100}\nGPU UUID: \t GPU-{index}0000000-aaaa\nDevice Minor: \t {7 + index}\n"
        (driver_folder / f"000{index}" / "information").write_text(information)
    (folder / "rows").write_text("".join(f"{line}\n" for line in rows))
    (folder / "listed").write_text(listed)
    tool = folder / "nvidia-smi"
    tool.write_text(f'#!/bin/sh\nif [ "$1" = -L ]; then cat "{folder}/listed"; else cat "{folder}/rows"; fi\n')
    tool.chmod(0o755)
    (folder / "ldconfig").write_text(f'#!/bin/sh\ncat "{folder}/cache" 2>/dev/null\n')
    (folder / "ldconfig").chmod(0o755)
    monkeypatch.setattr(gpu, "DEVICES", devices)
    monkeypatch.setattr(gpu, "OF_DRIVER", driver_folder)
    monkeypatch.setattr(cuda_driver, "FOLDERS", (str(folder / "known"),))
    monkeypatch.delenv(gpu.VISIBLE, raising=False)
    monkeypatch.delenv(cuda_driver.LIBRARY_PATH, raising=False)
    if str(folder) not in os.environ["PATH"].split(os.pathsep):
        monkeypatch.setenv("PATH", str(folder), prepend=os.pathsep)
    return devices


def libraries(folder: Path, *names: str, start: bytes = b"\x7fELF\x02") -> Path:
    """Fills the folder with libraries of the driver, and two others."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in (*(names or LIBRARIES), "libnvidia-glcore.so.580", "libz.so.1"):
        (folder / name).write_bytes(start)
    return folder
