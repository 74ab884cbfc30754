"""The progress line that is shown while a notebook runs: which cell runs, for how long, and what it has printed last.

"cell 24, 1 min 20 s: epoch 3/10 loss 112.4". The end of the line comes from the student's code, which may print
anything, and may forge it. So it is one printable line (`in_box/frames.py`), shown at most once per second and not
stored: no result depends on it. The code that shows it escapes it for its medium and cuts it to the width.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from grader.exercise import Say
from grader.sandbox.in_box.frames import At

PACE_S = 1.0  # between two lines, however many a box sends


def unseen(_: str) -> None:
    """Ignores the line; for callers that show no progress."""


class LiveLine:
    """Shows what runs now, in a line that replaces the one before; an empty line when it has ended."""

    def __init__(self, show: Say, clock: Callable[[], float] = time.monotonic) -> None:
        self._show, self._clock = show, clock
        self._cell: int | None = None
        self._started = self._shown = float("-inf")

    def at(self, at: At) -> None:
        """Shows that something else runs from now on."""
        self.end()
        self._cell, self._started = at.cell, self._clock()

    def printed(self, line: str) -> None:
        """Shows that the cell still runs, and the last line that it has printed; empty if it has printed none."""
        now = self._clock()
        if self._cell is None or now - self._shown < PACE_S:
            return
        self._shown = now
        self._show(f"cell {self._cell + 1}, {in_minutes(now - self._started)}{f': {line}' if line else ''}")

    def end(self) -> None:
        """Clears the line, because nothing runs any more."""
        self._cell = None
        self._show("")


def in_minutes(seconds: float) -> str:
    """Formats a duration for people.

    >>> in_minutes(12.3), in_minutes(80), in_minutes(3720)
    ('12 s', '1 min 20 s', '62 min')
    """
    minutes, rest = divmod(round(seconds), 60)
    return " ".join([f"{minutes} min"] * bool(minutes) + [f"{rest} s"] * bool(rest or not minutes))
