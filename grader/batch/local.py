"""Grades several submissions at a time on this machine: one worker process per slot, each with its own cores or GPU.

If a worker dies, its submission is tried once more. A submission that ran out of memory beside others is tried once
more alone, since the others may have been the cause.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue

import psutil

from grader.batch.class_records import Job, JobResult, StudentState
from grader.batch.worker import JOB, JOB_RESULT, command
from grader.records import Limits
from grader.sandbox.gpu import CONTEXT_MB, VISIBLE, Gpu, gpus
from grader.store.bounded import Unreadable
from grader.store.json_files import json_line, parse_json

TRIES = 2  # of a job whose worker died
CORES_PER_GPU_BOX = 2  # the notebook's process and the one that supervises it


@dataclass(frozen=True, slots=True)
class Slot:
    """The cores and the GPU of a worker."""

    cores: frozenset[int] = frozenset()  # empty: any of them
    gpu: str = ""  # the UUID of the GPU that its boxes see; empty: the one that the grader's own boxes would see


@dataclass(frozen=True, slots=True)
class WorkerBound:
    """How many submissions a part of this machine allows at a time, and why."""

    count: int
    why: str  # "12 GB of memory available, 8 GB per submission"
    of_memory: bool = True


def slots(workers: int | None, limits: Limits) -> list[Slot]:
    """One slot per worker: `workers` of them, or as many as this machine allows."""
    return slots_within(workers, limits)[0]


def slots_within(workers: int | None, limits: Limits) -> tuple[list[Slot], list[WorkerBound]]:
    """One slot per worker, and the bounds on their number on this machine.

    On a CPU there is one worker per core, and PyTorch's kernels run in one thread each: that is faster than kernels
    that share all cores (docs/measurements.md). Fewer workers have several cores each. On GPUs, the memory of each GPU
    decides how many workers it has, and workers are not bound to cores.
    """
    allowed = sorted(os.sched_getaffinity(0))
    cards = gpus()
    bounds = _bounds(len(allowed), cards, limits)
    count = workers or max(1, min(bound.count for bound in bounds))
    if cards:
        return _on_gpus(cards, count, limits), bounds
    if count > len(allowed):
        return [Slot()] * count, bounds
    return [Slot(frozenset(allowed[number::count])) for number in range(count)], bounds


def _bounds(cores: int, cards: Sequence[Gpu], limits: Limits) -> list[WorkerBound]:
    available_mb = psutil.virtual_memory().available / 1e6
    memory = f"{_gb(available_mb)} of memory available, {_gb(limits.memory_mb)} per submission"
    bounds = [WorkerBound(int(available_mb / limits.memory_mb), memory)]
    if not cards:
        return [*bounds, WorkerBound(cores, f"{cores} {'core' if cores == 1 else 'cores'}", of_memory=False)]
    per_box = limits.gpu_memory_mb + CONTEXT_MB
    free = " and ".join(_gb(card.free_mb) for card in cards[:4]) + (" and more" if len(cards) > 4 else "")
    which = "one GPU" if len(cards) == 1 else f"{len(cards)} GPUs"
    on_gpus = WorkerBound(
        sum(card.free_mb // per_box for card in cards), f"{which} with {free} free, {_gb(per_box)} per submission"
    )
    needed = f"{cores} cores, {CORES_PER_GPU_BOX} per submission on a GPU"
    return [*bounds, WorkerBound(cores // CORES_PER_GPU_BOX, needed, of_memory=False), on_gpus]


def _gb(megabytes: float) -> str:
    return f"{megabytes / 1000:.1f}".removesuffix(".0") + " GB"


def reason_for_one(workers: int | None, at_once: int, bounds: Sequence[WorkerBound]) -> str:
    """Why only one submission is graded at a time; empty if several are."""
    if at_once > 1:
        return ""
    return "--workers 1" if workers == 1 else min(bounds, key=lambda bound: bound.count).why


def too_many(workers: int | None, bounds: Sequence[WorkerBound]) -> str:
    """A warning that `--workers` asks for more than memory allows; empty if it does not."""
    tightest = min((bound for bound in bounds if bound.of_memory), key=lambda bound: bound.count)
    if workers is None or workers <= max(1, tightest.count):
        return ""
    return f"--workers {workers}: memory allows {max(1, tightest.count)} ({tightest.why}); more may run out of memory"


def _on_gpus(cards: Sequence[Gpu], workers: int, limits: Limits) -> list[Slot]:
    """One slot per worker, each on the GPU with the most memory left."""
    capacities = [card.free_mb // (limits.gpu_memory_mb + CONTEXT_MB) for card in cards]
    counts = [0] * len(cards)
    for _ in range(workers):
        free = [capacity - count for capacity, count in zip(capacities, counts, strict=True)]
        counts[free.index(max(free))] += 1
    return [Slot(gpu=card.uuid) for card, count in zip(cards, counts, strict=True) for _ in range(count)]


class LocalExecutor:
    """Runs jobs with one worker process per slot; see `grader.batch.class_records.Executor`."""

    def __init__(self, slots: Sequence[Slot], log: Path) -> None:
        self._slots = tuple(slots) or (Slot(),)
        self._log = log

    def run(self, jobs: Sequence[Job], started: Callable[[str], None], ended: Callable[[JobResult], None]) -> None:
        """Runs all jobs, and calls `ended` once for each, in any order and in the caller's thread."""
        again = self._round(jobs, self._slots[: len(jobs)], started, ended, keep_short=len(self._slots) > 1)
        if again:
            self._round(again, self._slots[:1], started, ended, keep_short=False)

    def _round(
        self,
        jobs: Sequence[Job],
        slots: Sequence[Slot],
        started: Callable[[str], None],
        ended: Callable[[JobResult], None],
        *,
        keep_short: bool,
    ) -> list[Job]:
        """Tries the jobs; with `keep_short`, returns those that ran out of memory, to be tried alone."""
        waiting, messages = deque(jobs), SimpleQueue[JobResult | str | None]()
        job_of = {job.key: job for job in jobs}
        workers = [_Worker(slot, self._log) for slot in slots]
        threads = [threading.Thread(target=_serve, args=(w, waiting, messages), daemon=True) for w in workers]
        for thread in threads:
            thread.start()
        again, running = [], len(threads)
        try:
            while running:
                message = messages.get()
                if message is None:
                    running -= 1
                elif isinstance(message, str):
                    started(message)
                elif keep_short and message.short_of_memory:
                    again.append(job_of[message.key])
                else:
                    ended(message)
        finally:
            waiting.clear()
            for worker in workers:
                worker.stop()
            for thread in threads:
                thread.join(timeout=10)
        return again


def _serve(worker: _Worker, waiting: deque[Job], messages: SimpleQueue[JobResult | str | None]) -> None:
    try:
        while True:
            try:
                job = waiting.popleft()
            except IndexError:
                return
            messages.put(job.key)
            messages.put(worker.grade(job))
    finally:
        messages.put(None)


class _Worker:
    """A worker process, started when first needed, and again after it has died."""

    def __init__(self, slot: Slot, log: Path) -> None:
        self._slot, self._log = slot, log
        self._process: subprocess.Popen[bytes] | None = None
        self._stopped = False
        self._starting = threading.Lock()

    def grade(self, job: Job) -> JobResult:
        """Runs the job in the process; returns its result."""
        why = ""
        for _ in range(TRIES):
            with self._starting:
                if self._stopped:
                    break
                if self._process is None:
                    self._process = self._start()
            process = self._process
            try:
                assert process.stdin is not None
                assert process.stdout is not None
                process.stdin.write(json_line(JOB, job))
                process.stdin.flush()
                line = process.stdout.readline()
                if line:
                    return parse_json(line, JOB_RESULT)
            except (OSError, Unreadable, ValueError) as error:
                why = f" ({type(error).__name__})"
            self._bury()
        reason = f"the worker process died while grading it{why}; run the same command again"
        return JobResult(job.key, StudentState.FAILED, reason)

    def stop(self) -> None:
        """Ends the worker and its boxes."""
        with self._starting:
            self._stopped = True
        self._bury()

    def _start(self) -> subprocess.Popen[bytes]:
        variables = {VISIBLE: self._slot.gpu} if self._slot.gpu else {}
        with self._log.open("ab") as log:
            return subprocess.Popen(
                command(self._slot.cores),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env={**os.environ, **variables},
                start_new_session=True,
            )

    def _bury(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        process.wait()
        for stream in filter(None, (process.stdin, process.stdout)):
            with contextlib.suppress(OSError, ValueError):  # there may be unwritten data, which nothing reads any more
                stream.close()
