"""Where a verb's words go: what it is doing to standard error, what came of it to standard output.

Colours: none with NO_COLOR or on a dumb terminal, always with FORCE_COLOR, else on a terminal alone.
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
SHOWN = 100  # characters of a line of progress


def console(stream: TextIO | None = None, *, quiet: bool = False) -> Console:
    """A console on standard output, or on another stream; nothing moves on it unless it is a real terminal."""
    from rich.console import Console

    target = stream or sys.stdout
    moving = target.isatty() and not _dumb()
    colours = None if os.environ.get("NO_COLOR") or _dumb() else "auto"
    return Console(file=target, quiet=quiet, force_interactive=moving, color_system=colours)  # type: ignore[arg-type]


@dataclass(frozen=True)
class Screen:
    """What is shown of a verb: everything, with `quiet` the last line alone, with `json` one JSON value alone."""

    quiet: bool = False
    json: bool = False
    _started: float = field(default_factory=time.monotonic)

    def say(self, text: str) -> None:
        """Standard error has what is being done, with the seconds since the start; nothing if quiet."""
        if not self.quiet:
            self._to_error(f"[{time.monotonic() - self._started:5.0f} s] ", text, SHOWN)

    def wrong(self, text: str) -> None:
        """Standard error has what went wrong, also if quiet."""
        self._to_error("", text, 600)

    def errors(self) -> Console:
        """The console of live displays; it shows nothing if quiet."""
        return console(sys.stderr, quiet=self.quiet)

    def result(self, values: Callable[[], Any], show: Callable[[Console], None], last: Callable[[], str]) -> None:
        """Standard output has the result in the form that was asked for, and nothing else."""
        if self.json:
            write_json(values())
        elif self.quiet:
            print(_plain(last(), 1000))
        else:
            show(console())

    def _to_error(self, before: str, text: str, limit: int) -> None:
        with contextlib.suppress(OSError):  # nobody listens, or the disk of a log is full
            print(f"{before}{_plain(text, limit)}", file=sys.stderr, flush=True)


def write_json(values: Mapping[str, Any]) -> None:
    """Standard output has the values as indented ASCII, in the form of every JSON file of the grader."""
    from grader.store.json_files import dump_json

    sys.stdout.write(dump_json(values).decode("ascii"))


def notes(remarks: Sequence[str], where: str) -> Callable[[Console], None]:
    """Shows what a person should know, and where the results lie."""

    def show(_: Console) -> None:
        for remark in remarks:
            print(f"note: {_plain(remark, 300)}")
        print(where)

    return show


def _plain(text: str, limit: int) -> str:
    from grader.report.text import plain

    return plain(text, limit)


def _dumb() -> bool:
    return os.environ.get("TERM", "") in {"dumb", "unknown"}
