"""A worker process: reads one job per line from its input, and answers with one result per line.

A worker uses only its cores, and ends with the process that started it, together with its boxes. A cluster task has no
worker process: it gets all of its jobs at the start.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Collection, Sequence

from pydantic import TypeAdapter

from grader.batch.class_records import Job, JobResult
from grader.sandbox.launch import signal_on_parent_death
from grader.store.json_files import json_line, parse_json

JOB: TypeAdapter[Job] = TypeAdapter(Job)
JOB_RESULT: TypeAdapter[JobResult] = TypeAdapter(JobResult)


def command(cores: Collection[int]) -> list[str]:
    """The command line that starts a worker on these cores; without cores, on all."""
    return [sys.executable, "-m", "grader.batch.worker", str(os.getpid()), ",".join(map(str, sorted(cores)))]


def main(parent: str, cores: str) -> None:
    """Runs jobs until the input ends."""
    signal_on_parent_death()
    if os.getppid() != int(parent):  # the parent died before this process could ask to end with it
        return
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent handles Ctrl-C
    if cores:
        os.sched_setaffinity(0, {int(core) for core in cores.split(",")})
    from grader.batch.work import work  # slow to load, so after `signal_on_parent_death`

    answers = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)  # keeps printed text out of the answers
    for line in sys.stdin.buffer:
        answers.write(json_line(JOB_RESULT, work(parse_json(line, JOB))))


def grade_chunk(jobs: Sequence[str]) -> None:
    """Grades the jobs, given as JSON, one after the other.

    Skips a submission that another task is grading or has finished.
    """
    from grader.batch.work import is_current, work
    from grader.errors import GraderError
    from grader.store.files import locked

    for text in jobs:
        job = parse_json(text.encode(), JOB)
        with contextlib.suppress(GraderError), locked(job.folder):
            if not is_current(job):
                work(job)


if __name__ == "__main__":
    main(*sys.argv[1:])
