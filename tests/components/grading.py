"""Grades components of the corpus's notebooks for the tests of this folder, and returns the lost items."""

from __future__ import annotations

from pathlib import Path

import pytest
from _pytest.mark import ParameterSet

from grader.audit import corpus
from grader.checks import needing_training
from grader.exercises.vae_mnist.checks import CHECKS
from grader.grading.grade import Options, grade
from grader.notebook.format import dump_notebook
from grader.records import GradeReport, Notebook, Outcome

RUBRIC = corpus.ROOT / "rubric.yaml"
SEED = f"{7:032x}"
LOOP = """\
x_hat, mu, logvar = {call}
loss, _, _ = vae_loss(x_hat, x, mu, logvar)
optimizer.zero_grad()
loss.backward()
optimizer.step()
"""  # a right one, for `model(x)` or `model(x, y)`
QUALITY = needing_training(CHECKS)


def entries(kind: str) -> list[ParameterSet]:
    """Every entry of a kind as a test's parameter; those that are not for every day are marked long."""
    everyday = {name for name, solution in corpus.solutions().items() if solution.everyday}
    return [pytest.param(n, marks=() if n in everyday else pytest.mark.long) for n in corpus.names(kind)]


def graded(notebook: Notebook, folder: Path, *, train: bool = False, rubric: Path = RUBRIC) -> GradeReport:
    """The report on the notebook, graded in a real box with the same questions every time."""
    return graded_text(dump_notebook(notebook), folder, train=train, rubric=rubric)


def graded_text(text: str, folder: Path, *, train: bool = False, rubric: Path = RUBRIC) -> GradeReport:
    """The same for a notebook file's text."""
    path = folder / "submission.ipynb"
    path.write_text(text, encoding="utf-8")
    report, _ = grade(path, rubric, folder / "run", Options(seed=SEED, parts=None if train else ()), lambda _: None)
    return report


def lost(report: GradeReport) -> dict[str, list[str]]:
    """Item -> what its component checks found wrong, where they did not give all their points."""
    losses: dict[str, list[str]] = {}
    for item in report.items:
        for check in item.checks:
            if check.id not in QUALITY and check.outcome is not Outcome.PASSED:
                text = f"{check.id}: {check.outcome}: {check.message} {dict(check.measured)}"
                losses.setdefault(item.id, []).append(text)
    return losses
