"""A class larger than one array of tasks: every student is submitted, and the queue stays within its limit."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from grader.batch import slurm
from grader.batch.class_records import Job, JobResult, StudentState
from grader.batch.slurm import SlurmConfig, SlurmExecutor
from grader.batch.work import FAILED_ATTEMPT


class Scheduler(SlurmExecutor):
    """A scheduler that does a few tasks at each poll, and remembers how many it was given at once."""

    def __init__(self, out: Path, config: SlurmConfig, each_poll: int) -> None:
        super().__init__(out, config)
        self.given: list[int] = []
        self.fullest = 0
        self._each_poll = each_poll
        self._queue: dict[str, list[Job]] = {}

    def _states(self) -> dict[str, str]:
        for task in list(self._queue)[: self._each_poll]:
            for job in self._queue.pop(task):
                job.folder.mkdir(parents=True, exist_ok=True)
                (job.folder / FAILED_ATTEMPT).write_text(json.dumps({"state": "refused", "reason": "a test"}))
        return dict.fromkeys(self._queue, "PENDING")

    def _known(self) -> dict[str, list[str]]:
        return {task: [job.key for job in jobs] for task, jobs in self._queue.items()}

    def _submit(self, jobs: Sequence[Job], tasks: Mapping[str, list[str]]) -> None:
        size = self._config.chunk
        chunks = [list(jobs[start : start + size]) for start in range(0, len(jobs), size)]
        if chunks:
            self.given.append(len(chunks))
        self._queue |= {f"{len(self.given)}_{number}": chunk for number, chunk in enumerate(chunks)}
        self.fullest = max(self.fullest, len(self._queue))


@pytest.mark.parametrize(
    ("count", "chunk", "given"), [(7, 1, [7]), (25, 1, [10, 10, 5]), (25, 3, [9]), (65, 3, [10, 10, 2])]
)
def test_a_large_class_is_submitted_in_arrays(
    count: int, chunk: int, given: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slurm, "POLL_S", 0.0)
    monkeypatch.setattr(slurm, "POLL_EACH_S", 0.0)
    monkeypatch.setattr(slurm, "MOST_TASKS", 10)
    scheduler = Scheduler(tmp_path, SlurmConfig(at_once=4, chunk=chunk), each_poll=2)
    jobs = [
        Job(f"student{number}", tmp_path / f"{number}.ipynb", tmp_path / "runs" / str(number), tmp_path / "rubric.yaml")
        for number in range(count)
    ]
    results: list[JobResult] = []
    scheduler.run(jobs, lambda _: None, results.append)
    assert sorted(ended.key for ended in results) == sorted(job.key for job in jobs)
    assert {ended.state for ended in results} == {StudentState.REFUSED}
    assert scheduler.given == given
    assert scheduler.fullest <= 10 + 4
