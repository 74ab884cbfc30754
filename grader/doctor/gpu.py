"""Tests with a small matrix product whether a real box can compute on the machine's GPU; if not, finds the reason.

The result combines the box's output with what the machine shows outside: cards, the driver's nodes and its libraries.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from grader.doctor.promises import Promise, PromiseState
from grader.report.text import plain
from grader.sandbox.cuda_driver import FOLDERS, LIBRARY, LIBRARY_PATH, find_cuda_driver
from grader.sandbox.gpu import DEVICES, VISIBLE, boxes_get_gpu, gpus, has_driver, is_wsl

TITLE = "GPU"
BUS = Path("/sys/bus/pci/devices")
NVIDIA, DISPLAYS = (
    "0x10de",
    ("0x0300", "0x0302"),
)  # the vendor; device classes: display controllers with and without a screen
NODES = ("nvidiactl", "nvidia-uvm")
NOTHING = "notebooks run on the CPU"
_MAKE_NODES = "as root: `nvidia-modprobe -u -c 0`, or run `nvidia-smi` once; in a container, start it with its GPUs"
_REFUSED = "if `nvidia-smi` works outside, report this line; --isolation container may work"
# Return values of cuInit, from the documentation of CUDA's driver API.
_REFUSALS = {
    34: ("the library is CUDA's stub, not the driver's", f"remove the stubs' folder from {LIBRARY_PATH}"),
    100: ("the driver finds no GPU that it may use", f"check {VISIBLE} and the permissions of /dev/nvidia*"),
    304: ("the box hides something that the driver needs, such as /sys", _REFUSED),
    803: ("the driver's library and kernel module have different versions", "restart the machine after the update"),
    804: ("this GPU does not support CUDA's forward compatibility", "remove `cuda-compat`, or update the driver"),
    999: ("the driver does not start", f"check that /dev/nvidia-uvm exists; {_MAKE_NODES}"),
}

# Integers below 2**11, so that every way of multiplying gives exactly the same result.
CELL = """
import ctypes
report = {"init": None, "driver": 0}
try:
    cuda = ctypes.CDLL("libcuda.so.1")
    version = ctypes.c_int(0)
    report["init"] = cuda.cuInit(0)
    cuda.cuDriverGetVersion(ctypes.byref(version))
    report["driver"] = version.value
except (OSError, AttributeError) as error:
    report["library"] = str(error)
import torch
report |= {"torch": torch.__version__, "cuda": torch.version.cuda or "", "count": 0, "name": "", "error": ""}
try:
    if report["cuda"]:
        torch.cuda.init()
        report["count"] = torch.cuda.device_count()
        report["name"] = torch.cuda.get_device_name(0)
        left = (torch.arange(128 * 128) % 4).reshape(128, 128).float()
        product = (left.cuda() @ left.T.cuda()).cpu()
        report["right"] = bool(torch.equal(product, left @ left.T))
except Exception as error:
    report["error"] = f"{type(error).__name__}: {error}"
print(json.dumps(report))
"""


@dataclass(frozen=True, slots=True)
class Outside:
    """What this machine shows about its GPUs outside a box."""

    cards: int  # on its bus, with or without a driver
    driver: bool
    hidden: bool  # by the caller's environment
    missing: tuple[str, ...]  # of the driver's nodes
    library: str  # the folder of the driver's library; empty if not found
    usable: int  # GPUs or MIG instances that boxes may use; 0 if unknown


def outside() -> Outside:
    """Returns what this machine shows about its GPUs now."""
    library = find_cuda_driver()
    nodes = () if is_wsl() else NODES
    missing = tuple(f"/dev/{name}" for name in nodes if not (DEVICES / name).exists())
    if nodes and not any(path.name[6:].isdigit() for path in DEVICES.glob("nvidia*")):
        missing += ("/dev/nvidia0",)
    hidden = has_driver() and not boxes_get_gpu()
    return Outside(_on_bus(), has_driver(), hidden, missing, str(library.folder) if library else "", len(gpus()))


def promise(machine: Outside, answers: Mapping[str, Any]) -> Promise:
    """The GPU that a box computed on, or why notebooks run on the CPU; `answers` is what the cell printed."""
    if machine.hidden:
        names_none = f"{VISIBLE}={os.environ.get(VISIBLE, '')!r} names no GPU, so {NOTHING}"
        return Promise(TITLE, PromiseState.HOLDS, names_none)
    if not machine.driver and not machine.cards:
        return Promise(TITLE, PromiseState.HOLDS, f"no NVIDIA device found, so {NOTHING}")
    if not machine.driver:
        unused = f"{machine.cards} found, but no driver is loaded (no /dev/nvidiactl), so {NOTHING}"
        return Promise(
            TITLE, PromiseState.WEAK, unused, "install NVIDIA's driver, so that `nvidia-smi` works; or grade on the CPU"
        )
    if answers.get("right") is True:
        name, cuda = plain(str(answers.get("name")), 60), plain(str(answers.get("cuda")), 20)
        device = f"{name}, CUDA {cuda}: a matrix product is correct"
        others = f"; {machine.usable} GPUs available, one per box" if machine.usable > 1 else ""
        return Promise(TITLE, PromiseState.HOLDS, device + others)
    why, fix = _why_not(machine, answers)
    return Promise(TITLE, PromiseState.WEAK, f"the box cannot use the GPU, so {NOTHING}: {why}", fix)


def _why_not(machine: Outside, answers: Mapping[str, Any]) -> tuple[str, str]:
    """The first reason that applies, and what to do about it."""
    torch, cuda = plain(str(answers.get("torch")), 30), plain(str(answers.get("cuda")), 20)
    init, driver = answers.get("init"), answers.get("driver")
    error, name = plain(str(answers.get("error")), 200), plain(str(answers.get("name")), 60)
    if not answers:
        return "the test cell did not answer", "run the doctor again; if the result is the same, report this line"
    if not answers.get("cuda"):
        return f"PyTorch {torch} is a CPU build", "install a build of PyTorch with CUDA"
    if not machine.library:
        places = f"{LIBRARY} is neither in {LIBRARY_PATH}, nor known to `ldconfig -p`, nor in {', '.join(FOLDERS)}"
        return places, f"install the driver's libraries, or name their folder in {LIBRARY_PATH}"
    if init is None:
        return f"{LIBRARY} of {machine.library} does not load: {plain(str(answers.get('library')), 150)}", _REPORT
    if machine.missing:
        return f"missing: {', '.join(machine.missing)}", _MAKE_NODES
    if isinstance(driver, int) and 0 < driver < _number(cuda):
        most = f"{driver // 1000}.{driver % 1000 // 10}"
        versions = f"the driver supports CUDA up to {most}, PyTorch {torch} needs CUDA {cuda}"
        if driver // 1000 < _number(cuda) // 1000 or "too old" in error:
            return versions, "update NVIDIA's driver, or install a PyTorch for an older CUDA"
    if init in _REFUSALS:
        return _REFUSALS[init][0], _REFUSALS[init][1]
    if init:
        return f"the driver does not start (cuInit says {plain(str(init), 20)})", "make `nvidia-smi` work outside first"
    if "no kernel image" in error:
        return f"PyTorch {torch} has no code for {name}", "install a PyTorch for this GPU"
    if "out of memory" in error.lower():
        return "its memory is full", "end other programs that use the GPU, or name another GPU in " + VISIBLE
    if answers.get("right") is False:
        return "a matrix product is wrong", "do not use this GPU: hide it with " + f'{VISIBLE}=""'
    return error or "PyTorch does not find the GPU", _REPORT


_REPORT = "make `nvidia-smi` work outside; if it does, report this line"


def _number(cuda: str) -> int:
    """CUDA's version as its driver counts it: 12040 for "12.4"; 0 for anything else."""
    major, _, minor = cuda.partition(".")
    return int(major) * 1000 + int(minor) * 10 if major.isdigit() and minor.isdigit() else 0


def _on_bus() -> int:
    """The number of NVIDIA GPUs on the bus."""
    count = 0
    for device in BUS.glob("*"):
        try:
            vendor, kind = ((device / name).read_text().strip() for name in ("vendor", "class"))
        except OSError:
            continue
        count += vendor == NVIDIA and kind.startswith(DISPLAYS)
    return count
