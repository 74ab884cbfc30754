"""What a task of the cluster does: some submissions, one after the other, each into its folder."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence


def grade_chunk(jobs: Sequence[str]) -> None:
    """Each job's folder holds its report, or why there is none; the jobs come as JSON.

    A submission that another task is at work on, or has finished, is left alone.
    """
    from grader.batch.work import is_current, work
    from grader.batch.worker import JOB
    from grader.errors import GraderError
    from grader.lock import locked

    for text in jobs:
        job = JOB.validate_json(text)
        with contextlib.suppress(GraderError), locked(job.folder):
            if not is_current(job):
                work(job)
