"""The doctor on GPUs: every reason why a box computes on the CPU, and the test cell in a real box."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from grader.doctor import cells, gpu
from grader.doctor.boxes import run_box
from grader.doctor.gpu import Outside
from grader.doctor.promises import PromiseState
from grader.sandbox.bubblewrap import Bubblewrap

THERE = Outside(1, True, False, (), "/usr/lib/x86_64-linux-gnu", 1)
WORKS = {"init": 0, "driver": 13000, "torch": "2.15.0+cu132", "cuda": "13.2", "count": 1, "name": "H100", "error": ""}
WORKS |= {"right": True}
FAILS = {key: value for key, value in WORKS.items() if key != "right"} | {"name": "", "error": "RuntimeError: no"}


def test_a_correct_product_names_the_device() -> None:
    promise = gpu.promise(THERE, WORKS)
    assert (promise.state, promise.found) == (PromiseState.HOLDS, "H100, CUDA 13.2: a matrix product is correct")
    many = gpu.promise(replace(THERE, usable=4), WORKS)
    assert many.found.endswith("; 4 GPUs available, one per box")


@pytest.mark.parametrize(
    ("machine", "answers", "says", "state"),
    [
        (Outside(0, False, False, (), "", 0), {}, "no NVIDIA device found", PromiseState.HOLDS),
        (replace(THERE, hidden=True), {}, "names no GPU", PromiseState.HOLDS),
        (
            Outside(2, False, False, (), "", 0),
            {},
            "2 found, but no driver is loaded",
            PromiseState.WEAK,
        ),
        (THERE, {}, "did not answer", PromiseState.WEAK),
        (
            THERE,
            FAILS | {"cuda": "", "torch": "2.15.0+cpu"},
            "PyTorch 2.15.0+cpu is a CPU build",
            PromiseState.WEAK,
        ),
        (
            replace(THERE, library=""),
            FAILS | {"init": None},
            "libcuda.so.1 is neither in LD_LIBRARY_PATH",
            PromiseState.WEAK,
        ),
        (THERE, FAILS | {"init": None, "library": "no symbol x"}, "does not load: no symbol x", PromiseState.WEAK),
        (
            replace(THERE, missing=("/dev/nvidia-uvm",)),
            FAILS | {"init": 999},
            "missing: /dev/nvidia-uvm",
            PromiseState.WEAK,
        ),
        (
            THERE,
            FAILS | {"driver": 12040},
            "the driver supports CUDA up to 12.4, PyTorch 2.15.0+cu132",
            PromiseState.WEAK,
        ),
        (THERE, FAILS | {"init": 803}, "have different versions", PromiseState.WEAK),
        (THERE, FAILS | {"init": 100}, "finds no GPU that it may use", PromiseState.WEAK),
        (THERE, FAILS | {"init": 34}, "CUDA's stub", PromiseState.WEAK),
        (THERE, FAILS | {"init": 46}, "cuInit says 46", PromiseState.WEAK),
        (
            THERE,
            FAILS | {"error": "no kernel image is available", "name": "K80"},
            "has no code for K80",
            PromiseState.WEAK,
        ),
        (THERE, FAILS | {"error": "OutOfMemoryError: CUDA out of memory"}, "its memory is full", PromiseState.WEAK),
        (THERE, WORKS | {"right": False}, "a matrix product is wrong", PromiseState.WEAK),
        (THERE, FAILS, "RuntimeError: no", PromiseState.WEAK),
        (THERE, FAILS | {"error": "", "cuda": "\x1b[31m13"}, "PyTorch does not find the GPU", PromiseState.WEAK),
        (THERE, dict.fromkeys(WORKS, "x" * 10_000), "x", PromiseState.WEAK),
    ],
)
def test_each_reason_is_reported_with_what_to_do(
    machine: Outside, answers: dict[str, object], says: str, state: PromiseState
) -> None:
    promise = gpu.promise(machine, answers)
    assert says in promise.found
    assert promise.state is state
    assert bool(promise.fix) is (state is PromiseState.WEAK)
    assert len(promise.found) < 600
    assert "\x1b" not in promise.found + promise.fix


def test_gpus_on_the_bus_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, vendor, kind in (("a", "0x10de", "0x030200"), ("b", "0x10de", "0x040300"), ("c", "0x8086", "0x030000")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "vendor").write_text(vendor + "\n")
        (tmp_path / name / "class").write_text(kind + "\n")
    (tmp_path / "d").mkdir()
    monkeypatch.setattr(gpu, "BUS", tmp_path)
    assert gpu._on_bus() == 1


def test_the_cell_answers_in_a_box_that_has_no_gpu() -> None:
    cell = cells.first_box({}, gpu=True)["gpu"]
    answers = run_box(Bubblewrap(), {"gpu": cell}).cells["gpu"].answers
    assert set(answers) >= {"init", "driver", "torch", "cuda", "error"}
    assert "right" not in answers
    promise = gpu.promise(THERE, answers)
    assert promise.state is PromiseState.WEAK
    assert promise.found.startswith("the box cannot use the GPU, so notebooks run on the CPU: ")
