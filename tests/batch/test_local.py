"""Several submissions at once on this machine: each gets the same points as alone, and none stops the others."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path

import psutil
import pytest
from toy_class import KINDS, environment, jobs, write_class

from grader.batch.class_records import JobResult, StudentState
from grader.batch.local import LocalExecutor, Slot
from grader.batch.work import is_current, stored_result, work

pytestmark = pytest.mark.whole

CORES = sorted(os.sched_getaffinity(0))


@pytest.fixture(autouse=True)
def _python_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", environment()["PYTHONPATH"])


def run(executor: LocalExecutor, todo: list) -> tuple[dict[str, JobResult], list[str]]:  # type: ignore[type-arg]
    results: dict[str, JobResult] = {}
    began: list[str] = []
    executor.run(todo, began.append, lambda ended: results.update({ended.key: ended}))
    return results, began


def test_each_submission_gets_the_same_points_as_alone_and_the_folder_agrees(tmp_path: Path) -> None:
    submissions, rubric = write_class(tmp_path, len(KINDS))
    todo = jobs(tmp_path, submissions, rubric)
    results, began = run(LocalExecutor([Slot(frozenset({core})) for core in CORES[:2]], tmp_path / "log"), todo)
    assert sorted(results) == sorted(began) == [job.key for job in todo]
    for job, kind in zip(todo, KINDS, strict=True):
        alone = work(jobs(tmp_path / "alone", submissions, rubric)[KINDS.index(kind)])
        assert (results[job.key].state, results[job.key].points_milli) == (alone.state, alone.points_milli)
        folder_result = stored_result(job)
        assert folder_result is not None
        assert (folder_result.state, folder_result.points_milli) == (alone.state, alone.points_milli)
    assert results["student0000"].points_milli == 9000
    assert results["student0004"].state is StudentState.REFUSED
    assert [is_current(job) for job in todo] == [kind != "no_json" for kind in KINDS]


def test_a_worker_that_is_killed_costs_one_try_and_the_class_goes_on(tmp_path: Path) -> None:
    submissions, rubric = write_class(tmp_path, 3, ["right"])
    killed: list[int] = []

    def kill_one() -> None:
        deadline = time.monotonic() + 60
        while not killed and time.monotonic() < deadline:
            for child in psutil.Process().children():
                if "grader.batch.worker" in child.cmdline() and (tmp_path / "runs" / "student0000").exists():
                    os.kill(child.pid, signal.SIGKILL)
                    killed.append(child.pid)
                    return
            time.sleep(0.01)

    thread = threading.Thread(target=kill_one)
    thread.start()
    results, _ = run(LocalExecutor([Slot()], tmp_path / "log"), jobs(tmp_path, submissions, rubric))
    thread.join()
    assert killed
    assert [results[key].points_milli for key in sorted(results)] == [9000, 9000, 9000]


def test_no_worker_is_left(tmp_path: Path) -> None:
    submissions, rubric = write_class(tmp_path, 1, ["right"])
    run(LocalExecutor([Slot()] * 3, tmp_path / "log"), jobs(tmp_path, submissions, rubric))
    assert not [child for child in psutil.Process().children() if "grader.batch.worker" in child.cmdline()]


def test_a_submission_that_ran_out_of_memory_beside_others_is_tried_again_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from grader.batch import local

    tries: list[tuple[str, int]] = []

    class Small:
        alive = 0

        def __init__(self, slot: Slot, log: Path) -> None:
            Small.alive += 1

        def grade(self, job: local.Job) -> JobResult:
            tries.append((job.key, Small.alive))
            beside = Small.alive > 1
            return JobResult(job.key, StudentState.GRADED, points_milli=0 if beside else 9000, short_of_memory=beside)

        def stop(self) -> None:
            Small.alive -= 1

    monkeypatch.setattr(local, "_Worker", Small)
    submissions, rubric = write_class(tmp_path, 2, ["right"])
    results, _ = run(LocalExecutor([Slot()] * 2, tmp_path / "log"), jobs(tmp_path, submissions, rubric))
    assert [results[key].points_milli for key in sorted(results)] == [9000, 9000]
    assert sorted(tries) == [("student0000", 1), ("student0000", 2), ("student0001", 1), ("student0001", 2)]
