"""A box cannot use more cores than its supervisor; ordinary code that requests cores still works."""

from __future__ import annotations

import os

import pytest
from small_box import answer_of

ASKED = {
    "os": "os.sched_setaffinity(0, range(64))",
    "the C library": "word = ctypes.c_uint64(2**64 - 1)\nlibc.sched_setaffinity(0, 8, ctypes.byref(word))",
    "the call's number": (
        "import platform\nnumber = {'x86_64': 203, 'aarch64': 122}[platform.machine()]\n"
        "word = ctypes.c_uint64(2**64 - 1)\nlibc.syscall(number, 0, 8, ctypes.byref(word))"
    ),
    "taskset": (
        "import subprocess\nsubprocess.run(['taskset', '-p', '-c', '0-63', str(os.getpid())],"
        " stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)"
    ),
    "a thread": (
        "import threading\nthread = threading.Thread(target=lambda: os.sched_setaffinity(0, range(64)))\n"
        "thread.start()\nthread.join()"
    ),
    "another of its processes": (
        "child = os.fork()\nif child == 0:\n    os.sched_setaffinity(os.getppid(), range(64))\n    os._exit(0)\n"
        "os.waitpid(child, 0)"
    ),
}
HAS = """
status = open("/proc/self/status").read()
tell([sorted(os.sched_getaffinity(0)), status.split("Cpus_allowed_list:")[1].split()[0]])
"""


@pytest.fixture
def one_core(all_cores: set[int]) -> int:
    """The only core that this process has."""
    if len(all_cores) < 2:
        pytest.skip("this machine has given us one core")
    os.sched_setaffinity(0, {max(all_cores)})
    return max(all_cores)


@pytest.mark.parametrize("way", ASKED)
def test_a_box_cannot_take_cores_beyond_its_own(way: str, one_core: int) -> None:
    assert answer_of(ASKED[way] + HAS) == [[one_core], str(one_core)]


def test_without_the_filter_cores_are_taken(one_core: int) -> None:
    assert len(answer_of(ASKED["os"] + HAS, ("seccomp",))[0]) > 1


def test_requesting_fewer_cores_succeeds_without_effect(all_cores: set[int]) -> None:
    before, after = answer_of(
        "before = sorted(os.sched_getaffinity(0))\nos.sched_setaffinity(0, before[:1])\n"
        "tell([before, sorted(os.sched_getaffinity(0))])"
    )
    assert before == after == sorted(os.sched_getaffinity(0))
