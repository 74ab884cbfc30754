"""Writes solutions of the corpus as submitted notebooks.

These are the practice class of `corpus/settings.yaml`, or one notebook per named solution.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from grader.audit import corpus
from grader.audit.command import chosen
from grader.errors import GraderError
from grader.notebook.format import dump_notebook

NO_NOTEBOOK = "%PDF-1.7: a student may submit anything\n"


def write_solutions(folder: Path, names: Sequence[str]) -> tuple[Path, ...]:
    """Writes `<name>.ipynb` without outputs for each solution; returns the paths.

    Raises:
        GraderError: for a solution that the corpus does not have.
    """
    return tuple(_written(folder / f"{name}.ipynb", dump_notebook(corpus.build(name))) for name in chosen(names))


def write_class(folder: Path) -> tuple[Path, ...]:
    """Writes a file for each student of the practice class; returns the paths."""
    return tuple(
        _written(folder / f"{name}.ipynb", _handed_in(solution_names))
        for name, solution_names in corpus.practice().items()
    )


def _handed_in(solution_names: Sequence[str]) -> str:
    """The content of the student's file; with narrower networks where possible, to train in half the time."""
    if not solution_names:
        return NO_NOTEBOOK
    try:
        return dump_notebook(corpus.narrow(corpus.build(*solution_names)))
    except GraderError:
        return dump_notebook(corpus.build(*solution_names))


def _written(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path
