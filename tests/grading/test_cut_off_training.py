"""Training that this machine had no time to finish: the items need manual review, and no points are lost."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from small_exercise import running

from grader.grading.run import _error_line, _without_cut_off_training
from grader.grading.tampering import GivenDefinitions
from grader.notebook.restore import CellRole
from grader.notebook.roles import Role
from grader.records import Address, Blame, CellRun, CellStatus, Evidence, Status
from grader.sandbox.in_box.frames import At
from grader.skeleton.exercise.plugin import TwoNumbers

APPLY = Address.of("quality", "one", "apply")


def after(run: CellRun | None, status: Status) -> Evidence:
    """The evidence of a run whose first cell trains, ended like this."""
    roles = (CellRole(Role.TRAIN, "run-one", "one", 0),)
    case: Any = SimpleNamespace(
        restored=SimpleNamespace(roles=roles),
        exercise=TwoNumbers(),
        rubric=running.rubric(),
        given_definitions=GivenDefinitions(),
    )
    cells = {} if run is None else {0: run}
    event = "the run was ended: it took longer than 60 s"
    first: Any = SimpleNamespace(inbox=SimpleNamespace(cells=cells), status=status, at=At(cell=0), event=event)
    answered = Evidence({}, {APPLY.array("y"): np.zeros(1)}, {})
    return _without_cut_off_training(answered, case, first)


@pytest.mark.parametrize(
    ("run", "reason"),
    [
        (CellRun(0, CellStatus.TIMEOUT, 60.0, "stopped after 60 s"), "the training in cell 1 was stopped after 60 s"),
        (None, "the run was ended: it took longer than 60 s, before the training in cell 1 was finished"),
    ],
)
def test_training_that_ran_out_of_time_is_the_machines_fault(run: CellRun | None, reason: str) -> None:
    evidence = after(run, Status.TIMEOUT)
    fault = evidence.faults[APPLY]
    assert (fault.blame, fault.message.startswith(reason)) == (Blame.MACHINE, True)
    assert evidence.answers == {}


def test_training_that_ended_is_left_alone() -> None:
    evidence = after(CellRun(0, CellStatus.OK, 5.0), Status.OK)
    assert (list(evidence.answers), evidence.faults) == ([APPLY.array("y")], {})


@pytest.mark.parametrize(
    ("traceback", "line"),
    [
        (["\x1b[31m---\x1b[0m", "Cell \x1b[0;32mIn[5], line 3\x1b[0m\n      1 x = 1", "Cell In[2], line 9"], 3),
        (["  Cell In[5], line 12\n    def f(:\n"], 12),
        (["NameError: name 'x' is not defined"], None),
        ([], None),
        ("Cell In[5], line 3", None),
        ([5, None, {}], None),
        (["Cell In[5], line " + "9" * 5000], None),
        (["x" * 10_000_000 + "Cell In[5], line 3"], None),
    ],
)
def test_the_line_of_an_error_is_read_from_its_traceback_whatever_that_holds(traceback: Any, line: int | None) -> None:
    assert _error_line([5, {"output_type": "stream"}, {"output_type": "error", "traceback": traceback}]) == line
