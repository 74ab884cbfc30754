"""Runs submissions of the toy in a real box."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

import small_exercise
from grader.grading.plan import plan_frame
from grader.grading.run import Case, NotebookRun, box_pool, run_submission
from grader.notebook.restore import RestoredNotebook, restore_given
from grader.records import CellRun, Interface, Notebook, Rubric
from grader.rubric import load_rubric
from grader.sandbox.in_box.frames import Plan, Step
from small_exercise import notebook

FOLLOW = "\nreference: reference.ipynb\nfollow_through: {enabled: true, max_replaced: 1, share: 1.0}\n"


def write_exercise(folder: Path, *, follow: bool = False) -> Path:
    """The folder holds the toy's rubric, template and reference; returns the rubric's path."""
    rubric = folder / "rubric.yaml"
    rubric.write_text((small_exercise.FOLDER / "rubric.yaml").read_text() + (FOLLOW if follow else ""))
    (folder / "reference.ipynb").write_text(json.dumps(notebook.reference()))
    (folder / "template.ipynb").write_text(json.dumps(notebook.template()))
    return rubric


def rubric(**limits: Any) -> Rubric:
    """The toy's rubric with other limits."""
    toy, _ = load_rubric(small_exercise.FOLDER / "rubric.yaml")
    return replace(toy, limits=replace(toy.limits, **limits))


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
    exercise = small_exercise.Toy()
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
