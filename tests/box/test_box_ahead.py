"""A second box that is started while the first one imports: it waits with nothing in it, and goes when not needed."""

from __future__ import annotations

import time
from collections.abc import Sequence

import psutil
import pytest
import toy_exercise
from toy_exercise import running

from grader import running as engine
from grader.box.backend import ENGINE, PROBE, Contents
from grader.box.bubblewrap import Bubblewrap
from grader.box.keeper import Keeper
from grader.planning import plan_frame
from grader.records import Limits

PROBED = toy_exercise.Toy.in_box
UNWRITTEN = "def {0}(model, steps):\n    raise NotImplementedError('later')"

SPOILING = "def {0}(model, steps):\n    model.clear()"


def box() -> tuple[Keeper, Limits]:
    limits = running.rubric().limits
    return Keeper(Bubblewrap(), Contents({ENGINE: engine.ENGINE_FOLDER, PROBE: PROBED}), limits, gpu=False), limits


def printed(keeper: Keeper, limits: Limits, source: str) -> str:
    step = {"kind": "cell", "index": 0, "source": source, "timeout_s": 20, "replay": "never"}
    kept = keeper.keep(plan_frame([step], running.rubric().interface, limits), lambda *_: None, lambda _: None)
    return "".join(output["text"] for output in kept.inbox.outputs[0])


@pytest.mark.parametrize("modules", [(), ("colorsys",), ("no_such_module", "colorsys")])
def test_what_was_to_be_imported_is_there_and_no_name_of_it(modules: Sequence[str]) -> None:
    keeper, limits = box()
    if modules:
        keeper.warm(modules, limits)
    source = "import sys\nprint('colorsys' in sys.modules, 'colorsys' in globals())"
    assert printed(keeper, limits, source) == f"{bool(modules)} False\n"


def test_a_box_that_nobody_needs_is_gone_with_all_that_it_started() -> None:
    before = psutil.Process().num_fds()
    keeper, limits = box()
    keeper.warm(("colorsys",), limits)
    family: list[psutil.Process] = []
    deadline = time.monotonic() + 30
    while len(family) < 4 and time.monotonic() < deadline:  # launcher, two of bubblewrap's, the runner, its kernel
        family = [child for child in psutil.Process().children(recursive=True) if child.is_running()]
        time.sleep(0.05)
    keeper.end()
    assert len(family) >= 4
    assert not [process for process in family if process.is_running() and process.status() != "zombie"]
    assert psutil.Process().num_fds() <= before


class Counted(Keeper):
    """Remembers which boxes were started, warmed and ended unneeded."""

    told: list[str]

    def warm(self, imports: Sequence[str], limits: Limits) -> None:
        self.told.append("warm")
        super().warm(imports, limits)

    def end(self) -> None:
        self.told.append("end")
        super().end()


@pytest.mark.parametrize(
    ("changed", "train", "told"),
    [
        ({}, True, ["warm"]),
        ({}, False, []),
        ({"train_one": UNWRITTEN.format("train_one"), "train_two": UNWRITTEN.format("train_two")}, True, []),
        ({"train_one": UNWRITTEN.format("train_one")}, True, ["warm"]),
        ({"setup": "import os\nos._exit(0)"}, True, ["warm"]),
        ({"train_one": SPOILING.format("train_one"), "train_two": SPOILING.format("train_two")}, True, ["warm", "end"]),
    ],
    ids=["right", "components", "unwritten", "one part", "dies", "nothing to decode"],
)
def test_it_is_started_where_something_may_be_decoded(
    changed: dict[str, str], train: bool, told: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Counted, "told", [], raising=False)
    monkeypatch.setattr(engine, "Keeper", Counted)
    running.run(train=train, changed=changed)
    assert Counted.told == told
