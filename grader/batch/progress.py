"""What is known of a class while it is graded: a live display on a terminal, a line for each event elsewhere.

The log always gets the lines, whole and without colours, so that it can be read while and after the run.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType

import psutil
from rich.console import Console
from rich.progress import BarColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bars
from rich.table import Column, Table
from rich.text import Text

from grader.batch.class_records import GradebookRow, JobResult, StudentState
from grader.report.text import of_points, plain, points_text
from grader.report.words import reasons_for_person
from grader.sandbox.gpu import gpus

WORDS = {
    StudentState.GRADED: "graded",
    StudentState.LOOK: "to look at",
    StudentState.REFUSED: "refused",
    StudentState.FAILED: "failed",
    StudentState.WAITING: "waiting",
}
SHOWN_GPUS = 8
EVERY_S = 1.0
LONGEST = 60


class Progress:
    """Counts what has started and ended, and shows it; a context manager."""

    def __init__(self, total: int, slots: int, console: Console, log: Path, *, before: int = 0) -> None:
        self._total, self._slots, self._before = total, max(1, slots), before
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
        self._counts: Counter[StudentState] = Counter()
        self._points = self._max_points = 0
        self._began = time.monotonic()
        self._guard = threading.Lock()
        self._over = threading.Event()

    def __enter__(self) -> Progress:
        self._write(f"{self._total} to grade, {self._slots} at once; {self._before} are as they should be already")
        if self._moving:
            self._bars.start()
            threading.Thread(target=self._measure, daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._over.set()
        if self._moving:
            self._bars.stop()
        self._write(f"{self.summary()}; {clock(time.monotonic() - self._began)} in all")

    def started(self, key: str) -> None:
        """The submission is being graded."""
        with self._guard:
            self._running[key] = self._bars.add_task(plain(key, LONGEST), total=None)
        if not self._moving:
            self._write(f"started  {plain(key, LONGEST)}", only_log=True)

    def ended(self, result: JobResult) -> None:
        """The submission is done."""
        with self._guard:
            if (task := self._running.pop(result.key, None)) is not None:
                self._bars.remove_task(task)
            self._bars.advance(self._whole)
            self._counts[result.state] += 1
            self._points += result.points_milli
            self._max_points += result.max_points_milli
        judged = result.max_points_milli
        outcome = of_points(result.points_milli, judged) if judged else plain(result.reason, 160)
        look = " (a person must look)" if result.state is StudentState.LOOK else ""
        kind = f"{result.state}: " if result.state in {StudentState.FAILED, StudentState.REFUSED} else ""
        self._write(f"{self.summary()} | {plain(result.key, LONGEST)}: {kind}{outcome}{look}, {result.seconds:.0f} s")

    def summary(self) -> str:
        """How far it is, in one line."""
        with self._guard:
            done = sum(self._counts.values())
            counted = [
                f"{count} {WORDS[state]}" for state, count in self._counts.items() if state is not StudentState.GRADED
            ]
            mean = f"mean {self._points / self._max_points:.1%}" if self._max_points else ""
            left = self._left(done)
            parts = [f"{done} of {self._total} done", f"{len(self._running)} running" if self._running else ""]
        return ", ".join(part for part in (*parts, *counted, mean, left) if part)

    def _left(self, done: int) -> str:
        waiting = self._total - done
        if not waiting:
            return ""
        if not done:
            return "time left not known yet"
        return f"about {clock(waiting * (time.monotonic() - self._began) / done)} left"

    def _write(self, text: str, *, only_log: bool = False) -> None:
        line = f"[{time.monotonic() - self._began:6.0f} s] {text}"
        with contextlib.suppress(OSError), self._log.open("a", encoding="utf-8") as log:  # a full disk stops no grading
            log.write(line + "\n")
        if not only_log:
            with contextlib.suppress(OSError):  # nobody listens
                self._console.print(Text(line), soft_wrap=True, highlight=False)

    def _measure(self) -> None:
        """The line of the whole says how far it is and what is used of the machine; asking a GPU holds up nothing."""
        psutil.cpu_percent()
        while not self._over.wait(EVERY_S):
            use = ", ".join([f"CPU {psutil.cpu_percent():.0f} %", *_use_of_gpus()])
            self._bars.update(self._whole, description=f"{self.summary()}, {use}")


def _use_of_gpus() -> Iterator[str]:
    cards = gpus()
    for card in cards[:SHOWN_GPUS]:
        number = f" {card.number}" if len(cards) > 1 else ""
        busy = "" if card.busy_percent is None else f" {card.busy_percent} %,"
        yield f"GPU{number}{busy} {card.free_mb} MiB of it free"


def clock(seconds: float) -> str:
    """A duration as it is read at a glance: "2 h 5 min", "3 min 20 s", "45 s"."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s" if minutes else f"{rest} s"


MOST = 60  # rows; of a larger class, those that somebody must look at
STATE_WORDS = {
    StudentState.LOOK: "needs a look",
    StudentState.REFUSED: "not gradable",
    StudentState.MISSING: "nothing handed in",
}


def class_table(rows: Sequence[GradebookRow]) -> Table:
    """A row for each submission: points, what counts of them, where it stands and why."""
    seen = [row for row in rows if len(rows) <= MOST or row.state not in {StudentState.GRADED, StudentState.MISSING}]
    some_late = any(row.counted_milli != row.points_milli for row in seen)
    table = Table(box=None, padding=(0, 2, 0, 0))
    for head in ("submission", "whose", "points", *(["count"] if some_late else []), "state"):
        table.add_column(head, overflow="fold", justify="right" if head in {"points", "count"} else "left")
    for row in sorted(seen, key=lambda row: row.key):
        names = ", ".join(plain(student.name or student.id, 60) for student in row.students)
        cells = [plain(row.key, 60), names, _points(row)]
        if some_late:
            cells.append("" if row.counted_milli is None else points_text(row.counted_milli))
        table.add_row(*map(Text, cells), Text(_state(row)))
    if len(seen) < len(rows):
        table.caption = f"{len(rows) - len(seen)} more, at whom nobody has to look"
    return table


def _points(row: GradebookRow) -> str:
    judged = row.judged_milli
    return "–" if row.points_milli is None or judged is None else of_points(row.points_milli, judged)


def _state(row: GradebookRow) -> str:
    why = row.reason or "; ".join(reasons_for_person(row.report)[:2]) if row.report else row.reason
    words = STATE_WORDS.get(row.state, str(row.state))
    return f"{words}: {plain(why, 160)}" if why and row.state is not StudentState.MISSING else words
