"""A class of toy submissions, right and wrong in many ways, and jobs to grade them."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path

from small_exercise import notebook, running

from grader.batch.class_records import Job

SEED = f"{11:032x}"
KINDS = ("right", "wrong_double", "half_trained", "raises", "no_json", "empty", "prints")
POINTS = {"right": 9000}


def write_kind(path: Path, kind: str, number: int = 0) -> Path:
    """The file holds a submission of this kind; the number makes it differ from the others."""
    own = [f"number = {number}"]
    if kind == "no_json":
        path.write_text("this is no notebook")
        return path
    changed = {
        "wrong_double": {"double": "def double(x):\n    return 3 * x"},
        "half_trained": {"train_one": "def train_one(model, steps):\n    model['history'] = [1.0] * steps"},
        "raises": {"train_two": "def train_two(model, steps):\n    raise ValueError('no idea')"},
        "empty": {"double": "def double(x):\n    pass", "triple": "def triple(x):\n    pass"},
    }.get(kind, {})
    own += ["print('x' * 1000)"] if kind == "prints" else []
    path.write_text(json.dumps(notebook.submission(own, **changed)))
    return path


def write_class(folder: Path, count: int, kinds: Sequence[str] = KINDS) -> tuple[Path, Path]:
    """The folder holds so many submissions, of each kind in turn, and the toy's rubric; returns both paths."""
    submissions = folder / "submissions"
    submissions.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        write_kind(submissions / f"student{number:04d}.ipynb", kinds[number % len(kinds)], number)
    exercise = folder / "exercise"
    exercise.mkdir(exist_ok=True)
    return submissions, running.write_exercise(exercise)


def jobs(folder: Path, submissions: Path, rubric: Path) -> list[Job]:
    """A job for each file."""
    return [
        Job(path.stem, path, folder / "runs" / path.stem, rubric, seed=SEED) for path in sorted(submissions.iterdir())
    ]


def environment() -> dict[str, str]:
    """In which other processes find the grader and the toy."""
    tests = Path(__file__).parents[1]
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(tests), str(tests.parent)])}
