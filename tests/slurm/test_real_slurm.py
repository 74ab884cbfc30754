"""A class on a real Slurm: everybody graded, whatever the scheduler ends, and the same points as on this machine."""

from __future__ import annotations

import csv
import io
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from one_node import MISSING, Slurm

sys.path.insert(0, str(Path(__file__).parents[1] / "batch"))
from toy_class import SEED, environment, write_class

pytestmark = [
    pytest.mark.slurm,
    pytest.mark.skipif(bool(MISSING), reason=f"not here: {', '.join(MISSING)} (Debian: slurm-wlm, munge)"),
]
KINDS = ("right", "wrong_double", "half_trained")
TIMES = ("notebook run time (s)", "graded at")
COUNT = 6


@pytest.fixture(scope="module")
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slurm]:
    with Slurm(tmp_path_factory.mktemp("slurm")) as scheduler:
        yield scheduler


@pytest.fixture(scope="module")
def toys(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, list[dict[str, str]]]:
    folder = tmp_path_factory.mktemp("toys")
    submissions, rubric = write_class(folder, COUNT, KINDS)
    with start(submissions, rubric, folder / "local", {}, "local") as grader:
        assert grader.wait(300) == 0
    return submissions, rubric, gradebook(folder / "local")


def start(
    submissions: Path, rubric: Path, out: Path, more: dict[str, str], executor: str = "slurm"
) -> subprocess.Popen[bytes]:
    cluster = rubric.with_name("slurm.yaml")
    cluster.write_text("partition: toys\ncpus: 1\nmem_gb: 0.5\ntime_min: 10\n")
    options = ["--rubric", rubric, "--out", out, "--seed", SEED, "--executor", executor, "--cluster", cluster]
    line = [sys.executable, "-m", "grader", "grade-class", submissions, *options]
    out.mkdir(parents=True, exist_ok=True)
    with (out / "command.log").open("ab") as log:
        return subprocess.Popen(list(map(str, line)), env=environment() | more, stdout=log, stderr=log)


def gradebook(out: Path) -> list[dict[str, str]]:
    rows = csv.DictReader(io.StringIO((out / "gradebook.csv").read_text()))
    return [{key: value for key, value in row.items() if key not in TIMES} for row in rows]


def running(slurm: Slurm) -> list[str]:
    lines = slurm.say("squeue", "--me", "--noheader", "--array", "--format=%i %T").splitlines()
    return [line.split()[0] for line in lines if line.endswith("RUNNING")]


def wait_for(what: object, seconds: float = 90) -> None:
    deadline = time.monotonic() + seconds
    while not what():  # type: ignore[operator]
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_the_points_are_the_same_as_on_this_machine(slurm: Slurm, toys: tuple, tmp_path: Path) -> None:  # type: ignore[type-arg]
    submissions, rubric, local = toys
    with start(submissions, rubric, tmp_path / "out", slurm.environment) as grader:
        assert grader.wait(400) == 0, (tmp_path / "out" / "command.log").read_text()
    assert gradebook(tmp_path / "out") == local
    assert f"{COUNT} of {COUNT} done" in (tmp_path / "out" / "grading.log").read_text()


def test_a_task_that_the_scheduler_ends_is_submitted_again(slurm: Slurm, toys: tuple, tmp_path: Path) -> None:  # type: ignore[type-arg]
    submissions, rubric, local = toys
    with start(submissions, rubric, tmp_path / "out", slurm.environment) as grader:
        wait_for(lambda: running(slurm))
        first = running(slurm)[0]
        slurm.say("scancel", first)
        wait_for(lambda: [task for task in running(slurm) if task != first])
        slurm.say("scontrol", "requeue", next(task for task in running(slurm) if task != first))
        assert grader.wait(500) == 0, (tmp_path / "out" / "command.log").read_text()
    assert gradebook(tmp_path / "out") == local


def test_a_killed_command_finds_its_tasks_again(slurm: Slurm, toys: tuple, tmp_path: Path) -> None:  # type: ignore[type-arg]
    submissions, rubric, local = toys
    with start(submissions, rubric, tmp_path / "out", slurm.environment) as grader:
        wait_for(lambda: running(slurm))
        wait_for(lambda: (tmp_path / "out" / "slurm" / "queue.json").exists())
        grader.kill()
    before = set(slurm.say("squeue", "--me", "--noheader", "--array", "--format=%F").split())
    with start(submissions, rubric, tmp_path / "out", slurm.environment) as grader:
        time.sleep(4)
        now = set(slurm.say("squeue", "--me", "--noheader", "--array", "--format=%F").split())
        assert now <= before  # no job was submitted twice
        assert grader.wait(500) == 0, (tmp_path / "out" / "command.log").read_text()
    assert gradebook(tmp_path / "out") == local


def test_without_slurm_the_command_is_refused(toys: tuple, tmp_path: Path) -> None:  # type: ignore[type-arg]
    submissions, rubric, _ = toys
    empty = tmp_path / "bin"
    empty.mkdir()
    (empty / "env").symlink_to("/usr/bin/env")
    with start(submissions, rubric, tmp_path / "out", {"PATH": os.fspath(empty)}) as grader:
        assert grader.wait(100) == 2
    assert "is this a login node?" in (tmp_path / "out" / "command.log").read_text()
