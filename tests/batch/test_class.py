"""A class is graded whole, resumed where it was cut off, and says the same however often it was killed."""

from __future__ import annotations

import csv
import io
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from toy_class import KINDS, SEED, environment, write_class, write_kind

pytestmark = pytest.mark.whole

TIMES = ("notebook run time (s)", "graded at")


def command(submissions: Path, rubric: Path, out: Path, *more: str) -> list[str]:
    options = ["--rubric", rubric, "--out", out, "--seed", SEED, *more]
    return [sys.executable, "-m", "grader", "grade-class", *map(str, [submissions, *options])]


def graded(submissions: Path, rubric: Path, out: Path, *more: str) -> subprocess.CompletedProcess[str]:
    line = command(submissions, rubric, out, *more)
    return subprocess.run(line, capture_output=True, text=True, env=environment(), timeout=300)


def regraded(out: Path, *more: str) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-m", "grader", "regrade", str(out), *more]
    return subprocess.run(line, capture_output=True, text=True, env=environment() | {"COLUMNS": "200"}, timeout=300)


def gradebook(out: Path) -> list[dict[str, str]]:
    rows = list(csv.DictReader(io.StringIO((out / "gradebook.csv").read_text())))
    return [{key: value for key, value in row.items() if key not in TIMES} for row in rows]


@pytest.fixture(scope="module")
def toys(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Path]:
    folder = tmp_path_factory.mktemp("toys")
    submissions, rubric = write_class(folder, len(KINDS))
    run = graded(submissions, rubric, folder / "out")
    assert run.returncode == 1, run.stderr  # one of them is not a notebook
    return submissions, rubric, folder / "out"


def test_a_class_has_a_row_per_student_and_a_repeated_run_does_nothing(toys: tuple[Path, Path, Path]) -> None:
    submissions, rubric, out = toys
    rows = gradebook(out)
    assert [row["key"] for row in rows] == [f"student{number:04d}" for number in range(len(KINDS))]
    others = {row["key"]: row["state"] for row in rows if row["state"] != "graded"}
    assert others == {"student0003": "needs manual review", "student0004": "not gradable"}
    assert rows[3]["reason"]
    assert rows[0]["points"] == "9"
    assert rows[4]["points"] == ""
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*") if path.is_file()}
    again = graded(submissions, rubric, out)
    assert "1 to grade" in again.stderr, again.stderr  # what was refused is looked at again
    after = {path: path.stat().st_mtime_ns for path in out.rglob("*") if path.is_file()}
    changed = {path.name for path in after if after[path] != before.get(path)}
    assert changed <= {"grading.log", "workers.log", ".lock", "ended.json"}


def test_only_what_changed_is_run_again(toys: tuple[Path, Path, Path], tmp_path: Path) -> None:
    submissions, rubric = write_class(tmp_path, 3, ["right"])
    out = tmp_path / "out"
    assert graded(submissions, rubric, out).returncode == 0
    write_kind(submissions / "student0001.ipynb", "raises")
    write_kind(submissions / "student0007.ipynb", "right", 7)
    evidence = {path: path.stat().st_mtime_ns for path in out.rglob("evidence.safetensors")}
    assert "2 to grade" in graded(submissions, rubric, out).stderr
    same = [path.parent.name for path, then in evidence.items() if path.stat().st_mtime_ns == then]
    assert sorted(same) == ["student0000", "student0002"]


def test_a_changed_threshold_regrades_without_running_notebooks(tmp_path: Path) -> None:
    submissions, rubric = write_class(tmp_path, 2, ["half_trained"])
    out = tmp_path / "out"
    graded(submissions, rubric, out)
    evidence = {path: path.stat().st_mtime_ns for path in out.rglob("evidence.safetensors")}
    rubric.write_text(rubric.read_text().replace("title: ", "title: Another ", 1))
    second_run = graded(submissions, rubric, out)
    assert "2 to grade" in second_run.stderr, second_run.stderr
    assert {path: path.stat().st_mtime_ns for path in out.rglob("evidence.safetensors")} == evidence


def test_regrade_shows_the_gains_and_keeps_overrides(tmp_path: Path) -> None:
    submissions, rubric = write_class(tmp_path, 2, ["half_trained", "wrong_double"])
    out = tmp_path / "out"
    graded(submissions, rubric, out)
    before = {row["key"]: row["points"] for row in gradebook(out)}
    easier = rubric.read_text().replace("zero_at: 1.0, full_at: 0.1", "zero_at: 1.2, full_at: 1.1")
    rubric.write_text(easier)
    decision = "student0001:\n  one.function: {points: 1.5, reason: nearly right, by: A. Turing}\n"
    (out / "overrides.yaml").write_text(decision)
    regrade = regraded(out, "--reason", "the loss hardly falls in four steps")
    assert regrade.returncode == 0, regrade.stderr + regrade.stdout
    after = {row["key"]: row["points"] for row in gradebook(out)}
    assert float(after["student0000"]) == float(before["student0000"]) + 4
    assert float(after["student0001"]) == float(before["student0001"]) + 1.5
    assert "student0000" in regrade.stdout
    history = (out / "history.jsonl").read_text()
    assert "the loss hardly falls in four steps" in history
    assert "A. Turing: nearly right" in history
    assert "nearly right" in (out / "submissions/student0001/report.html").read_text()
    again = regraded(out)
    assert "0 changed" in again.stdout
    assert (out / "history.jsonl").read_text() == history
    assert (out / "overrides.yaml").read_text() == decision
    graded(submissions, rubric, out)
    assert {row["key"]: row["points"] for row in gradebook(out)} == after


def kills(submissions: Path, rubric: Path, out: Path, times: int, rng: random.Random) -> int:
    """The command is started and killed, or a worker of it, so many times; then it is run to its end."""
    done = 0
    for _ in range(times):
        with subprocess.Popen(
            command(submissions, rubric, out), env=environment(), stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL
        ) as grader:
            time.sleep(rng.uniform(0.5, 9))
            try:
                workers = psutil.Process(grader.pid).children()
                victim = rng.choice([grader.pid, *(worker.pid for worker in workers)])
                os.kill(victim, signal.SIGKILL)
                done += 1
            except (psutil.Error, ProcessLookupError):
                pass
            time.sleep(rng.uniform(0, 0.5))
            grader.kill()
    for _ in range(2):
        graded(submissions, rubric, out)
    return done


def check_kills(toys: tuple[Path, Path, Path], folder: Path, times: int) -> None:
    submissions, rubric, undisturbed = toys
    assert kills(submissions, rubric, folder / "out", times, random.Random(5)) > times // 2
    assert gradebook(folder / "out") == gradebook(undisturbed)
    assert not [p for p in psutil.process_iter(["cmdline"]) if str(folder) in " ".join(p.info["cmdline"] or [])]
    assert not list((folder / "out").rglob(".*.tmp"))


def test_three_kills_change_nothing(toys: tuple[Path, Path, Path], tmp_path: Path) -> None:
    check_kills(toys, tmp_path, 3)


@pytest.mark.long
def test_fifty_kills_change_nothing(toys: tuple[Path, Path, Path], tmp_path: Path) -> None:
    check_kills(toys, tmp_path, 50)
