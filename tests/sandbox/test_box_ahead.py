"""Boxes that are started before their plan is known: they wait without a submission, and unused ones are ended."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import ClassVar

import psutil
import pytest
from small_exercise import running

from grader.grading.plan import plan_frame
from grader.grading.run import IN_BOX_FOLDER, box_pool
from grader.records import Limits
from grader.sandbox import supervisor as boxes
from grader.sandbox.backend import IN_BOX, PROBE
from grader.sandbox.bubblewrap import Bubblewrap
from grader.sandbox.in_box.frames import CellStep
from grader.sandbox.supervisor import Supervisor
from grader.skeleton.exercise.plugin import TwoNumbers

PROBED = TwoNumbers.in_box
UNWRITTEN = "def {0}(model, steps):\n    raise NotImplementedError('later')"

SPOILING = "def {0}(model, steps):\n    model.clear()"


def box() -> tuple[Supervisor, Limits]:
    limits = running.rubric().limits
    return Supervisor(Bubblewrap(), {IN_BOX: IN_BOX_FOLDER, PROBE: PROBED}, limits, gpu=False), limits


def printed(supervisor: Supervisor, limits: Limits, source: str) -> str:
    step = CellStep(0, source, 20)
    plan = plan_frame([step], running.rubric().interface, limits)
    result = supervisor.supervise(plan, lambda *_: None, lambda _: None)
    return "".join(output["text"] for output in result.inbox.outputs[0])


@pytest.mark.parametrize("modules", [(), ("colorsys",), ("no_such_module", "colorsys")])
def test_preloaded_modules_are_imported_but_bind_no_name(modules: Sequence[str]) -> None:
    supervisor, limits = box()
    if modules:
        supervisor.warm(modules, limits)
    source = "import sys\nprint('colorsys' in sys.modules, 'colorsys' in globals())"
    assert printed(supervisor, limits, source) == f"{bool(modules)} False\n"


def test_unused_boxes_are_ended_with_all_their_processes() -> None:
    before = psutil.Process().num_fds()
    supervisor, limits = box()
    supervisor.warm(("colorsys",), limits)
    family: list[psutil.Process] = []
    deadline = time.monotonic() + 30
    while len(family) < 4 and time.monotonic() < deadline:  # launcher, two of bubblewrap's, the runner, its kernel
        family = [child for child in psutil.Process().children(recursive=True) if child.is_running()]
        time.sleep(0.05)
    supervisor.end()
    assert len(family) >= 4
    assert not [process for process in family if process.is_running() and process.status() != "zombie"]
    assert psutil.Process().num_fds() <= before


TWO = ["warm", "warm"]


class Counted(Supervisor):
    """Remembers which boxes were started, warmed and ended unneeded."""

    calls: ClassVar[list[str]] = []

    def warm(self, imports: Sequence[str], limits: Limits) -> None:
        self.calls.append("warm")
        super().warm(imports, limits)

    def end(self) -> None:
        self.calls.append("end")
        super().end()


@pytest.mark.parametrize(
    ("changed", "train", "calls"),
    [
        ({}, True, TWO),
        ({}, False, ["warm"]),
        ({"train_one": UNWRITTEN.format("train_one"), "train_two": UNWRITTEN.format("train_two")}, True, ["warm"]),
        ({"train_one": UNWRITTEN.format("train_one")}, True, TWO),
        ({"setup": "import os\nos._exit(0)"}, True, TWO),
        ({"train_one": SPOILING.format("train_one"), "train_two": SPOILING.format("train_two")}, True, [*TWO, "end"]),
    ],
    ids=["right", "components", "unwritten", "one part", "dies", "nothing to decode"],
)
def test_the_second_box_is_started_only_if_something_can_be_decoded(
    changed: dict[str, str], train: bool, calls: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    Counted.calls.clear()
    monkeypatch.setattr(boxes, "Supervisor", Counted)
    running.run(train=train, changed=changed)
    assert Counted.calls == calls


def test_a_pool_gives_the_box_that_waits_and_ends_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    Counted.calls.clear()
    monkeypatch.setattr(boxes, "Supervisor", Counted)
    limits = running.rubric().limits
    before = psutil.Process().num_fds()
    with box_pool(TwoNumbers(), limits, {}, "bubblewrap") as pool:
        pool.ensure_waiting(1)
        pool.ensure_waiting(3)
        assert printed(pool.take(), limits, "import sys\nprint('numpy' in sys.modules)") == "True\n"
    assert Counted.calls == ["warm", "warm", "warm", "end", "end"]
    assert psutil.Process().num_fds() <= before


def test_boxes_that_wait_are_ended_by_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    Counted.calls.clear()
    monkeypatch.setattr(boxes, "Supervisor", Counted)
    pool = box_pool(TwoNumbers(), running.rubric().limits, {}, "bubblewrap")
    pool.ensure_waiting(1)
    with pytest.raises(KeyError), pool:
        raise KeyError("a notebook that cannot be read")
    assert Counted.calls == ["warm", "end"]
