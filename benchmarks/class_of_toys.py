"""The overhead of grading a class: one submission at a time against two, the supervisor's memory, and a regrade.

The submissions are those of `tests/small_exercise`, so nearly all of the time is the grader's own. `make bench-class`
runs this module; an argument sets the number of submissions.
"""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

TESTS = Path(__file__).parents[1] / "tests"
sys.path.insert(0, str(TESTS))
SEED = f"{11:032x}"
TIMES = ("notebook run time (s)", "graded at")
LARGE = (20, 200, 2000)


def main(count: int) -> None:
    """Prints one measurement per line."""
    from small_exercise import running

    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(TESTS), str(TESTS.parent)])}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        rubric = running.write_exercise(folder)
        submissions = _submissions(folder / "submissions", count)
        took = {}
        for workers in (1, 2):
            out = folder / f"workers{workers}"
            took[workers], peak = _run("grade-class", submissions, rubric, out, environment, "--workers", str(workers))
            print(
                f"{count} submissions, {workers} at once: {took[workers]:.0f} s, supervisor {peak:.0f} MB", flush=True
            )
        print(f"ratio {took[2] / took[1]:.3f}")
        print(
            f"the same gradebook except for times: {_gradebook(folder / 'workers1') == _gradebook(folder / 'workers2')}"
        )
        for large in LARGE:
            out = folder / f"large{large}"
            many = _many(folder, submissions, folder / "workers2", large, out)
            seconds, peak = _run("grade-class", many, rubric, out, environment, "--workers", "2")
            print(
                f"{large} submissions, all but four graded before: {seconds:.0f} s, supervisor {peak:.0f} MB",
                flush=True,
            )
        rubric.write_text(rubric.read_text().replace("full_at: 0.1", "full_at: 0.2"))
        for _ in range(2):
            seconds, peak = _run("regrade", folder / "large200", rubric, None, environment, "--workers", "2")
            print(f"regrade of 200: {seconds:.1f} s, supervisor {peak:.0f} MB", flush=True)


def _submissions(folder: Path, count: int) -> Path:
    from small_exercise import notebook

    folder.mkdir()
    wrong = {"train_one": "def train_one(model, steps):\n    model['history'] = [1.0, 0.5]"}
    for number in range(count):
        submission = notebook.submission([f"number = {number}"], **(wrong if number % 3 == 2 else {}))
        (folder / f"student{number:04d}.ipynb").write_text(json.dumps(submission))
    return folder


def _many(folder: Path, submissions: Path, graded: Path, count: int, out: Path) -> Path:
    """A class of `count` copies of the first submissions, of which all but the last four are graded."""
    many = folder / f"submissions{count}"
    many.mkdir()
    names = sorted(path.name for path in submissions.iterdir())
    for number in range(count):
        origin, name = names[number % len(names)], f"copy{number:05d}"
        shutil.copy(submissions / origin, many / f"{name}.ipynb")
        if number < count - 4:
            shutil.copytree(graded / "submissions" / Path(origin).stem, out / "submissions" / name)
    return many


def _run(
    verb: str, where: Path, rubric: Path, out: Path | None, environment: dict[str, str], *more: str
) -> tuple[float, float]:
    """Runs the command; returns its seconds, and its own process's peak memory in MB."""
    line = [sys.executable, "-m", "grader", verb, str(where), "--rubric", str(rubric), *more]
    line += ["--out", str(out), "--seed", SEED] if out else []
    started, peak = time.perf_counter(), 0.0
    with subprocess.Popen(line, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as grader:
        supervisor = psutil.Process(grader.pid)
        while grader.poll() is None:
            try:
                peak = max(peak, supervisor.memory_info().rss / 1e6)
            except psutil.Error:
                break
            time.sleep(0.05)
    if grader.returncode not in {0, 1}:
        raise SystemExit(f"{verb} ended with {grader.returncode}")
    return time.perf_counter() - started, peak


def _gradebook(out: Path) -> list[dict[str, str]]:
    rows = csv.DictReader(io.StringIO((out / "gradebook.csv").read_text()))
    return [{key: value for key, value in row.items() if key not in TIMES} for row in rows]


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 200)
