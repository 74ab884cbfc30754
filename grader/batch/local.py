"""Grades several submissions at once on this machine: a worker process a slot, each on cores or a GPU of its own.

A worker that dies takes one submission with it, which is tried once more; one that ran short of memory beside others
is tried once more alone, before anybody is blamed for it.
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
CORES_A_GPU_BOX = 2  # the notebook's own process and the one that watches it


@dataclass(frozen=True, slots=True)
class Slot:
    """What a worker keeps to."""

    cores: frozenset[int] = frozenset()  # empty: any of them
    gpu: str = ""  # the UUID of the GPU that its boxes see; empty: the one that the grader's own boxes would see


def slots(workers: int | None, limits: Limits) -> list[Slot]:
    """A slot for each worker: as many as asked for, else as fit this machine.

    On a CPU there is a worker for each core, where PyTorch's kernels run in one thread: side by side that is faster
    than kernels that share all cores (docs/measurements.md). Fewer workers have several cores each. With GPUs, the
    memory of each decides how many workers it has, and cores are left alone.
    """
    allowed = sorted(os.sched_getaffinity(0))
    room = max(1, int(psutil.virtual_memory().available / 1e6 / limits.memory_mb))
    if cards := gpus():
        return _on_gpus(cards, workers, min(room, len(allowed) // CORES_A_GPU_BOX), limits)
    count = workers or min(room, len(allowed))
    if count > len(allowed):
        return [Slot()] * count
    return [Slot(frozenset(allowed[number::count])) for number in range(count)]


def _on_gpus(cards: Sequence[Gpu], workers: int | None, room: int, limits: Limits) -> list[Slot]:
    """Each worker's boxes go to the GPU that has most room left; `room` is what the rest of the machine has."""
    capacities = [card.free_mb // (limits.gpu_memory_mb + CONTEXT_MB) for card in cards]
    counts = [0] * len(cards)
    for _ in range(workers or max(1, min(room, sum(capacities)))):
        free = [capacity - count for capacity, count in zip(capacities, counts, strict=True)]
        counts[free.index(max(free))] += 1
    return [Slot(gpu=card.uuid) for card, count in zip(cards, counts, strict=True) for _ in range(count)]


class LocalExecutor:
    """See `grader.batch.class_records.Executor`; one worker for each slot."""

    def __init__(self, slots: Sequence[Slot], log: Path) -> None:
        self._slots = tuple(slots) or (Slot(),)
        self._log = log

    def run(self, jobs: Sequence[Job], started: Callable[[str], None], ended: Callable[[JobResult], None]) -> None:
        """Every job has been tried; `ended` was called for each, in any order, in the caller's own thread."""
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
        """Tries the jobs; returns those that ran short of memory, if they are to be kept for a try alone."""
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
    """One process at a time, started when it is first needed and again when it has died."""

    def __init__(self, slot: Slot, log: Path) -> None:
        self._slot, self._log = slot, log
        self._process: subprocess.Popen[bytes] | None = None
        self._stopped = False
        self._starting = threading.Lock()

    def grade(self, job: Job) -> JobResult:
        """What became of the job."""
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
        reason = f"the process that graded it ended before it was done{why}; run the same command again"
        return JobResult(job.key, StudentState.FAILED, reason)

    def stop(self) -> None:
        """The worker is gone, and its boxes with it."""
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
            with contextlib.suppress(OSError, ValueError):  # what was still to be written has no reader any more
                stream.close()
