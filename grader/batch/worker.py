"""A process that grades one submission after the other: a job a line on its input, what became of it a line back.

It keeps to the cores that it is given, and ends with the process that started it, its boxes with it. A task of the
cluster has no such process: it is given its jobs at once.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Collection, Sequence

from pydantic import TypeAdapter

from grader.batch.records import Ended, Job
from grader.sandbox.launch import end_with_parent

JOB: TypeAdapter[Job] = TypeAdapter(Job)
ENDED: TypeAdapter[Ended] = TypeAdapter(Ended)


def command(cores: Collection[int]) -> list[str]:
    """The command line that starts a worker on these cores; on all of them where there are none."""
    return [sys.executable, "-m", "grader.batch.worker", str(os.getpid()), ",".join(map(str, sorted(cores)))]


def main(parent: str, cores: str) -> None:
    """Works until its input ends."""
    end_with_parent()
    if os.getppid() != int(parent):  # it died before this one could ask to die with it
        return
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides
    if cores:
        os.sched_setaffinity(0, {int(core) for core in cores.split(",")})
    from grader.batch.work import work  # what takes long to load comes after the promise to die

    answers = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)  # whatever prints cannot be taken for an answer
    for line in sys.stdin.buffer:
        answers.write(ENDED.dump_json(work(JOB.validate_json(line))) + b"\n")


def grade_chunk(jobs: Sequence[str]) -> None:
    """Each job's folder holds its report, or why there is none; the jobs come as JSON.

    A submission that another task is at work on, or has finished, is left alone.
    """
    from grader.batch.work import is_current, work
    from grader.errors import GraderError
    from grader.store.files import locked

    for text in jobs:
        job = JOB.validate_json(text)
        with contextlib.suppress(GraderError), locked(job.folder):
            if not is_current(job):
                work(job)


if __name__ == "__main__":
    main(*sys.argv[1:])
