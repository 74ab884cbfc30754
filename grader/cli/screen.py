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

Say = Callable[[str], None]
SHOWN = 160  # characters of a progress line


def console(stream: TextIO | None = None, *, quiet: bool = False) -> Console:
    """A console on standard output or another stream; live displays only on a real terminal."""
    from rich.console import Console

    target = stream or sys.stdout
    moving = target.isatty() and not _dumb()
    colours = None if os.environ.get("NO_COLOR") or _dumb() else "auto"
    return Console(file=target, quiet=quiet, force_interactive=moving, color_system=colours)  # type: ignore[arg-type]


@dataclass(frozen=True)
class Screen:
    """The output of a command: everything, with `quiet` only the last line, with `json` only one JSON value."""

    quiet: bool = False
    json: bool = False
    _started: float = field(default_factory=time.monotonic)

    def say(self, text: str) -> None:
        """Writes progress to standard error, with the seconds since the start; nothing if quiet."""
        if not self.quiet:
            self._to_error(f"[{time.monotonic() - self._started:5.0f} s] ", text, SHOWN)

    def wrong(self, text: str) -> None:
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
        with contextlib.suppress(OSError):  # a closed pipe, or a full disk
            print(f"{before}{_shortened(text, limit)}", file=sys.stderr, flush=True)


def write_json(values: Mapping[str, Any]) -> None:
    """Writes the values to standard output as indented ASCII, like every JSON file of the grader."""
    from grader.store.json_files import dump_json

    sys.stdout.write(dump_json(values).decode("ascii"))


def notes(remarks: Sequence[str], where: str) -> Callable[[Console], None]:
    """Shows the notes for staff, and where the results are."""

    def show(_: Console) -> None:
        for remark in remarks:
            print(f"note: {_shortened(remark, 300)}")
        print(where)

    return show


def _plain(text: str, limit: int) -> str:
    from grader.report.text import plain

    return plain(text, limit)


def _shortened(text: str, limit: int) -> str:
    from grader.report.text import shortened

    return shortened(text, limit)


def _dumb() -> bool:
    return os.environ.get("TERM", "") in {"dumb", "unknown"}
