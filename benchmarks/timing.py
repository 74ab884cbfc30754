"""Runs commands and takes their time, so that those to be compared alternate in one run."""

from __future__ import annotations

import os
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil


@dataclass
class Measured:
    """Seconds of each round, and the peak memory in MB of the process that was started, without its children."""

    seconds: list[float] = field(default_factory=list)
    peak_mb: float = 0.0

    @property
    def median(self) -> float:
        """Of the rounds, in seconds."""
        return statistics.median(self.seconds)

    @property
    def spread(self) -> str:
        """The fastest and the slowest round, in seconds."""
        return f"{min(self.seconds):.1f} to {max(self.seconds):.1f}"


@dataclass(frozen=True)
class Run:
    """One thing to be measured: what makes it ready, not timed, and its command."""

    command: Sequence[str]
    folder: Path
    before: Callable[[], object] = lambda: None
    environment: Mapping[str, str] = field(default_factory=dict)
    codes: tuple[int, ...] = (0,)


def alternate(runs: Mapping[str, Run], rounds: int, say: Callable[[str], object] = print) -> dict[str, Measured]:
    """Each was run so often, one after the other in every round.

    Raises:
        SystemExit: where a command fails; its last lines say why.
    """
    found = {name: Measured() for name in runs}
    for number in range(rounds):
        for name, run in runs.items():
            run.before()
            seconds, peak = _timed(name, run)
            found[name].seconds.append(seconds)
            found[name].peak_mb = max(found[name].peak_mb, peak)
            say(f"round {number + 1} of {rounds}: {name}: {seconds:.1f} s")
    return found


def _timed(name: str, run: Run) -> tuple[float, float]:
    with tempfile.TemporaryFile() as log:
        began = time.perf_counter()
        environment = {**os.environ, **run.environment}
        with subprocess.Popen(run.command, cwd=run.folder, env=environment, stdout=log, stderr=log) as started:
            peak = _watched(started)
        seconds = time.perf_counter() - began
        log.seek(0)
        tail = log.read()[-2000:].decode(errors="replace")
    if started.returncode not in run.codes:
        raise SystemExit(f"{name}: ended with {started.returncode}\n{tail}")
    return seconds, peak


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
