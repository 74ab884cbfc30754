"""Times commands; commands that are compared alternate in one run."""

from __future__ import annotations

import os
import statistics
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import psutil

Line = tuple[float, str]  # seconds since the command was started, and what it wrote


@dataclass
class Measured:
    """Seconds and lines of each round, and peak memory in MB of the started process without its children."""

    seconds: list[float] = field(default_factory=list)
    peak_mb: float = 0.0
    lines: list[list[Line]] = field(default_factory=list)

    @property
    def rounds(self) -> list[tuple[list[Line], float]]:
        """Each round's lines with its seconds."""
        return list(zip(self.lines, self.seconds, strict=True))

    @property
    def median(self) -> float:
        """The median of the rounds, in seconds."""
        return statistics.median(self.seconds)

    @property
    def spread(self) -> str:
        """The fastest and the slowest round, in seconds."""
        digits = 1 if self.median >= 1 else 3
        return f"{min(self.seconds):.{digits}f} to {max(self.seconds):.{digits}f}"


@dataclass(frozen=True)
class Run:
    """A command to measure, and `before`, which prepares it and is not timed."""

    command: Sequence[str]
    folder: Path
    before: Callable[[], object] = lambda: None
    environment: Mapping[str, str] = field(default_factory=dict)
    codes: tuple[int, ...] = (0,)


def alternate(runs: Mapping[str, Run], rounds: int, say: Callable[[str], object] = print) -> dict[str, Measured]:
    """Runs each command `rounds` times, one after the other in every round.

    Raises:
        SystemExit: if a command fails; the message has its last lines.
    """
    measurements = {name: Measured() for name in runs}
    for number in range(rounds):
        for name, run in runs.items():
            run.before()
            seconds, peak, lines = _timed(name, run)
            measurements[name].seconds.append(seconds)
            measurements[name].lines.append(lines)
            measurements[name].peak_mb = max(measurements[name].peak_mb, peak)
            say(f"round {number + 1} of {rounds}: {name}: {seconds:.1f} s")
    return measurements


def _timed(name: str, run: Run) -> tuple[float, float, list[Line]]:
    began = time.perf_counter()
    lines: list[Line] = []
    environment = {**os.environ, **run.environment}
    out = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    with subprocess.Popen(run.command, cwd=run.folder, env=environment, **out) as started:  # type: ignore[call-overload]
        reader = threading.Thread(target=_read, args=(started.stdout, began, lines))
        reader.start()
        peak = _watched(started)
        seconds = time.perf_counter() - began
        reader.join()
    if started.returncode not in run.codes:
        tail = "\n".join(text for _, text in lines[-30:])
        raise SystemExit(f"{name}: ended with {started.returncode}\n{tail}")
    return seconds, peak, lines


def _read(written: IO[bytes], began: float, lines: list[Line]) -> None:
    for line in written:
        lines.append((time.perf_counter() - began, line.decode(errors="replace").rstrip()))


def _watched(started: subprocess.Popen[bytes]) -> float:
    peak, process = 0.0, psutil.Process(started.pid)
    while started.poll() is None:
        try:
            peak = max(peak, process.memory_info().rss / 1e6)
        except psutil.Error:
            break
        time.sleep(0.02)
    started.wait()
    return peak
