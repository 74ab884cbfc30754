"""The machine's GPUs and a box's part of them, with a stand-in for `nvidia-smi`: no GPU is needed."""

from __future__ import annotations

import dataclasses
import os
import sys
from pathlib import Path

import numpy as np
import psutil
import pytest
import torch
from made_up_gpus import H100, LIBRARIES, libraries, machine, row
from small_exercise import running

from grader.batch import local
from grader.batch.local import Slot, slots
from grader.doctor import cells
from grader.doctor.boxes import run_box
from grader.doctor.promises import PromiseState, settings
from grader.grading.run import NotebookRun, _device, unused_gpu
from grader.records import Evidence, Execution, Limits, Notebook, Status
from grader.sandbox import gpu
from grader.sandbox.bubblewrap import Bubblewrap, gpu_arguments
from grader.sandbox.container import Container
from grader.sandbox.cuda_driver import CUDA_IN_BOX, LIBRARY_PATH, find_cuda_driver
from grader.sandbox.gpu import VISIBLE, BoxGpu, box_gpu, boxes_get_gpu, gpus
from grader.sandbox.unconfined import Unconfined
from grader.skeleton.exercise.plugin import TwoNumbers

LIMITS = running.rubric(memory_mb=1000, gpu_memory_mb=4000).limits
SHARE = "PYTORCH_CUDA_ALLOC_CONF"
# What `nvidia-smi -L` prints of a whole GPU and of two divided ones, one named as older drivers name instances.
LISTED = f"""GPU 0: {H100} (UUID: GPU-00000000-aaaa)
GPU 1: {H100} (UUID: GPU-10000000-aaaa)
  MIG 3g.40gb     Device  0: (UUID: MIG-c7384736-a75d-5afc-978f-d2f1294409fd)
  MIG 1g.10gb+me  Device  1: (UUID: MIG-a28ad590-3fda-56dd-84fc-0a0b96edc58d)
GPU 2: {H100} (UUID: GPU-20000000-aaaa)
  MIG 1c.3g.20gb Device 0: (UUID: MIG-GPU-20000000-aaaa/1/0)
"""
DIVIDED = [row(0), row(1, mig="Enabled"), row(2, mig="Enabled")]


@pytest.fixture(autouse=True)
def quiet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    machine(tmp_path, monkeypatch)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(16)))
    memory = psutil.virtual_memory()._replace(available=64_000_000_000)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: memory)


def on(slot_gpu: int, count: int) -> list[Slot]:
    return [Slot(gpu=f"GPU-{slot_gpu}0000000-aaaa")] * count


@pytest.mark.parametrize(
    ("free_mb", "boxes"),
    [(80_000, 8), (20_000, 4), (5_000, 1), (100, 1)],
    ids=["cores decide", "memory decides", "one fits", "none fits, and one tries"],
)
def test_as_many_boxes_as_fit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free_mb: int, boxes: int) -> None:
    machine(tmp_path, monkeypatch, [row(0, free=free_mb)])
    assert slots(None, LIMITS) == on(0, boxes)
    assert slots(3, LIMITS) == on(0, 3)


def test_the_machines_own_memory_counts_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    machine(tmp_path, monkeypatch, [row(0)])
    greedy: Limits = dataclasses.replace(LIMITS, memory_mb=20_000)
    assert len(slots(None, greedy)) == 3


@pytest.mark.parametrize(
    ("free", "workers", "each"),
    [
        ((80_000, 80_000), None, (4, 4)),
        ((10_000, 80_000), None, (0, 8)),
        ((10_000, 12_000), None, (2, 2)),
        ((15_000, 5_000, 100), None, (3, 1, 0)),
        ((80_000, 80_000, 80_000), 4, (2, 1, 1)),
        ((100, 200), 3, (2, 1)),
    ],
    ids=["alike", "one is nearly full", "each by its memory", "one is full", "asked for", "asked for too many"],
)
def test_a_class_uses_every_gpu_as_far_as_its_memory_goes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: tuple[int, ...], workers: int | None, each: tuple[int, ...]
) -> None:
    machine(tmp_path, monkeypatch, [row(index, free=mb) for index, mb in enumerate(free)])
    uuids = [slot.gpu for slot in slots(workers, LIMITS)]
    assert tuple(uuids.count(f"GPU-{index}0000000-aaaa") for index in range(len(free))) == each


@pytest.mark.parametrize("own", ["GPU-10000000-aaaa", ""])
def test_a_worker_sees_the_gpu_of_its_slot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, own: str) -> None:
    command = [sys.executable, "-c", f"import os; print(os.environ['{VISIBLE}'])"]
    monkeypatch.setattr(local, "command", lambda _: command)
    monkeypatch.setenv(VISIBLE, "0,1")
    process = local._Worker(Slot(gpu=own), tmp_path / "log")._start()
    assert process.communicate()[0].decode().strip() == (own or "0,1")


def test_the_rows_of_instances_count_by_their_own_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    machine(tmp_path, monkeypatch, DIVIDED, LISTED)
    assert [(one.number, one.total_mb, one.name) for one in gpus()] == [
        ("0", 81559, H100),
        ("1:0", 38000, f"{H100} MIG 3g.40gb"),
        ("1:1", 9500, f"{H100} MIG 1g.10gb+me"),
        ("2:0", 19000, f"{H100} MIG 1c.3g.20gb"),
    ]
    monkeypatch.setenv(VISIBLE, gpus()[2].uuid)
    assert len(slots(None, LIMITS)) == 2


@pytest.mark.parametrize(
    ("devices", "numbers"),
    [
        ("1", ["1:0"]),
        ("2,0", ["2:0", "0"]),
        ("0,9,1", ["0"]),
        ("0,0", ["0"]),
        ("GPU-0", ["0"]),
        ("MIG-a28ad590-3fda-56dd-84fc-0a0b96edc58d, GPU-00000000-aaaa", ["1:1", "0"]),
        ("MIG-GPU-20000000-aaaa/1/0", ["2:0"]),
        ("", []),
        ("-1", []),
        ("0,-1,2", ["0"]),
        ("NoDevFiles", []),
        ("MIG-unknown", []),
    ],
)
def test_only_what_the_caller_names_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, devices: str, numbers: list[str]
) -> None:
    machine(tmp_path, monkeypatch, DIVIDED, LISTED)
    monkeypatch.setenv(VISIBLE, devices)
    assert [one.number for one in gpus()] == numbers
    assert boxes_get_gpu() is (devices not in {"", "-1", "NoDevFiles"})


@pytest.mark.parametrize(
    "says", ["", "No devices were found", "[N/A], [N/A], [N/A], [N/A]", "1, 2, 3", row(0, total="[N/A]"), "\x00\udcff"]
)
def test_a_gpu_that_cannot_be_queried_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, says: str) -> None:
    machine(tmp_path, monkeypatch, [says.encode(errors="replace").decode()])
    assert gpu.gpu() is None
    assert gpu.memory_share(LIMITS) == {}
    assert slots(None, LIMITS) == [Slot(frozenset({core})) for core in range(16)]
    assert box_gpu(LIMITS).environment == {VISIBLE: "0"}


def test_a_tool_that_does_not_answer_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    machine(tmp_path, monkeypatch, [row(0)])
    (tmp_path / "nvidia-smi").write_text("#!/bin/sh\nexec sleep 60\n")
    monkeypatch.setattr(gpu, "ANSWER_S", 0.2)
    assert gpus() == ()


@pytest.mark.parametrize(("workers", "cores"), [(1, [16]), (3, [6, 5, 5]), (16, [1] * 16), (17, [0] * 17)])
def test_workers_divide_the_cores_among_them(workers: int, cores: list[int]) -> None:
    core_sets = [slot.cores for slot in slots(workers, LIMITS)]
    assert [len(slot) for slot in core_sets] == cores
    assert sum(cores) in {0, len(frozenset().union(*core_sets))}


def test_the_report_names_the_gpu_that_trained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    on_card = Evidence({}, {"trained.one/device/cuda": np.ones(1)}, {})
    machine(tmp_path, monkeypatch, [row(0)])
    assert _device(on_card, TwoNumbers()) == f"cuda ({H100})"
    machine(tmp_path, monkeypatch, [])
    assert _device(on_card, TwoNumbers()) == "cuda"
    assert _device(Evidence({}, {}, {}), TwoNumbers()) == "cpu"


class Boxes:
    """A box pool, as far as a remark looks at it."""

    has_gpu = True


def notebook_run(**device: int) -> NotebookRun:
    answers = {f"trained.one/device/{name}": np.array([value]) for name, value in device.items()}
    execution = Execution(Status.OK, 0, 1.0, 1.0, 1.0, "cpu", "bubblewrap")
    return NotebookRun(Evidence({}, answers, {}), Notebook(), execution)


def test_models_on_the_cpu_beside_a_gpu_are_remarked_upon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    machine(tmp_path, monkeypatch, [row(0)])
    (one,) = unused_gpu(notebook_run(cuda=0, usable=1), TwoNumbers(), Boxes())  # type: ignore[arg-type]
    assert one.message == f"This machine has a GPU ({H100}), but the notebook's models were on the CPU."
    (ours,) = unused_gpu(notebook_run(cuda=0, usable=0), TwoNumbers(), Boxes())  # type: ignore[arg-type]
    assert "the sandbox could not use it: this is a problem of this machine, not of the notebook" in ours.message
    assert not one.needs_person
    assert not ours.needs_person


def test_nothing_is_remarked_where_there_is_no_gpu_or_it_was_used_or_nothing_trained(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert unused_gpu(notebook_run(cuda=1, usable=1), TwoNumbers(), Boxes()) == ()  # type: ignore[arg-type]
    assert unused_gpu(notebook_run(), TwoNumbers(), Boxes()) == ()  # type: ignore[arg-type]
    monkeypatch.setattr(Boxes, "has_gpu", False)
    assert unused_gpu(notebook_run(cuda=0, usable=0), TwoNumbers(), Boxes()) == ()  # type: ignore[arg-type]


def test_without_a_driver_nvidia_smi_is_not_called(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    devices = machine(tmp_path, monkeypatch, [row(0)])
    (devices / "nvidiactl").unlink()
    assert gpus() == ()
    assert not boxes_get_gpu()


def test_inside_windows_the_gpu_is_its_own_device_and_has_a_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    devices = machine(tmp_path, monkeypatch, [row(0)])
    (devices / "nvidiactl").unlink()
    (devices / "dxg").touch()
    assert boxes_get_gpu()
    assert box_gpu(LIMITS).devices == (devices / "dxg",)
    assert box_gpu(LIMITS).environment[VISIBLE] == "0"


def test_a_small_card_is_not_shared_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    machine(tmp_path, monkeypatch, [row(0, 4000, 3900, "Tesla T4")])
    assert gpu.memory_share(LIMITS) == {}


def test_pytorch_reads_the_share(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    machine(tmp_path, monkeypatch, [row(0, 16000, 15000, "Tesla T4")])
    setting = gpu.memory_share(LIMITS)[SHARE]
    assert setting == "per_process_memory_fraction:0.250000"
    parse = torch._C._accelerator_setAllocatorSettings  # what reads that variable
    parse(setting)
    with pytest.raises(ValueError, match="invalid"):
        parse(setting.replace("0.25", "7.25"))


def names(card: BoxGpu) -> list[str]:
    return [path.name for path in card.devices]


def test_a_box_gets_the_nodes_of_one_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nodes = ("nvidiactl", "nvidia-uvm", "nvidia-uvm-tools", "nvidia-caps", "nvidia-nvswitch0", "nvidia-modeset")
    machine(tmp_path, monkeypatch, DIVIDED, LISTED, nodes=nodes)
    driver = ["nvidiactl", "nvidia-uvm", "nvidia-uvm-tools"]
    assert names(box_gpu(LIMITS)) == [*driver, "nvidia7"]
    monkeypatch.setenv(VISIBLE, "1")
    assert names(box_gpu(LIMITS)) == [*driver, "nvidia8", "nvidia-caps"]
    assert box_gpu(LIMITS).environment[VISIBLE] == "MIG-c7384736-a75d-5afc-978f-d2f1294409fd"


def test_without_the_drivers_word_a_box_gets_every_node_and_sees_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine(tmp_path, monkeypatch, [row(0), row(1)])
    monkeypatch.setattr(gpu, "OF_DRIVER", tmp_path / "absent")
    monkeypatch.setenv(VISIBLE, "1")
    card = box_gpu(LIMITS)
    assert names(card) == ["nvidiactl", "nvidia-uvm", "nvidia7", "nvidia8"]
    assert card.environment[VISIBLE] == "GPU-10000000-aaaa"


@pytest.fixture
def podman(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = tmp_path / "podman"
    engine.write_text("#!/bin/sh\n")
    engine.chmod(0o755)
    monkeypatch.setenv("VAE_GRADER_IMAGE", "image")


@pytest.mark.usefixtures("podman")
@pytest.mark.parametrize("has_gpu", [True, False])
def test_every_backend_tells_its_box(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, has_gpu: bool) -> None:
    machine(tmp_path, monkeypatch, [row(0, 16000, 15000, "Tesla T4"), row(1)])
    libraries(tmp_path / "known")
    contents = {"/box/engine": tmp_path}
    for backend in (Bubblewrap(), Unconfined(), Container()):
        command = backend.command(contents, LIMITS, gpu=has_gpu)
        variables = {**dict(a.split("=", 1) for a in command.arguments if "=" in a), **command.environment}
        assert (SHARE in variables) is has_gpu, backend.name
        shown = "GPU-00000000-aaaa" if has_gpu else "" if backend.name == "none" else None
        assert variables.get(VISIBLE) == shown, backend.name
        folder = str(tmp_path / "known") if backend.name == "none" else CUDA_IN_BOX
        assert variables.get(LIBRARY_PATH) == (folder if has_gpu else None), backend.name
        command.end()


def bound(command: list[str], flag: str) -> dict[str, str]:
    """Place in the box -> what is outside."""
    return {command[at + 2]: command[at + 1] for at, word in enumerate(command) if word == flag}


def test_a_box_has_the_drivers_libraries_and_nothing_else_of_their_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine(tmp_path, monkeypatch, [row(0)])
    known = libraries(tmp_path / "known")
    command = Bubblewrap().command({"/box/engine": tmp_path}, LIMITS, gpu=True)
    bindings = bound(list(command.arguments), "--ro-bind")
    mounted = {inside: outside for inside, outside in bindings.items() if CUDA_IN_BOX in inside}
    assert mounted == {f"{CUDA_IN_BOX}/{name}": str(known / name) for name in LIBRARIES}
    assert str(tmp_path / "dev" / "nvidia7") in bound(list(command.arguments), "--dev-bind")
    command.end()


def test_nothing_is_mounted_where_the_system_already_is() -> None:
    """`/usr/local/cuda` is a link on most machines, and bubblewrap mounts nothing on a link."""
    places = bound(gpu_arguments(box_gpu(LIMITS)), "--ro-bind-try")
    assert [place for place in places if place.startswith("/usr")] == []


@pytest.mark.parametrize(("engine", "asked"), [("podman", "nvidia.com/gpu=1:1"), ("docker", "device=MIG-a28ad590")])
def test_a_container_has_one_gpu_and_the_same_libraries(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, engine: str, asked: str
) -> None:
    (tmp_path / engine).write_text("#!/bin/sh\n")
    (tmp_path / engine).chmod(0o755)
    monkeypatch.setenv("VAE_GRADER_IMAGE", "image")
    machine(tmp_path, monkeypatch, DIVIDED, LISTED)
    libraries(tmp_path / "known")
    monkeypatch.setenv(VISIBLE, "MIG-a28ad590-3fda-56dd-84fc-0a0b96edc58d")
    command = Container().command({"/box/engine": tmp_path}, LIMITS, gpu=True)
    assert any(word.startswith(asked) for word in command.arguments)
    assert any(word.endswith(f"destination={CUDA_IN_BOX}/libcuda.so.1,readonly") for word in command.arguments)
    command.end()


def test_libraries_named_by_the_caller_come_before_those_of_the_loader(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert find_cuda_driver() is None
    known = libraries(tmp_path / "known")
    assert (driver := find_cuda_driver()) is not None
    assert driver.folder == known
    cached = libraries(tmp_path / "cached")
    old = libraries(tmp_path / "lib32", start=b"\x7fELF\x01")
    lines = [f"\t{name} (libc6) => {folder}/{name}" for folder in (old, cached) for name in LIBRARIES]
    (tmp_path / "cache").write_text("\n".join(["2 libs found in cache `/etc/ld.so.cache'", *lines]))
    assert (driver := find_cuda_driver()) is not None
    assert driver.folder == cached
    named = libraries(tmp_path / "named")
    monkeypatch.setenv(LIBRARY_PATH, f"relative:{old}:{tmp_path / 'absent'}:{named}")
    assert (driver := find_cuda_driver()) is not None
    assert driver.folder == named
    assert [path.name for path in driver.files] == sorted(LIBRARIES)
    assert driver.environment() == {LIBRARY_PATH: CUDA_IN_BOX}


def test_libraries_that_the_loader_finds_in_the_system_are_not_mounted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cached = libraries(tmp_path / "cached")
    (tmp_path / "cache").write_text(f"\tlibcuda.so.1 (libc6,x86-64) => {cached}/libcuda.so.1\n")
    monkeypatch.setattr("grader.sandbox.cuda_driver.SYSTEM", (f"{tmp_path}/",))
    assert (driver := find_cuda_driver()) is not None
    assert (driver.mounts(), driver.environment()) == ({}, {})


def test_a_loader_that_does_not_answer_finds_no_driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "ldconfig").write_text("#!/bin/sh\nexec sleep 60\n")
    monkeypatch.setattr("grader.sandbox.cuda_driver.LDCONFIG_S", 0.2)
    assert find_cuda_driver() is None


def test_a_box_loads_a_library_that_only_the_caller_knew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    machine(tmp_path, monkeypatch, [])
    named = tmp_path / "named"
    named.mkdir()
    real = next(path for path in Path("/usr/lib").rglob("libz.so.1") if path.exists())
    (named / "libcuda.so.1").write_bytes(real.read_bytes())  # any library will do
    (named / "libcuda.so.1").chmod(0o644)
    monkeypatch.setenv(LIBRARY_PATH, str(named))
    monkeypatch.setattr(gpu, "_devices", lambda _: [])
    source = (
        "import ctypes, json, os\nctypes.CDLL('libcuda.so.1')\nprint(json.dumps({'seen': os.listdir('/box/cuda')}))"
    )
    box = run_box(Bubblewrap(), {"look": source}, gpu=True)
    assert box.cells["look"].answers == {"seen": ["libcuda.so.1"]}, box.result


def test_a_box_with_a_gpu_names_its_threads_and_opens_no_setting_of_the_kernel(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine(tmp_path, monkeypatch, [])
    monkeypatch.setattr(gpu, "_devices", lambda _: [])
    name = """
import json, os, threading
told, over = {}, threading.Event()
other = threading.Thread(target=over.wait)
other.start()
path = f"/proc/self/task/{other.native_id}/comm"
with open(path, "w") as stream:
    stream.write("cuda00001")
print(json.dumps({"name": open(path).read().strip()}))
over.set()
"""
    box = run_box(Bubblewrap(), {"name": name, "powers": cells.first_box({}, gpu=True)["powers"]}, gpu=True)
    assert box.cells["name"].answers == {"name": "cuda00001"}
    assert [one.state for one in settings(box.cells["powers"].answers)] == [PromiseState.HOLDS]
