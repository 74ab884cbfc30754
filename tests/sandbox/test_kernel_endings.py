"""Cells that end, restart or empty the Python process: the right one is reported, and the others keep their points."""

from __future__ import annotations

import pytest
from small_exercise import running

from grader.grading.run import NotebookRun
from grader.records import Status

pytestmark = pytest.mark.whole

ASKED = ["components.one/function/y", "components.two/function/y"]
KEPT = "asked to end or restart the Python process; the cells after it ran in the same one"
CLEARED = "asked to delete all variables, which were kept"
ENDED = "ended the Python process; the cells after it ran in a new one"
PATIENT = {"cell_s": 30, "wall_s": 200, "replay_s": 5, "kernel_restarts": 8}
UNDONE = """
import math
shell = get_ipython()
shell.unobserve_all('exit_now')
shell.observe(shell._update_exit_now, 'exit_now')
shell.kernel.do_shutdown(restart=True)
"""


def remarks(run: NotebookRun) -> list[tuple[int, str]]:
    """The numbers of the student's own cells that something is reported about, and what."""
    first = next(n for n, cell in enumerate(run.notebook["cells"]) if cell["id"] == "own-0")
    events = [event.removeprefix("cell ").split(" (", 1) for event in run.execution.events]
    return [(int(number) - 1 - first, rest.rsplit(") ", 1)[1]) for number, rest in events]


def test_a_requested_restart_is_reported_and_not_carried_out() -> None:
    cells = [
        "import math\nx = 5",
        "!pip install -q not-there\nimport json\nget_ipython().kernel.do_shutdown(restart=True)\ny = 6",
        "import IPython\nIPython.Application.instance().kernel.do_shutdown(True)",
        "k = get_ipython().kernel\ntype(k).do_shutdown(k, False)",
        "exit()",
        "quit",
        "%reset -f",
        "get_ipython().run_line_magic('reset', '-sf')",
        "get_ipython().reset(new_session=False)",
        "get_ipython().kernel.shell.exit_now = True",
        "print(x, y, math.pi > 3, json.dumps(x))",
    ]
    run = running.run(cells, train=False, **PATIENT)
    assert running.own(run, 10)[1] == "5 6 True 5\n"
    assert remarks(run) == [(n, CLEARED if n in (6, 7, 8) else KEPT) for n in range(1, 10)]
    assert sorted(run.evidence.answers) == ASKED


@pytest.mark.parametrize(
    "ends",
    [
        "os.kill(os.getpid(), 9)",
        pytest.param("import json; os._exit(00)", marks=pytest.mark.long),
        pytest.param("import ctypes\nctypes.string_at(0)", marks=pytest.mark.long),
        pytest.param("!kill -9 {os.getpid()}", marks=pytest.mark.long),
    ],
)
def test_of_a_cell_that_ends_the_process_only_the_definitions_are_replayed(ends: str) -> None:
    fatal = f"import os, math\nN = 3\ndef f():\n    return N\nopen('runs', 'a').write('.')\n{ends}"
    run = running.run(["x = 5", fatal, "print(x, f(), math.pi > 3, open('runs').read())"], train=False, **PATIENT)
    assert remarks(run) == [(1, ENDED)]
    assert running.own(run, 2)[1] == "5 3 True ..\n"  # a second time, alone, to be sure that it is this one
    assert sorted(run.evidence.answers) == ASKED


@pytest.mark.parametrize(
    "ends",
    [
        "!kill -9 -1",
        "import os; os.kill(os.getppid(), 15)",
        pytest.param("os.system('killall -9 python3 python || pkill -9 python')", marks=pytest.mark.long),
        pytest.param("[os.kill(int(n), 9) for n in os.listdir('/proc') if '1' < n < 'a']", marks=pytest.mark.long),
    ],
)
def test_a_cell_that_ends_every_process_of_the_box_costs_no_more(ends: str) -> None:
    fatal = f"import os, math\nN = 3\ndef f():\n    return N\n{ends}"
    run = running.run(["x = 5", fatal, "print(x, f(), math.pi > 3)", ends, "print(x)"], **PATIENT)
    assert remarks(run) == [(1, ENDED), (3, ENDED)]
    assert [running.own(run, n)[1] for n in (2, 4)] == ["5 3 True\n", "5\n"]
    assert {"components.one/function/y", "quality.one/apply/y", "quality.two/apply/y"} <= {*run.evidence.answers}


def test_a_notebook_that_ends_every_process_later_and_later_is_not_run_for_ever() -> None:
    late = "import os, subprocess\nsubprocess.Popen('sleep 3; kill -9 -1', shell=True)\nimport time\ntime.sleep({})"
    run = running.run([late.format(0), *["time.sleep(4)"] * 5], train=False, **PATIENT | {"kernel_restarts": 2})
    assert run.execution.status is Status.KILLED
    assert len([event for event in run.execution.events if event.endswith(ENDED)]) == 2


@pytest.mark.parametrize(
    "fatal",
    [
        pytest.param(UNDONE, id="a restart past the prelude"),
        pytest.param(
            "import math, os, threading\nthreading.Timer(0.3, os._exit, [0]).start()",
            marks=pytest.mark.long,
            id="timer",
        ),
        pytest.param(
            "import math, os, subprocess\nsubprocess.Popen(f'sleep 0.2; kill -9 {os.getpid()}', shell=True)",
            marks=pytest.mark.long,
            id="a process",
        ),
    ],
)
def test_a_process_that_ends_a_moment_later_is_attributed_to_the_right_cell(fatal: str) -> None:
    cells = ["x = 5", fatal, "print(x, math.pi > 3)", "import time\ntime.sleep(1)", "print(x)"]
    run = running.run(cells, train=False, **PATIENT)
    assert remarks(run) == [(1, ENDED)]
    assert [running.own(run, n)[1] for n in (2, 4)] == ["5 True\n", "5\n"]
    assert sorted(run.evidence.answers) == ASKED


@pytest.mark.long
def test_a_process_that_ends_under_a_question_costs_no_question() -> None:
    late = "def triple(x):\n    return 3 * x\nimport os, threading\nthreading.Timer(0.1, os._exit, [0]).start()"
    run = running.run(train=False, changed={"triple": late}, **PATIENT)
    assert sorted(run.evidence.answers) == ASKED
    assert len(run.execution.events) == 1
    assert run.execution.events[0].endswith(ENDED)
