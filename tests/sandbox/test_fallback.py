"""A machine or an account without control groups: the supervisor enforces the limits instead, and reports it."""

from __future__ import annotations

import os

import psutil
import pytest
from small_box import answer_of, run_script
from small_exercise import running

from grader.records import Status
from grader.sandbox import layers, resource_monitor
from grader.sandbox.backend import Command
from grader.sandbox.control_groups import Cgroups
from grader.sandbox.resource_limits import rlimits

FILES = """
for n in range(COUNT):
    with open(f"/dev/shm/{n}", "wb") as stream:
        stream.write(bytes(10_000_000))
time.sleep(1.5)
tell(1)
"""
SHARED = """
import mmap
for n in range(10):
    with open(f"/dev/shm/{n}", "w+b") as stream:
        stream.write(bytes(10_000_000))
        stream.flush()
        kept = globals().setdefault("kept", [])
        kept.append(mmap.mmap(stream.fileno(), 10_000_000))
        kept[-1].write(bytes(10_000_000))
time.sleep(1.5)
tell(1)
"""
MANY = """
for n in range(2000):
    open(f"/tmp/{n}", "w").close()
time.sleep(1.5)
tell(1)
"""


@pytest.fixture(autouse=True)
def no_cgroups(monkeypatch: pytest.MonkeyPatch) -> None:
    """As for an ordinary user on most machines."""
    monkeypatch.setattr(Cgroups, "_make", lambda *_: False)


def test_files_in_memory_are_memory() -> None:
    run = run_script(FILES.replace("COUNT", "25"), memory_mb=200, disk_mb=400)
    assert (run.status, run.event) == (Status.KILLED, "the run was ended: it used more than 200 MB of memory")
    assert run_script(FILES.replace("COUNT", "12"), memory_mb=200, disk_mb=400).status is Status.OK


def test_shared_memory_that_is_a_file_is_counted_once() -> None:
    assert run_script(SHARED, memory_mb=180, disk_mb=400).status is Status.OK


def test_a_great_many_empty_files_are_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource_monitor, "MAX_FILES", 1000)
    run = run_script(MANY)
    assert (run.status, run.event) == (Status.KILLED, "the run was ended: it made more than 1000 files")


def test_the_monitor_skips_dead_processes() -> None:
    watched = resource_monitor.ResourceMonitor(
        0, running.rubric().limits, Command((), {}), counted=False, enforces_limits=True
    )
    gone, there = (psutil.Popen(["sleep", length]) for length in ("0", "60"))
    watched._seen = {process.pid: psutil.Process(process.pid) for process in (gone, there)}
    gone.wait()
    assert watched._first_inside() == there.pid
    there.kill()
    there.wait()


def test_processes_to_kill_are_found_without_measuring_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of hundreds of processes that share much, measuring takes longer than they may go on."""
    monkeypatch.setattr(resource_monitor, "_resident_mb", lambda process: pytest.fail("measured"))
    monkeypatch.setattr(resource_monitor, "_proportional_mb", lambda process: pytest.fail("measured"))
    child = psutil.Popen(["sleep", "60"])
    watched = resource_monitor.ResourceMonitor(
        os.getpid(), running.rubric().limits, Command((), {}), counted=False, enforces_limits=True
    )
    assert child.pid in {process.pid for process in watched.processes_seen()}
    child.kill()
    child.wait()


def test_layers_that_are_missing_are_reported() -> None:
    assert "checked ten times per second" in layers.missing_here()["cgroups"]


def test_a_machine_with_unknown_calls_is_reported_and_still_gets_a_box(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.machine", lambda: "riscv64")
    assert "riscv64" in layers.missing_here()["seccomp"]
    assert run_script("tell(1)").status is Status.OK


def test_limits_of_a_process_are_those_of_the_rubric() -> None:
    limits = rlimits(running.rubric(disk_mb=20, wall_s=60).limits)
    assert (limits["CORE"], limits["FSIZE"]) == (0, 20_000_000)
    assert limits["CPU"] >= 60
    script = "import resource\ntell({n: resource.getrlimit(getattr(resource, f'RLIMIT_{n}')) for n in NAMES})"
    for name, (soft, hard) in answer_of(script.replace("NAMES", repr(list(limits)))).items():
        assert soft == hard
        assert 0 <= hard <= limits[name]  # less where the machine gives less


def test_a_process_that_eats_memory_is_ended_and_the_run_goes_on() -> None:
    run = running.run(["hoard = []\nwhile True:\n    hoard.append(bytearray(10_000_000))"], train=False, memory_mb=400)
    assert "components.two/function/y" in run.evidence.answers
    assert any("more than 400 MB of memory" in event for event in run.execution.events)
