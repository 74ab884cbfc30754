"""The machine's GPUs: which ones boxes may use, their memory, and what a box gets of them.

Only this module decides whether there is a GPU. Each box gets one. The caller's `CUDA_VISIBLE_DEVICES`, set by hand or
by a cluster's scheduler, says which GPUs may be used at all. A GPU that is divided into instances (MIG) counts as that
many GPUs. The output of `nvidia-smi` is read with care: it differs between versions and machines, or never comes.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from grader.records import Limits
from grader.sandbox.cuda_driver import LIBRARY_PATH, find_cuda_driver

DEVICES = Path("/dev")
DRIVER = "nvidiactl"  # exists if NVIDIA's driver is loaded
WSL = "dxg"  # used instead if Linux runs inside Windows
NODES = ("nvidiactl", "nvidia-uvm", "nvidia-uvm-tools")  # of the driver itself; each GPU has one more
INSTANCES = "nvidia-caps"  # the folder of the nodes of instances
OF_DRIVER = Path("/proc/driver/nvidia/gpus")
VISIBLE = "CUDA_VISIBLE_DEVICES"
SHARE = "PYTORCH_CUDA_ALLOC_CONF"
QUERY = (
    "--query-gpu=index,uuid,mig.mode.current,memory.total,memory.free,utilization.gpu,name",
    "--format=csv,noheader,nounits",
)
TOOL_FOLDERS = ("/usr/local/nvidia/bin", "/usr/lib/wsl/lib")  # where `nvidia-smi` may be if it is not on the PATH
ANSWER_S = 20
CONTEXT_MB = 700  # GPU memory of a process for CUDA and its libraries, in addition to PyTorch's tensors
_CARD = re.compile(r"GPU (\d+): .*\(UUID: GPU-")
_INSTANCE = re.compile(r"\s+MIG (\d+c?\.?\d*g\.(\d+)gb\S*)\s+Device\s+(\d+): \(UUID: (MIG-[\w/-]+)\)")
_MIN_MIB_PER_GB = 950  # for each "gb" in the name of an instance: "20gb" has 19,968 MiB, "5gb" has 4,864 MiB


@dataclass(frozen=True, slots=True)
class Gpu:
    """A GPU, or an instance of one, with its memory and utilization."""

    total_mb: int  # MiB, like all of NVIDIA's memory sizes
    free_mb: int  # of an instance: all of it, because nvidia-smi does not report its free memory
    busy_percent: int | None
    name: str
    uuid: str
    index: int
    card: str = ""  # of an instance: the UUID of the GPU that it is part of
    instance: int | None = None

    @property
    def number(self) -> str:
        """The GPU's number as NVIDIA counts: "1", or "1:0" for an instance."""
        return f"{self.index}" if self.instance is None else f"{self.index}:{self.instance}"


@dataclass(frozen=True, slots=True)
class BoxGpu:
    """What a box gets: a GPU's devices, the driver's libraries, and the environment that limits its GPU memory."""

    number: str = ""  # empty if no GPU could be queried
    uuid: str = ""
    devices: tuple[Path, ...] = ()
    libraries: Mapping[str, Path] = field(default_factory=dict)  # path in the box -> file
    environment: Mapping[str, str] = field(default_factory=dict)


def has_driver() -> bool:
    """Whether a driver for GPUs is loaded."""
    return (DEVICES / DRIVER).exists() or is_wsl()


def is_wsl() -> bool:
    """Whether GPUs are reached through Windows."""
    return (DEVICES / WSL).exists() and not (DEVICES / DRIVER).exists()


def boxes_get_gpu() -> bool:
    """Whether boxes get a GPU: there is a driver, and the caller does not hide every GPU."""
    return has_driver() and visible_gpus() != ()


def visible_gpus() -> tuple[str, ...] | None:
    """The GPUs that the caller's `CUDA_VISIBLE_DEVICES` names, each as it is written there; None if it is not set.

    As in CUDA, the list ends at the first entry that names nothing: `-1` or `NoDevFiles` hides all.
    """
    if (value := os.environ.get(VISIBLE)) is None:
        return None
    names: list[str] = []
    for entry in (entry.strip() for entry in value.split(",")):
        if not re.fullmatch(r"\d+|(GPU|MIG)-[\w/-]+", entry):
            break
        names.append(entry)
    return tuple(names)


def gpus() -> tuple[Gpu, ...]:
    """The GPUs that boxes may use, in the caller's order; empty if there are none, or `nvidia-smi` does not answer."""
    if not boxes_get_gpu() or (tool := nvidia_smi()) is None:
        return ()
    rows = [row for line in _output(tool, *QUERY).splitlines() if (row := _row(line)) is not None]
    divided = {row.index for row, mig in rows if mig}
    instances = _instances(_output(tool, "-L"), {row.index: row for row, _ in rows}) if divided else {}
    cards = {row.index: instances.get(row.index, []) if row.index in divided else [row] for row, _ in rows}
    return _selection(cards, visible_gpus())


def gpu() -> Gpu | None:
    """The GPU that boxes of this process get; None if none is known."""
    return next(iter(gpus()), None)


def nvidia_smi() -> str | None:
    """The path of the program `nvidia-smi`; None if it is not installed."""
    return shutil.which("nvidia-smi", path=os.pathsep.join([os.environ.get("PATH", ""), *TOOL_FOLDERS]))


def memory_share(limits: Limits, card: Gpu | None = None) -> dict[str, str]:
    """The environment that limits each PyTorch process's GPU memory; empty if the GPU has less, or is unknown.

    PyTorch's allocator raises its own `OutOfMemoryError` beyond the limit, before it asks the GPU. Code that calls
    CUDA without PyTorch is not limited; if other boxes run out of memory because of it, their runs are repeated
    alone.
    """
    card = card or gpu()
    if card is None or card.total_mb <= limits.gpu_memory_mb:
        return {}
    return {SHARE: f"per_process_memory_fraction:{limits.gpu_memory_mb / card.total_mb:.6f}"}


def box_gpu(limits: Limits) -> BoxGpu:
    """Returns the first GPU that may be used, with everything that a box needs for it.

    The box gets no other GPU, as far as the GPUs can be distinguished.
    """
    card, driver, names = gpu(), find_cuda_driver(), visible_gpus()
    device = names[0] if names else "0"
    if card is not None:
        device = card.number if is_wsl() else card.uuid
    environment = {VISIBLE: device, **(memory_share(limits, card) if card else {})}
    libraries = {} if driver is None else driver.mounts()
    environment |= {} if driver is None else driver.environment()
    number, uuid = (card.number, card.uuid) if card else ("", "")
    return BoxGpu(number, uuid, tuple(_devices(card)), libraries, environment)


def _devices(card: Gpu | None) -> list[Path]:
    """The device nodes of the driver and of the GPU; those of every GPU if the GPU's own is not known."""
    if is_wsl():
        return [DEVICES / WSL]
    minor = None if card is None else _minor(card.card or card.uuid)
    card_nodes = [f"nvidia{minor}"] if minor is not None and (DEVICES / f"nvidia{minor}").exists() else []
    card_nodes = card_nodes or [path.name for path in sorted(DEVICES.glob("nvidia*")) if path.name[6:].isdigit()]
    instances = [INSTANCES] if card is None or card.instance is not None else []
    return [path for name in (*NODES, *card_nodes, *instances) if (path := DEVICES / name).exists()]


def _minor(uuid: str) -> int | None:
    """The number of the GPU's device node; None if the driver does not say."""
    for path in sorted(OF_DRIVER.glob("*/information")):
        try:
            fields = dict(line.split(":", 1) for line in path.read_text(errors="replace").splitlines() if ":" in line)
        except OSError:
            continue
        minor = fields.get("Device Minor", "").strip()
        if fields.get("GPU UUID", "").strip() == uuid and minor.isdigit():
            return int(minor)
    return None


def _output(tool: str, *arguments: str) -> str:
    """The tool's output; empty if it fails or does not answer in time."""
    try:
        result = subprocess.run(
            [tool, *arguments], capture_output=True, text=True, errors="replace", timeout=ANSWER_S, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return result.stdout


def _row(line: str) -> tuple[Gpu, bool] | None:
    """The GPU that a line of the query describes, and whether it is divided; None if the line lacks its memory."""
    fields = [field.strip() for field in line.split(",", 6)]
    if len(fields) < 7:
        return None
    index, uuid, mig, total, free, busy, name = fields
    if not (index.isdigit() and total.isdigit() and free.isdigit() and re.fullmatch(r"GPU-[\w-]+", uuid)):
        return None
    percent = int(busy) if busy.isdigit() else None
    return Gpu(int(total), int(free), percent, name, uuid, int(index)), mig == "Enabled"


def _instances(listing: str, cards: Mapping[int, Gpu]) -> dict[int, list[Gpu]]:
    """The instances of each divided GPU, from the output of `nvidia-smi -L`."""
    instances: dict[int, list[Gpu]] = {}
    index = -1
    for line in listing.splitlines():
        if (card := _CARD.match(line)) is not None:
            index = int(card[1])
        elif (part := _INSTANCE.match(line)) is not None and index in cards:
            whole, memory = cards[index], int(part[2]) * _MIN_MIB_PER_GB
            name = f"{whole.name} MIG {part[1]}"
            instance = Gpu(memory, memory, None, name, part[4], index, whole.uuid, int(part[3]))
            instances.setdefault(index, []).append(instance)
    return instances


def _selection(cards: Mapping[int, Sequence[Gpu]], names: Sequence[str] | None) -> tuple[Gpu, ...]:
    """The GPUs that the caller names, in that order, up to the first unknown name; without names, all GPUs.

    A number means the whole GPU, or the first instance of a divided one; a UUID may be shortened if it stays unique.
    """
    candidates = [candidate for index in sorted(cards) for candidate in cards[index]]
    if names is None:
        return tuple(candidates)
    selection: list[Gpu] = []
    for name in names:
        if name.isdigit():
            index = sorted(cards)[int(name)] if int(name) < len(cards) else -1
            matches = list(cards.get(index, ()))[:1]
        else:
            matches = [candidate for candidate in candidates if candidate.uuid.startswith(name)]
        if len(matches) != 1:
            break
        if matches[0] not in selection:
            selection.append(matches[0])
    return tuple(selection)


def environment_in_place(card: BoxGpu | None) -> dict[str, str]:
    """The environment for a box that sees the machine's own files: the driver's libraries stay in their folder.

    Without a `card`, the machine's GPUs are hidden from the box.
    """
    if card is None:
        return {VISIBLE: ""} if has_driver() else {}
    folders = [str(file.parent) for file in card.libraries.values()]
    return {**card.environment, **({LIBRARY_PATH: folders[0]} if folders else {})}
