"""Isolation in a box without namespaces: the resources that a notebook can see, and the result of one that misbehaves.

The same cells as in `test_wall.py`; where less is promised, this says what.
"""

from __future__ import annotations

import json
import os
import socket
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from python_for_all import AS_ROOT, boxes_for_all
from small_exercise import running
from wall_cells import CELLS, MARK, accept

from grader.grading.run import NotebookRun
from grader.records import Status
from grader.sandbox.box_user import FIRST
from grader.sandbox.control_groups import Cgroups

pytestmark = pytest.mark.whole
REPOSITORY = Path(__file__).parents[2]
CROWDED = "all processes of the notebook were ended: there were more than 60 processes"
READ = """
import json, os
def reads(path):
    try:
        return bool(os.listdir(path) if os.path.isdir(path) else open(path).close() or 1)
    except OSError:
        return False
print(json.dumps([path for path in PATHS if reads(path)]))
"""
# What is asked otherwise: there are no interfaces to be asked for; the box has folders of its own, and more in one than
# it may have at any moment would end it (`test_own_user.py`).
OTHERWISE = {
    "[name for _, name in socket.if_nameindex()]": "tried(socket.if_nameindex)",
    "range(40)": "range(9)",
    '"/tmp/large"': 'TEMPORARY + "/large"',
    '("/tmp", "/home/student", "/content", "/dev/shm")': "(TEMPORARY, HOME)",
}


@pytest.fixture(scope="module")
def boxes() -> Iterator[None]:
    with boxes_for_all():
        yield


@pytest.fixture(scope="module")
def looked(boxes: None) -> Iterator[tuple[NotebookRun, list[object]]]:
    """One run of all the cells, and who has connected to a listener of the machine's."""
    callers: list[object] = []
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        tempfile.TemporaryDirectory(dir="/tmp") as folder,
        pytest.MonkeyPatch.context() as patch,
    ):
        threading.Thread(target=accept, args=(server, callers), daemon=True).start()
        Path(folder).chmod(0o755)
        Path(folder, "gradebook.csv").write_text("secret")
        hidden = [folder, f"{folder}/gradebook.csv", Path.home(), "/etc/shadow", "/etc/passwd", REPOSITORY]
        names = (
            "rubric.yaml",
            "reference",
            "grader/exercises/vae_mnist/classifier",
            "grader/grading/verdicts.py",
            "tests",
            ".git",
        )
        hidden += [REPOSITORY / name for name in names]
        patch.setenv("COURSE_TOKEN", "a-secret-of-the-caller")
        words = {"PORT": str(server.getsockname()[1]), "PATHS": repr([str(path) for path in hidden])}
        yield running.run(sources(words), train=False, isolation="user", cell_s=6), callers


def sources(words: dict[str, str]) -> list[str]:
    """The cells, in the box's own folders, and one that reads."""
    cells = []
    for source in [*CELLS.values(), READ]:
        for name, value in {**OTHERWISE, **words}.items():
            source = source.replace(name, value)
        cells.append("import os\nTEMPORARY, HOME = os.environ['TMPDIR'], os.environ['HOME']\n" + source)
    return cells


def answers_of(looked: tuple[NotebookRun, list[object]], cell: str) -> Any:
    number = len(CELLS) if cell == "read" else list(CELLS).index(cell)
    return json.loads(running.own(looked[0], number)[1])


def went(looked: tuple[NotebookRun, list[object]], cell: str) -> tuple[str, str]:
    run, text = running.own(looked[0], list(CELLS).index(cell))
    return run.status, text


def test_there_is_no_network_and_trying_takes_no_time(looked: Any) -> None:
    answers = answers_of(looked, "network")
    for way in ("loopback", "outside", "name", "interfaces"):
        assert answers[way] != "worked"
    assert answers["seconds"] < 2
    assert looked[1] == []


def test_nothing_of_the_grader_or_of_the_person_who_grades_can_be_read(looked: Any) -> None:
    assert answers_of(looked, "read") == []
    assert not answers_of(looked, "sight")["grader"]  # names of files can be asked for


def test_the_environment_holds_nothing_of_the_callers(looked: Any) -> None:
    answers = answers_of(looked, "sight")
    assert "COURSE_TOKEN" not in answers["environment"]
    assert "a-secret-of-the-caller" not in answers["parent_environment"]


def test_the_system_is_read_only(looked: Any) -> None:
    assert answers_of(looked, "power")["writable"] == []


def test_no_capabilities_can_be_gained(looked: Any) -> None:
    answers = answers_of(looked, "power")
    for kind in ("CapInh", "CapPrm", "CapEff", "CapAmb", *(["CapBnd"] if AS_ROOT else [])):
        assert int(answers["status"][kind], 16) == 0
    assert answers["status"]["NoNewPrivs"] == "1"
    ids = set(map(int, answers["status"]["Uid"].split()))
    assert min(ids) >= FIRST if AS_ROOT else ids == {os.getuid()}
    assert answers["user_namespace"] == -1
    assert answers["mount"] == -1


def test_no_descriptor_is_inherited(looked: Any) -> None:
    allowed = ("socket:", "pipe:", "anon_inode:", "/dev/null", tempfile.gettempdir() + "/box-")
    assert [link for link in answers_of(looked, "power")["descriptors"] if not link.startswith(allowed)] == []


def test_a_file_is_bounded(looked: Any) -> None:
    assert not answers_of(looked, "disk")["large"]


@pytest.mark.parametrize("cell", ["one line", "many lines", "many pictures"])
def test_a_flood_of_output_is_cut_off(looked: Any, cell: str) -> None:
    status, text = went(looked, cell)
    assert status == "ok"
    assert len(text) < 600_000


def test_an_endless_cell_is_interrupted_and_the_rest_runs(looked: Any) -> None:
    assert went(looked, "endless")[0] == "timeout"
    assert went(looked, "after endless") == ("ok", "here\n")
    assert went(looked, "stubborn")[0] == "timeout"
    assert went(looked, "after stubborn") == ("ok", "here 1\n")


def test_cells_that_end_the_process_cost_only_themselves(looked: Any) -> None:
    assert [went(looked, cell)[0] for cell in ("ended", "crashed", "system exit", "exit")] == [
        "died",
        "died",
        "error",
        "ok",
    ]
    assert went(looked, "input") == ("ok", "? \nasked ''\n")
    assert went(looked, "last") == ("ok", "here 1\n")


def test_the_components_of_such_a_notebook_are_graded_all_the_same(looked: Any) -> None:
    assert looked[0].execution.status is Status.CELL_ERROR, looked[0].execution.events
    assert {"components.one/function/y", "components.two/function/y"} <= set(looked[0].evidence.answers)


def test_no_process_outlives_the_run(looked: Any) -> None:
    assert went(looked, "daemon")[0] == "ok"
    left = [p.info["cmdline"] for p in psutil.process_iter(["cmdline"]) if MARK in (p.info["cmdline"] or [])]
    assert left == []


@pytest.mark.usefixtures("all_cores")
def test_honest_code_with_workers_shared_memory_and_shells_runs(boxes: None) -> None:
    workers = (
        "import torch, multiprocessing, os\n"
        "class Numbers(torch.utils.data.Dataset):\n    def __len__(self): return 64\n"
        "    def __getitem__(self, n): return torch.full((1000,), float(n))\n"
        "loader = torch.utils.data.DataLoader(Numbers(), batch_size=8, num_workers=2)\n"
        "print(sum(batch.sum().item() for batch in loader))\n"
        "with multiprocessing.get_context('fork').Pool(2) as pool:\n    print(pool.map(abs, [-1, -2]))"
    )
    shell = "!echo $((6 * 7)) > there; cat there"
    run = running.run([workers, shell], train=False, isolation="user", cell_s=40, processes=100)
    assert running.own(run, 0)[1] == "2016000.0\n[1, 2]\n"
    assert running.own(run, 1)[1].strip() == "42"
    assert run.execution.status is Status.OK


def test_a_correct_solution_is_trained_and_its_decoder_asked_in_a_second_box(boxes: None) -> None:
    run = running.run(isolation="user")
    assert run.execution.status is Status.OK
    assert run.evidence.faults == {}


@pytest.mark.parametrize("groups", [True, False], ids=["control groups", "none"])
def test_a_fork_bomb_costs_its_cell_alone(boxes: None, groups: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not groups:
        monkeypatch.setattr(Cgroups, "_make", lambda *_: None)
    bomb = "import os\nwhile True:\n    try:\n        os.fork()\n    except OSError:\n        pass"
    run = running.run([bomb, "print('here')"], train=False, isolation="user", cell_s=100, wall_s=200)
    bombed, _ = running.own(run, 0)
    assert (bombed.status, running.own(run, 1)[1]) == ("died", "here\n")
    assert f"{CROWDED} while cell 3 was running" in run.execution.events
    assert "components.two/function/y" in run.evidence.answers


def test_a_cell_that_ends_every_process_of_its_user_costs_itself(boxes: None) -> None:
    if not AS_ROOT:
        pytest.skip("of the grader's own account, it would end the tests")
    run = running.run(["!kill -9 -1", "print('here')"], train=False, isolation="user")
    assert running.own(run, 0)[0].status == "died"
    assert running.own(run, 1)[1] == "here\n"
