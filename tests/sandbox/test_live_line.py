"""The line that is shown while a cell runs: its end is the student's text, made harmless, and it changes no result."""

from __future__ import annotations

import os
import pty
import re
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import IO

import pytest
from small_exercise import running

from grader.cli import screen as screens
from grader.cli.screen import Screen
from grader.grading.live_line import PACE_S, LiveLine
from grader.grading.run import IN_BOX_FOLDER
from grader.records import CellStatus
from grader.sandbox.backend import IN_BOX, PROBE
from grader.sandbox.bubblewrap import Bubblewrap
from grader.sandbox.in_box.frames import At, CellStep, Printed
from grader.sandbox.received_frames import Inbox
from grader.sandbox.supervisor import SandboxResult, Supervisor

SLOW = "import sys, time\n{}\nsys.stdout.flush()\ntime.sleep(4.5)"


def run_cell(source: str, frames: list[At | Printed]) -> SandboxResult:
    """A cell has run in a real box."""
    limits = running.rubric().limits
    supervisor = Supervisor(Bubblewrap(), {IN_BOX: IN_BOX_FOLDER, PROBE: IN_BOX_FOLDER / "stubs"}, limits, gpu=False)
    return supervisor.supervise(running.plan(CellStep(0, source, 60)), lambda *_: None, frames.append)


@pytest.mark.parametrize(
    ("prints", "line"),
    [
        pytest.param("print('epoch 1 loss 3.5'); print('epoch 2 loss 2.5')", "epoch 2 loss 2.5", id="a line"),
        pytest.param("pass", "", id="none"),
        pytest.param("print('10 %\\r20 %\\r30 %', end='')", "30 %", id="a progress bar"),
        pytest.param("print('loss 2.5\\n\\n   \\n')", "loss 2.5", id="blank lines after it"),
        pytest.param("print('\\x1b[31mloss\\x1b[0m 2.5')", "loss 2.5", id="colours"),
        pytest.param("print('\\x1b]0;owned\\x07\\x1b[2J\\u202eloss')", "]0;owned loss", id="escape sequences"),
        pytest.param("print('y' * 30_000_000)", "y" * 400, id="one huge line"),
        pytest.param("print('x\\n' * 3_000_000, end='the end')", "the end", id="a flood"),
    ],
)
def test_the_last_line_of_a_running_cell_is_sent_as_one_short_printable_line(prints: str, line: str) -> None:
    frames: list[At | Printed] = []
    result = run_cell(SLOW.format(prints), frames)
    lines = [progress.line for progress in frames if isinstance(progress, Printed)]
    assert lines
    assert lines[-1] == line
    assert len(lines) <= result.wall_s / 2
    assert result.inbox.cells[0].status is CellStatus.OK


def test_a_short_cell_sends_no_line() -> None:
    frames: list[At | Printed] = []
    run_cell("print('quick')", frames)
    assert [type(progress) for progress in frames] == [At]


def test_forged_lines_change_nothing_that_is_kept_and_are_not_all_passed_on() -> None:
    inbox = Inbox(running.rubric().limits)
    before = {name: repr(value) for name, value in vars(inbox).items() if not name.startswith("_")}
    name, data = Printed("forged").encode()
    passed_on = [inbox.put(name, data) for _ in range(Printed.bound.frames + 50)]
    assert passed_on == [Printed("forged")] * Printed.bound.frames + [None] * 50
    after = {name: repr(value) for name, value in vars(inbox).items() if not name.startswith("_")}
    assert before | {"started": "True"} == after


@dataclass
class Clock:
    """A time that a test sets."""

    now: float = 0.0

    def __call__(self) -> float:
        return self.now


def test_the_line_says_which_cell_runs_for_how_long_and_what_it_printed() -> None:
    shown: list[str] = []
    clock = Clock()
    live = LiveLine(shown.append, clock)
    live.at(At(cell=23))
    for clock.now, line in ((3.2, ""), (80.0, "epoch 3/10 loss 112.4")):
        live.printed(line)
    live.end()
    assert shown == ["", "cell 24, 3 s", "cell 24, 1 min 20 s: epoch 3/10 loss 112.4", ""]


def test_a_flood_of_lines_is_shown_once_a_second_and_nothing_where_no_cell_runs() -> None:
    shown: list[str] = []
    clock = Clock()
    live = LiveLine(shown.append, clock)
    live.printed("before any cell")
    live.at(At(cell=0))
    for number in range(10_000):
        clock.now = number / 2000
        live.printed(f"line {number}")
    assert len(shown) == 1 + 5 / PACE_S


# The screen.


END = "<end of what was written>"


class Terminal:
    """A terminal of so many columns, with everything that was written to it."""

    def __init__(self, columns: int) -> None:
        self._reading, writing = pty.openpty()
        import termios

        termios.tcsetwinsize(writing, (24, columns))
        self.stream: IO[str] = os.fdopen(writing, "w")

    def written(self) -> str:
        # The kernel hands over what was written piece by piece: everything has arrived when the end has.
        self.stream.write(END)
        self.stream.flush()
        data = b""
        while not data.endswith(END.encode()):
            data += os.read(self._reading, 1 << 20)
        return data.decode().removesuffix(END)

    def close(self) -> None:
        self.stream.close()
        os.close(self._reading)


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[int], Terminal]]:
    opened: list[Terminal] = []

    def make(columns: int) -> Terminal:
        opened.append(Terminal(columns))
        monkeypatch.setattr(sys, "stderr", opened[-1].stream)
        return opened[-1]

    monkeypatch.setenv("TERM", "xterm")
    yield make
    monkeypatch.undo()
    for one in opened:
        one.close()


def test_on_a_terminal_each_live_line_replaces_the_one_before(terminal: Callable[[int], Terminal]) -> None:
    tty = terminal(100)
    screen = Screen()
    screen.live("")
    screen.live("cell 3, 5 s: loss 7")
    screen.live("cell 3, 8 s: loss 6")
    screen.say("grading the answers")
    screen.live("")
    before, *drawn = tty.written().split("\r\x1b[K")
    assert before == ""
    assert [re.sub(r"\[ +\d+ s\] ", "", text) for text in drawn] == [
        "cell 3, 5 s: loss 7",
        "cell 3, 8 s: loss 6",
        "grading the answers\r\n",
    ]


@pytest.mark.parametrize(
    "text", ["\x1b[2J\x1b]0;owned\x07\x9b31m\u202e\r\n\x00", "w" * 5000, "漢字" * 500, "e\u0301\u0301" * 500]
)
def test_a_live_line_fits_into_its_terminal_and_holds_no_escape(text: str, terminal: Callable[[int], Terminal]) -> None:
    from rich.cells import cell_len

    tty = terminal(60)
    Screen().live(f"cell 3, 5 s: {text}")
    line = tty.written().removeprefix("\r\x1b[K")
    assert line.isprintable()
    assert cell_len(line) < 60


def test_a_log_has_a_live_line_twice_a_minute(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = Clock()
    monkeypatch.setattr(time, "monotonic", clock)
    screen = Screen(_started=0.0)
    for second in range(0, 100, 3):
        clock.now = second
        screen.live(f"cell 3, {second} s: loss \x1b[31m7")
    lines = capsys.readouterr().err.splitlines()
    assert lines == [f"[{second:5.0f} s] cell 3, {second} s: loss 7" for second in (30, 60, 90)]
    assert screens.LOGGED_S == 30


def test_quiet_mode_shows_no_live_line(terminal: Callable[[int], Terminal]) -> None:
    tty = terminal(60)
    Screen(quiet=True).live("cell 3, 5 s")
    assert tty.written() == ""
