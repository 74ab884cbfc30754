"""Runs submissions of the small exercise in a real box."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from grader.grading.plan import plan_frame
from grader.grading.run import Case, NotebookRun, box_pool, run_submission
from grader.notebook.restore import RestoredNotebook, restore_given
from grader.records import CellRun, Interface, Notebook, Rubric
from grader.rubric import load_rubric
from grader.sandbox.in_box.frames import Plan, Step
from grader.skeleton.exercise.plugin import TwoNumbers
from grader.skeleton.write import HERE as SKELETON
from small_exercise import notebook

# Small limits, so that a test which runs into one is quick.
LIMITS = """\
limits:
  wall_s: 60
  cell_s: 3
  probe_s: 10
  question_s: 2
  replay_s: 1
  kernel_restarts: 4
  memory_mb: 700
  gpu_memory_mb: 1000
  processes: 60
  disk_mb: 20
  output_mb: 6
  cell_output_mb: 0.5
  evidence_mb: 1
  notebook_mb: 1
  cells: 60
"""
FOLLOW = "\nreference: reference.ipynb\nfollow_through: {enabled: true, max_replaced: 1, share: 1.0}\n"


@cache
def rubric_text() -> str:
    """The skeleton's rubric with these limits, without `extends`, `reference`, `follow_through` and `interface`."""
    lines = (SKELETON / "course" / "rubric.yaml").read_text().splitlines(keepends=True)
    left_out = ("#", "extends:", "reference:", "follow_through:", "interface:")
    return "".join(line for line in lines if not line.startswith(left_out)) + "\n" + LIMITS


def write_exercise(folder: Path, *, follow: bool = False) -> Path:
    """The folder holds the exercise's rubric, template and reference; returns the rubric's path."""
    path = folder / "rubric.yaml"
    path.write_text(rubric_text() + (FOLLOW if follow else ""))
    (folder / "reference.ipynb").write_text(json.dumps(notebook.reference()))
    (folder / "template.ipynb").write_text(json.dumps(notebook.template()))
    return path


@cache
def _rubric() -> Rubric:
    with tempfile.TemporaryDirectory() as folder:
        return load_rubric(write_exercise(Path(folder)))[0]


def rubric(**limits: Any) -> Rubric:
    """The exercise's rubric with other limits."""
    return replace(_rubric(), limits=replace(_rubric().limits, **limits))


def plan(*steps: Step, **limits: Any) -> Plan:
    """A plan of these steps, for a box that is not asked by name."""
    return plan_frame(steps, Interface(), rubric(**limits).limits)


def restored(submission: Notebook) -> RestoredNotebook:
    """The submission as it is run."""
    return restore_given(submission, notebook.template())


def run(
    before: Sequence[str] = (),
    *,
    train: bool = True,
    changed: Mapping[str, str] | None = None,
    isolation: str = "bubblewrap",
    **limits: Any,
) -> NotebookRun:
    """A right solution with these cells before its own has run in a real box."""
    exercise = TwoNumbers()
    settings = rubric(**limits)
    questions = exercise.questions(np.random.default_rng(1), settings.sizes)
    submission = restored(notebook.submission(before, **(changed or {})))
    parts = None if train else ()
    with box_pool(exercise, settings.limits, {}, isolation) as boxes:
        case = Case(submission, settings, exercise, questions, boxes)
        return run_submission(case, lambda _: None, parts=parts)


def own(result: NotebookRun, number: int) -> tuple[CellRun, str]:
    """How the student's own cell of that number went, and all that it printed."""
    index = next(i for i, cell in enumerate(result.notebook["cells"]) if cell["id"] == f"own-{number}")
    outputs = result.notebook["cells"][index]["outputs"]
    text = "".join(o.get("text", "") + "\n".join(o.get("traceback", [])) for o in outputs)
    return next(cell for cell in result.execution.cells if cell.index == index), text
