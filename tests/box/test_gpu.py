"""A box's share of the GPU, with a tool in the place of `nvidia-smi`: no GPU is needed."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

import numpy as np
import psutil
import pytest
import torch
from toy_exercise import Toy, running

from grader.batch.local import slots
from grader.box import gpu
from grader.box.bubblewrap import Bubblewrap
from grader.box.container import Container
from grader.box.unconfined import Unconfined
from grader.records import Evidence, Limits
from grader.running import _device

LIMITS = running.rubric(memory_mb=1000, gpu_memory_mb=4000).limits
SHARE = "PYTORCH_CUDA_ALLOC_CONF"


@pytest.fixture(autouse=True)
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    driver = tmp_path / "nvidiactl"
    driver.touch()
    monkeypatch.setattr(gpu, "DRIVER", driver)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(16)))
    memory = psutil.virtual_memory()._replace(available=64_000_000_000)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: memory)


def card(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, says: str) -> None:
    tool = tmp_path / "nvidia-smi"
    tool.write_text(f'#!/bin/sh\necho "{says}"\n')
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)


@pytest.mark.parametrize(
    ("free_mb", "boxes"),
    [(80_000, 8), (20_000, 4), (5_000, 1), (100, 1)],
    ids=["cores decide", "memory decides", "one fits", "none fits, and one tries"],
)
def test_as_many_boxes_as_fit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free_mb: int, boxes: int) -> None:
    card(tmp_path, monkeypatch, f"81559, {free_mb}, 7, NVIDIA H100 80GB HBM3")
    assert slots(None, LIMITS) == [frozenset()] * boxes
    assert slots(3, LIMITS) == [frozenset()] * 3


def test_the_machines_own_memory_counts_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    card(tmp_path, monkeypatch, "81559, 80000, 7, NVIDIA H100 80GB HBM3")
    greedy: Limits = dataclasses.replace(LIMITS, memory_mb=20_000)
    assert len(slots(None, greedy)) == 3


@pytest.mark.parametrize("says", ["", "No devices were found", "[N/A], [N/A], [N/A], [N/A]", "1, 2, 3"])
def test_a_card_that_cannot_be_asked_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, says: str) -> None:
    card(tmp_path, monkeypatch, says)
    assert gpu.gpu() is None
    assert gpu.memory_share(LIMITS) == {}
    assert slots(None, LIMITS) == [frozenset({core}) for core in range(16)]


@pytest.mark.parametrize(("workers", "cores"), [(1, [16]), (3, [6, 5, 5]), (16, [1] * 16), (17, [0] * 17)])
def test_workers_divide_the_cores_among_them(monkeypatch: pytest.MonkeyPatch, workers: int, cores: list[int]) -> None:
    monkeypatch.setattr("grader.batch.local.gpu", lambda: None)
    found = slots(workers, LIMITS)
    assert [len(slot) for slot in found] == cores
    assert sum(cores) in {0, len(frozenset().union(*found))}


def test_what_trained_on_a_card_says_which(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    on_card = Evidence({}, {"trained.one/device/cuda": np.ones(1)}, {})
    card(tmp_path, monkeypatch, "81559, 80000, 7, NVIDIA H100 80GB HBM3")
    assert _device(on_card, Toy()) == "cuda (NVIDIA H100 80GB HBM3)"
    card(tmp_path, monkeypatch, "")
    assert _device(on_card, Toy()) == "cuda"
    assert _device(Evidence({}, {}, {}), Toy()) == "cpu"


def test_without_a_driver_nobody_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    card(tmp_path, monkeypatch, "81559, 80000, 7, NVIDIA H100 80GB HBM3")
    monkeypatch.setattr(gpu, "DRIVER", tmp_path / "absent")
    assert gpu.gpu() is None


def test_a_small_card_is_not_shared_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    card(tmp_path, monkeypatch, "4000, 3900, 0, Tesla T4")
    assert gpu.memory_share(LIMITS) == {}


def test_pytorch_reads_the_share(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    card(tmp_path, monkeypatch, "16000, 15000, 0, Tesla T4")
    told = gpu.memory_share(LIMITS)[SHARE]
    assert told == "per_process_memory_fraction:0.250000"
    parse = torch._C._accelerator_setAllocatorSettings  # what reads that variable
    parse(told)
    with pytest.raises(ValueError, match="invalid"):
        parse(told.replace("0.25", "7.25"))


@pytest.mark.parametrize("has_gpu", [True, False])
def test_every_backend_tells_its_box(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, has_gpu: bool) -> None:
    card(tmp_path, monkeypatch, "16000, 15000, 0, Tesla T4")
    contents = {"/box/engine": tmp_path}
    podman = tmp_path / "podman"
    podman.write_text("#!/bin/sh\n")
    podman.chmod(0o755)
    monkeypatch.setenv("VAE_GRADER_IMAGE", "image")
    for backend in (Bubblewrap(), Unconfined(), Container()):
        command = backend.command(contents, LIMITS, gpu=has_gpu)
        in_line = any(argument.startswith(f"{SHARE}=") for argument in command.arguments)
        assert (SHARE in command.environment or in_line) is has_gpu, backend.name
        command.end()
