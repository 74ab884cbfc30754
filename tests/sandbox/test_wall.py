"""Isolation in a real box: the resources that a notebook can see, and the result of one that misbehaves."""

from __future__ import annotations

import json
import socket
import threading
from pathlib import Path
from typing import Any

import psutil
import pytest
from small_exercise import running
from wall_cells import CELLS, MARK, accept

from grader.grading.run import NotebookRun
from grader.records import Status
from grader.sandbox.control_groups import Cgroups
from grader.skeleton.exercise.plugin import TwoNumbers

pytestmark = pytest.mark.whole

CROWDED = "all processes of the notebook were ended: there were more than 60 processes"
FORKS = "import os\nwhile True:\n    try:\n        os.fork()\n    except OSError:\n        pass"
SHELLS = "import subprocess\nsubprocess.run(['bash', '-c', 'two() { two | two & }; two; wait; sleep 60'])"
REPOSITORY = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def accepted() -> Any:
    """A listener on the loopback of the machine that grades, and who has connected to it."""
    connections: list[object] = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=accept, args=(server, connections), daemon=True).start()
        yield server.getsockname()[1], connections


@pytest.fixture(scope="module")
def looked(accepted: Any, tmp_path_factory: pytest.TempPathFactory) -> NotebookRun:
    """One run of all the cells above."""
    secret = tmp_path_factory.mktemp("secret") / "gradebook.csv"
    secret.write_text("secret")
    hidden = [
        secret,
        Path.home() / ".bashrc",
        Path.home() / ".ssh",
        REPOSITORY / "rubric.yaml",
        REPOSITORY / "reference",
    ]
    folders = ("grader/exercises/vae_mnist/classifier", "tests", ".git")
    hidden += [*(REPOSITORY / folder for folder in folders), Path("/etc/shadow")]
    sources = [source.replace("PORT", str(accepted[0])) for source in CELLS.values()]
    sources = [source.replace("PATHS", repr([str(path) for path in hidden])) for source in sources]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COURSE_TOKEN", "a-secret-of-the-caller")
        return running.run(sources, train=False, cell_s=6)


def answers_of(notebook_run: NotebookRun, cell: str) -> Any:
    return json.loads(running.own(notebook_run, list(CELLS).index(cell))[1])


def went(notebook_run: NotebookRun, cell: str) -> tuple[str, str]:
    run, text = running.own(notebook_run, list(CELLS).index(cell))
    return run.status, text


def test_there_is_no_network_and_trying_takes_no_time(looked: NotebookRun, accepted: Any) -> None:
    answers = answers_of(looked, "network")
    assert answers["loopback"] != "worked"
    assert answers["outside"] != "worked"
    assert answers["name"] != "worked"
    assert set(answers["interfaces"]) <= {"lo"}
    assert answers["seconds"] < 2
    assert accepted[1] == []


def test_nothing_of_the_grader_or_of_the_person_who_grades_is_visible(looked: NotebookRun) -> None:
    answers = answers_of(looked, "sight")
    assert not answers["grader"]
    assert answers["seen"] == []


def test_the_environment_holds_nothing_of_the_callers(looked: NotebookRun) -> None:
    answers = answers_of(looked, "sight")
    assert "COURSE_TOKEN" not in answers["environment"]
    assert "a-secret-of-the-caller" not in answers["parent_environment"]
    assert answers["environment"]["HOME"] == "/home/student"


def test_no_process_of_the_machine_is_visible(looked: NotebookRun) -> None:
    processes = answers_of(looked, "sight")["processes"]
    assert len(processes) <= 4
    assert not any("pytest" in command for command in processes.values())


def test_the_system_is_read_only(looked: NotebookRun) -> None:
    assert answers_of(looked, "power")["writable"] == []


def test_no_capabilities_can_be_gained(looked: NotebookRun) -> None:
    answers = answers_of(looked, "power")
    for kind in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        assert int(answers["status"][kind], 16) == 0
    assert answers["status"]["NoNewPrivs"] == "1"
    assert answers["status"]["Uid"].split() == ["1000"] * 4
    assert answers["user_namespace"] == -1
    assert answers["mount"] == -1


def test_no_descriptor_is_inherited(looked: NotebookRun) -> None:
    allowed = ("socket:", "pipe:", "anon_inode:", "/dev/null", "/tmp/", "/home/student/")
    assert [link for link in answers_of(looked, "power")["descriptors"] if not link.startswith(allowed)] == []


def test_writable_folders_are_small(looked: NotebookRun) -> None:
    answers = answers_of(looked, "disk")
    assert all(10 <= room <= 20 for room in answers["room"])
    assert not answers["large"]


@pytest.mark.parametrize("cell", ["one line", "many lines", "many pictures"])
def test_a_flood_of_output_is_cut_off(looked: NotebookRun, cell: str) -> None:
    status, text = went(looked, cell)
    assert status == "ok"
    assert len(text) < 600_000
    assert text.endswith("it printed or showed too much]\n")


def test_a_cell_that_prints_on_and_on_is_stopped_before_its_time_is_over(looked: NotebookRun) -> None:
    run, text = running.own(looked, list(CELLS).index("printing on and on"))
    assert run.status == "timeout"
    assert "it had printed more than" in run.error
    assert len(text) < 600_000
    assert went(looked, "after printing") == ("ok", "here\n")


def test_a_huge_error_is_cut_off_and_still_an_error(looked: NotebookRun) -> None:
    status, text = went(looked, "long error")
    assert status == "error"
    assert len(text) < 100_000


def test_an_endless_cell_is_interrupted_and_the_rest_runs(looked: NotebookRun) -> None:
    assert went(looked, "endless")[0] == "timeout"
    assert went(looked, "after endless") == ("ok", "here\n")


def test_a_cell_that_cannot_be_interrupted_costs_the_kernel_but_not_what_came_before(looked: NotebookRun) -> None:
    assert went(looked, "stubborn")[0] == "timeout"
    assert went(looked, "after stubborn") == ("ok", "here 1\n")


def test_cells_that_end_the_process_cost_only_themselves(looked: NotebookRun) -> None:
    assert went(looked, "ended")[0] == "died"
    assert went(looked, "crashed")[0] == "died"
    assert went(looked, "system exit")[0] == "error"
    assert went(looked, "exit")[0] == "ok"
    assert went(looked, "last") == ("ok", "here 1\n")


def test_input_is_answered_with_nothing(looked: NotebookRun) -> None:
    assert went(looked, "input") == ("ok", "? \nasked ''\n")


def test_the_components_of_such_a_notebook_are_graded_all_the_same(looked: NotebookRun) -> None:
    assert looked.execution.status is Status.CELL_ERROR
    assert {"components.one/function/y", "components.two/function/y"} <= set(looked.evidence.answers)


def test_no_process_outlives_the_run(looked: NotebookRun) -> None:
    assert went(looked, "daemon")[0] == "ok"
    left = [p.info["cmdline"] for p in psutil.process_iter(["cmdline"]) if MARK in (p.info["cmdline"] or [])]
    assert left == []


def test_memory_is_bounded_by_the_kernel_where_it_can_be() -> None:
    hog = "hoard = []\nwhile True: hoard.append(bytearray(10_000_000))"
    run = running.run([hog, "print('here')"], train=False, memory_mb=300)
    assert any("more than 300 MB of memory" in event for event in run.execution.events)
    assert run.execution.peak_memory_mb < 400
    if run.execution.status is not Status.KILLED:  # where there are control groups, only the kernel process dies
        assert running.own(run, 1)[1] == "here\n"


@pytest.fixture
def no_cgroups(monkeypatch: pytest.MonkeyPatch) -> None:
    """As for an ordinary user on most machines."""
    monkeypatch.setattr(Cgroups, "_make", lambda *_: None)


@pytest.mark.usefixtures("no_cgroups")
def test_without_control_groups_memory_is_watched_also_where_it_is_shared() -> None:
    hog = "import mmap, time\nhoard = []\nfor _ in range(60):\n    hoard.append(mmap.mmap(-1, 10_000_000))\n"
    hog += "    hoard[-1].write(bytes(10_000_000))\n    time.sleep(0.02)"
    run = running.run([hog], train=False, memory_mb=300)
    assert run.execution.status is Status.CELL_ERROR
    assert "ended the Python process" in run.execution.events[0]
    assert "a process of the notebook was ended: it used more than 300 MB of memory" in run.execution.events[-1]
    assert "components.two/function/y" in run.evidence.answers


@pytest.mark.usefixtures("no_cgroups")
def test_without_control_groups_processes_are_counted_and_their_memory_is_counted_once() -> None:
    fork = "import os, time\nhoard = bytes(100_000_000)\nfor _ in range(COUNT):\n"
    fork += "    try:\n        child = os.fork()\n    except OSError:\n        break\n"
    fork += "    if child == 0:\n        time.sleep(60)\n        os._exit(0)\ntime.sleep(SLEEP)"
    run = running.run([fork.replace("COUNT", "10").replace("SLEEP", "0.6")], train=False, memory_mb=500)
    assert run.execution.status is Status.OK
    run = running.run([fork.replace("COUNT", "90").replace("SLEEP", "50")], train=False, memory_mb=2000, cell_s=40)
    assert f"{CROWDED} while cell 3 was running" in run.execution.events
    assert "components.two/function/y" in run.evidence.answers


@pytest.mark.parametrize("bomb", [FORKS, SHELLS], ids=["forks", "shells"])
@pytest.mark.parametrize("groups", [True, False], ids=["control groups", "none"])
def test_a_fork_bomb_costs_its_cell_alone(bomb: str, groups: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not groups:
        monkeypatch.setattr(Cgroups, "_make", lambda *_: None)
    run = running.run([bomb, "print('here')"], train=False, cell_s=100, wall_s=200)
    bombed, _ = running.own(run, 0)
    assert bombed.status == "died"  # and was not stopped for its time
    assert bombed.seconds < 40  # a second or two on a machine that has nothing else to do
    assert f"{CROWDED} while cell 3 was running" in run.execution.events
    assert running.own(run, 1)[1] == "here\n"
    assert "components.two/function/y" in run.evidence.answers
    assert len([p for p in psutil.Process().children(recursive=True) if p.name() == "python"]) < 5


def test_many_workers_that_wait_are_no_fork_bomb() -> None:
    workers = "import multiprocessing, time\ncontext = multiprocessing.get_context('fork')\n"
    workers += (
        "for _ in range(35):\n    context.Process(target=time.sleep, args=(60,), daemon=True).start()\ntime.sleep(1.5)"
    )
    assert running.run([workers], train=False, cell_s=60, wall_s=100).execution.status is Status.OK


def test_training_that_kills_its_runner_costs_what_it_trains() -> None:
    run = running.run(changed={"train_two": "def train_two(model, steps):\n    os.kill(os.getppid(), 9)"})
    assert run.execution.status is Status.CELL_ERROR
    assert run.execution.events[0].endswith("ended the Python process; the cells after it ran in a new one")
    assert run.execution.events[0].startswith("cell 9 (")
    assert "quality.one/apply/y" in run.evidence.answers
    assert "components.two/function/y" in run.evidence.answers
    assert run.evidence.faults["trained.two/history"].blame == "student"


def test_a_box_that_does_not_start_is_our_fault(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("grader.grading.run.IN_BOX_FOLDER", tmp_path)
    run = running.run()
    assert run.execution.status is Status.BOX_ERROR
    assert {fault.blame for fault in run.evidence.faults.values()} == {"ours"}


def test_a_probe_that_breaks_is_our_fault(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "__init__.py").touch()
    (tmp_path / "probe.py").write_text("import no_such_package")
    monkeypatch.setattr(TwoNumbers, "in_box", tmp_path)
    run = running.run(train=False)
    assert run.execution.status is Status.OK  # nothing is made of what a box says of itself
    assert run.evidence.faults["components.one/function"].blame == "ours"
    assert run.execution.events[0].startswith(
        "the sandbox reports a grader fault: asking components.one failed: ModuleNotFound"
    )
