"""The progress of a class while it is graded: a live display on a terminal, a line per event elsewhere.

The log always gets the lines, whole and without colours, so that it can be read during and after the run.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

import psutil
from rich.console import Console
from rich.progress import BarColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bars
from rich.table import Column
from rich.text import Text

from grader.batch.class_records import STATE_WORDS, JobResult, StudentState, counted
from grader.batch.tables import REASON
from grader.report.text import of_points, plain
from grader.sandbox.gpu import gpus

SHOWN_GPUS = 8
EVERY_S = 1.0
LEAST_DONE, LEAST_S = 10, 300.0  # submissions or seconds after which the time left is shown
LONGEST = 60


class Progress:
    """Counts the submissions that were started and finished, and shows the counts; a context manager.

    `total` are to be graded now, up to `slots` at a time, and `before` were graded by earlier runs. `why` is a reason
    for a low number of slots.
    """

    def __init__(self, total: int, slots: int, console: Console, log: Path, *, before: int = 0, why: str = "") -> None:
        self._total, self._slots, self._before, self._why = total, max(1, slots), before, why
        self._console, self._log = console, log
        self._moving = console.is_interactive and total > 0
        self._bars = Bars(
            BarColumn(20),
            TextColumn("{task.description}", markup=False, table_column=Column(overflow="fold")),
            TimeElapsedColumn(),
            console=console,
            refresh_per_second=1 / EVERY_S,
            transient=True,
        )
        self._whole = self._bars.add_task("", total=total)
        self._running: dict[str, TaskID] = {}
        self._started: dict[str, float] = {}  # of the running submissions
        self._counts: Counter[StudentState] = Counter()
        self._points = self._max_points = 0
        self._seconds = 0.0  # of all finished submissions
        self._began = time.monotonic()
        self._guard = threading.Lock()
        self._over = threading.Event()

    def __enter__(self) -> Progress:
        self._write(self._plan())
        if self._moving:
            self._bars.start()
            threading.Thread(target=self._measure, daemon=True).start()
        return self

    def _plan(self) -> str:
        why = f": {self._why}" if self._why else ""
        at_a_time = f" ({self._slots} at a time{why})" if self._total > 1 else ""
        return f"{self._total} to grade{at_a_time}, {self._before} up to date"

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._over.set()
        if self._moving:
            self._bars.stop()
        self._write(f"{self.summary()}; duration {in_two_units(time.monotonic() - self._began)}")

    def started(self, key: str) -> None:
        """Shows that the submission is being graded."""
        with self._guard:
            self._running[key] = self._bars.add_task(plain(key, LONGEST), total=None)
            self._started[key] = time.monotonic()
        if not self._moving:
            self._write(f"started  {plain(key, LONGEST)}", only_log=True)

    def ended(self, result: JobResult) -> None:
        """Counts the result of a submission, and shows it."""
        with self._guard:
            if (task := self._running.pop(result.key, None)) is not None:
                self._bars.remove_task(task)
            self._started.pop(result.key, None)
            self._seconds += result.seconds
            self._bars.advance(self._whole)
            self._counts[result.state] += 1
            self._points += result.points_milli
            self._max_points += result.max_points_milli
        graded = result.max_points_milli
        outcome = of_points(result.points_milli, graded) if graded else plain(result.reason, REASON)
        look = f" ({STATE_WORDS[result.state]})" if result.state is StudentState.LOOK else ""
        kind = f"{STATE_WORDS[result.state]}: " if result.state in {StudentState.FAILED, StudentState.REFUSED} else ""
        duration = in_two_units(result.seconds)
        self._write(f"{self.summary()} | {plain(result.key, LONGEST)}: {kind}{outcome}{look}, graded in {duration}")

    def summary(self) -> str:
        """The state of the run in one line."""
        with self._guard:
            done = sum(self._counts.values())
            others = [
                counted(state, count) for state, count in self._counts.items() if state is not StudentState.GRADED
            ]
            of_run = " in this run" if self._before else ""
            mean = f"mean {100 * self._points / self._max_points:.0f} %{of_run}" if self._max_points else ""
            parts = [
                f"{self._before + done} of {self._before + self._total} done",
                f"{len(self._running)} running" if self._running else "",
            ]
            left = self._left(done)
        return ", ".join(part for part in (*parts, *others, mean, left) if part)

    def _left(self, done: int) -> str:
        """The estimated time left, from the rate so far; a running submission counts as partly done.

        Empty at the beginning, when too few submissions have ended for an estimate.
        """
        now = time.monotonic()
        elapsed = now - self._began
        if done == self._total or not done or (done < LEAST_DONE and elapsed < LEAST_S):
            return ""
        each = self._seconds / done
        over = sum(min(1.0, (now - began) / each) for began in self._started.values()) if each else 0.0
        return f"about {in_two_units(max(0.0, self._total - done - over) * elapsed / (done + over))} left"

    def _write(self, text: str, *, only_log: bool = False) -> None:
        line = f"[{time.monotonic() - self._began:6.0f} s] {text}"
        with contextlib.suppress(OSError), self._log.open("a", encoding="utf-8") as log:  # a full disk stops no grading
            log.write(line + "\n")
        if not only_log:
            with contextlib.suppress(OSError):  # nothing reads the output any more
                self._console.print(Text(line), soft_wrap=True, highlight=False)

    def _measure(self) -> None:
        """Keeps the overall line up to date, with the load of the machine; a slow GPU query delays nothing else."""
        psutil.cpu_percent()
        while not self._over.wait(EVERY_S):
            use = ", ".join([f"CPU {psutil.cpu_percent():.0f} %", *_use_of_gpus()])
            self._bars.update(self._whole, description=f"{self.summary()}, {use}")


def _use_of_gpus() -> Iterator[str]:
    cards = gpus()
    for card in cards[:SHOWN_GPUS]:
        number = f" {card.number}" if len(cards) > 1 else ""
        busy = "" if card.busy_percent is None else f" {card.busy_percent} %,"
        yield f"GPU{number}{busy} {card.free_mb} MiB free"


def in_two_units(seconds: float) -> str:
    """A duration in at most two units: "2 h 5 min", "3 min 20 s", "45 s"."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s" if minutes else f"{rest} s"
