"""Who does the work of a class: a process pool on this machine, or a cluster's scheduler."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from grader.batch.records import Ended, Job


class Executor(Protocol):
    """Tries each job once; what came of it is in the job's folder, whoever did the work."""

    def run(self, jobs: Sequence[Job], started: Callable[[str], None], ended: Callable[[Ended], None]) -> None:
        """Every job has been tried; `ended` was called for each, in any order, from the caller's own thread."""
