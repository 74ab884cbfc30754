"""The output of a command: progress and errors to standard error, the result to standard output.

Colours: off with NO_COLOR or on a dumb terminal, always on with FORCE_COLOR, else only on a terminal.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from rich.console import Console

SHOWN = 160  # characters of a progress line
LOGGED_S = 30  # seconds between two live lines where one cannot replace the other
_ELAPSED = "[{:5.0f} s] "
_ERASED = "\r\x1b[K"


def console(stream: TextIO | None = None, *, quiet: bool = False) -> Console:
    """A console on standard output or another stream; live displays only on a real terminal."""
    from rich.console import Console

    target = stream or sys.stdout
    moving = target.isatty() and not _dumb()
    colours = None if os.environ.get("NO_COLOR") or _dumb() else "auto"
    return Console(file=target, quiet=quiet, force_interactive=moving, color_system=colours)  # type: ignore[arg-type]


@dataclass
class _LiveState:
    """Whether the terminal shows a live line, and when a log last got one."""

    shown: bool = False
    logged: float = 0.0


@dataclass(frozen=True)
class Screen:
    """The output of a command: everything, with `quiet` only the last line, with `json` only one JSON value."""

    quiet: bool = False
    json: bool = False
    _started: float = field(default_factory=time.monotonic)
    _live: _LiveState = field(default_factory=_LiveState)

    def say(self, text: str) -> None:
        """Writes progress to standard error, with the seconds since the start; nothing if quiet."""
        if not self.quiet:
            self._to_error(self._elapsed(), text, SHOWN)

    def live(self, text: str) -> None:
        """Shows the text as the last line of a terminal until something else is written; a log gets one twice a minute.

        An empty text removes the line. The text may come from anywhere: it is made plain and cut to the width.
        """
        if self.quiet:
            return
        if not sys.stderr.isatty() or _dumb():
            seconds = time.monotonic() - self._started
            if text and seconds - self._live.logged >= LOGGED_S:
                self._live.logged = seconds
                self.say(text)
        elif text or self._live.shown:
            with contextlib.suppress(OSError):
                sys.stderr.write(_ERASED + (self._elapsed() + _fitting(text, _width()) if text else ""))
                sys.stderr.flush()
            self._live.shown = bool(text)

    def error(self, text: str) -> None:
        """Writes an error to standard error, also if quiet."""
        self._to_error("", text, 600)

    def errors(self) -> Console:
        """The console for live displays; it shows nothing if quiet."""
        return console(sys.stderr, quiet=self.quiet)

    def result(self, values: Callable[[], Any], show: Callable[[Console], None], last: Callable[[], str]) -> None:
        """Writes the result to standard output in the chosen form, and nothing else."""
        if self.json:
            write_json(values())
        elif self.quiet:
            print(_plain(last(), 1000))
        else:
            show(console())

    def _to_error(self, before: str, text: str, limit: int) -> None:
        erased = _ERASED if self._live.shown else ""
        self._live.shown = False
        with contextlib.suppress(OSError):  # a closed pipe, or a full disk
            print(f"{erased}{before}{_plain(text, limit)}", file=sys.stderr, flush=True)

    def _elapsed(self) -> str:
        return _ELAPSED.format(time.monotonic() - self._started)


def write_json(values: Mapping[str, Any]) -> None:
    """Writes the values to standard output as indented ASCII, like every JSON file of the grader."""
    from grader.store.json_files import dump_json

    sys.stdout.write(dump_json(values).decode("ascii"))


def with_remarks(remarks: Sequence[str], where: str) -> Callable[[Console], None]:
    """Returns a function that shows the remarks for staff, and where the results are."""

    def show(_: Console) -> None:
        for remark in remarks:
            print(f"remark: {_plain(remark, 300)}")
        print(where)

    return show


def _plain(text: str, limit: int) -> str:
    from grader.report.text import plain

    return plain(text, limit)


def _fitting(text: str, width: int) -> str:
    """The text as one plain line that does not wrap; a wide character takes two columns."""
    from rich.cells import cell_len, set_cell_size

    line = _plain(text, width)
    return line if cell_len(line) <= width else set_cell_size(line, width)


def _width() -> int:
    """The columns left beside the seconds on standard error, without the last, at which some terminals wrap."""
    try:
        columns = os.get_terminal_size(sys.stderr.fileno()).columns
    except (OSError, ValueError):
        columns = 0
    return max(20, (columns or 80) - len(_ELAPSED.format(0)) - 1)


def _dumb() -> bool:
    return os.environ.get("TERM", "") in {"dumb", "unknown"}
