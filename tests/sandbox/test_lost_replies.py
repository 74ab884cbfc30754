"""If a kernel cannot reply to a cell, the runner does not wait for the reply, and later cells run."""

from __future__ import annotations

from textwrap import indent

import numpy as np
import pytest
from small_exercise import running

pytestmark = pytest.mark.whole

ASKED = ["components.one/function/y", "components.two/function/y"]
PATIENT = {"cell_s": 15, "wall_s": 200, "kernel_restarts": 0}
RUN = [
    "print('shown')\nget_ipython().set_next_input('\\ud83d')",
    "print('shown')\nget_ipython().payload_manager.write_payload({'source': 5, 'text': object})",
    "print('shown')\ndef f():\n    'doc \\ud83d'\nf?",
    # Here the kernel fails before it sends the error.
    "print('shown')\nclass E(Exception):\n    def __repr__(self):\n        raise self\n    __str__ = __repr__\nraise E",
]
FAILED = [
    "print('shown')\nget_ipython().set_next_input('\\ud83d')\n1 / 0",
]
BUSY = """
import time
k = get_ipython().kernel
k.session.send(k.iopub_socket, 'status', {'execution_state': 'idle'}, parent=k.get_parent())
"""


def test_a_cell_whose_reply_is_lost_has_run_at_once_and_the_kernel_lives() -> None:
    run = running.run(["x = 5", *RUN, *FAILED, "print('next', x)"], train=False, **PATIENT)
    for number, status in enumerate(["ok"] * len(RUN) + ["error"] * len(FAILED), start=1):
        cell, text = running.own(run, number)
        assert cell.status == status, (number, cell)
        assert cell.seconds < 5
        assert text.startswith("shown")
    assert running.own(run, 1 + len(RUN) + len(FAILED))[1] == "next 5\n"
    assert [event for event in run.execution.events if "ZeroDivisionError" not in event] == []
    assert sorted(run.evidence.answers) == ASKED


def test_a_cell_that_forges_its_end_is_still_waited_for() -> None:
    cells = [BUSY + "time.sleep(4)\nx = 5", "print('next', x)", BUSY + "time.sleep(4)\n1 / 0", "print(x)"]
    run = running.run(cells, train=False, **PATIENT)
    assert [running.own(run, n)[0].status for n in range(4)] == ["ok", "ok", "error", "ok"]
    assert all(4 <= running.own(run, n)[0].seconds < 6 for n in (0, 2))
    assert [running.own(run, n)[1] for n in (1, 3)] == ["next 5\n", "5\n"]
    assert sorted(run.evidence.answers) == ASKED


def test_a_busy_cell_that_forges_its_end_keeps_its_limit() -> None:
    limits = {**PATIENT, "cell_s": 4}
    run = running.run(["x = 5", BUSY + "time.sleep(60)", "print('next', x)"], train=False, **limits)
    assert running.own(run, 1)[0].status == "timeout"
    assert running.own(run, 2)[1] == "next 5\n"
    assert sorted(run.evidence.answers) == ASKED


def test_a_question_whose_code_forges_its_end_is_still_waited_for() -> None:
    body = (BUSY + "time.sleep(1.5)\nreturn 3 * x").strip()
    saying = "def triple(x):\n" + indent(body, "    ")
    run = running.run(train=False, changed={"triple": saying}, question_s=10, **PATIENT)
    honest = running.run(train=False, **PATIENT)
    assert sorted(run.evidence.answers) == ASKED, run.evidence.faults
    assert all(np.array_equal(run.evidence.answers[name], honest.evidence.answers[name]) for name in ASKED)
