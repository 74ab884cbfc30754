"""A box leaves nothing behind, however it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from small_box import run_script

from grader.errors import BoxError
from grader.records import Status
from grader.sandbox import control_groups
from grader.sandbox.control_groups import PREFIX, Cgroups
from grader.sandbox.unconfined import Unconfined

HERE = Path(__file__).parent
SUPERVISOR = f"""
import sys
sys.path[:0] = [{str(HERE)!r}, {str(HERE.parent)!r}, {str(HERE.parents[1])!r}]
from small_box import run_script
child = "if os.fork() == 0:\\n    os.setsid()\\n    os.execv('/bin/sleep', ['MARK', '77'])\\n"
run_script("tell(1)\\n" + child + "time.sleep(77)")
"""


def groups(supervisor: int) -> list[Path]:
    """The control groups that a supervisor has made."""
    folders = [Path(parent, name) for parent, names, _ in os.walk(control_groups.ROOT) for name in names]
    return [folder for folder in folders if folder.name.startswith(f"{PREFIX}-{supervisor}-")]


def running(mark: str) -> list[int]:
    """The processes with this mark in their command line."""
    return [p.pid for p in psutil.process_iter(["cmdline"]) if mark in (p.info["cmdline"] or [])]


def soon(true: Callable[[], object]) -> None:
    """Waits until the function returns something true, at most 20 seconds."""
    deadline = time.monotonic() + 20
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.fixture
def own_tmp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder in which the grader's own temporary files are made."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize(
    ("script", "status"),
    [
        ("tell(1)", Status.OK),
        ("os.kill(os.getpid(), 9)", Status.KILLED),
        ("tell(1)\nwhile True: time.sleep(1)", Status.TIMEOUT),
        ("os.write(1, b'nonsense' * 99)\ntime.sleep(30)", Status.KILLED),
    ],
)
def test_no_file_group_process_or_descriptor_is_left_of_a_box(script: str, status: Status, own_tmp: Path) -> None:
    mark, descriptors = f"nothing-left-{os.getpid()}", psutil.Process().num_fds()
    child = f"open('/tmp/{mark}', 'w').close()\nif os.fork() == 0:\n    os.setsid()\n"
    child += f"    os.execv('/bin/sleep', ['{mark}', '77'])\n"
    assert run_script(child + script, wall_s=3).status is status
    assert list(own_tmp.iterdir()) == []
    assert not Path("/tmp", mark).exists()
    assert groups(os.getpid()) == []
    assert running(mark) == []
    assert psutil.Process().num_fds() <= descriptors


def test_a_box_whose_supervisor_is_killed_dies_with_it_and_the_next_supervisor_tidies_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    mark = "child-of-a-killed-supervisor"
    supervisor = subprocess.Popen([sys.executable, "-c", SUPERVISOR.replace("MARK", mark)])
    soon(lambda: running(mark))
    supervisor.send_signal(signal.SIGKILL)
    supervisor.wait()
    soon(lambda: not running(mark))
    monkeypatch.setattr(control_groups, "LEFT_BEHIND_S", 0)
    soon(lambda: Cgroups(64, 64).remove() or not groups(supervisor.pid))


def test_a_run_without_isolation_leaves_no_folder_and_no_child(own_tmp: Path) -> None:
    mark = "child-of-an-unconfined-run"
    child = f"if os.fork() == 0:\n    os.setsid()\n    os.execv('/bin/sleep', ['{mark}', '77'])\ntime.sleep(1)\ntell(1)"
    assert run_script(child, backend=Unconfined()).status is Status.OK
    assert list(own_tmp.iterdir()) == []
    assert running(mark) == []


def test_a_box_that_cannot_be_started_leaves_no_group(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/no/such/python")
    with pytest.raises(BoxError, match=r"^the sandbox could not be started: "):
        run_script("tell(1)", backend=Unconfined())
    assert groups(os.getpid()) == []
