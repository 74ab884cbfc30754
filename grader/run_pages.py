"""What people read in a run folder: the report in every form, its pictures and the notebook, each drawn once."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from grader.bounded import Unreadable, file_bytes, json_value
from grader.evidence import MAX_FILE
from grader.exercise import Exercise
from grader.files import write_atomically
from grader.fingerprint import judging_checksum
from grader.notebook.format import load_notebook
from grader.records import Execution, Figure, GradeReport, Notebook, Rubric
from grader.report.feedback import feedback_html
from grader.report.gradescope import results_json
from grader.report.html import report_html
from grader.report.notebook.view import NotebookView, make_view, store_view, stored_view
from grader.report.report_json import dump, dump_json
from grader.report.student_text import feedback_text
from grader.report.wall import wall_strip
from grader.run_files import EXECUTED, EXECUTION, FIGURES, REPORT, WALL
from grader.run_folder import evidence_checksum, stored_evidence

FEEDBACK = "feedback.html"
_MAX_VALUES = 1_000_000
_EXECUTION: TypeAdapter[Execution] = TypeAdapter(Execution)


def write_report(folder: Path, report: GradeReport, exercise: Exercise, rubric: Rubric) -> None:
    """The folder holds the report in every form, `report.json` last; what would be the same is not written."""
    drawn, execution = figures(folder, exercise), stored_execution(folder)
    names = written_names(exercise, rubric)
    view = notebook_view(folder, exercise, names, execution)
    _write(folder / "results.json", dump_json(results_json(report)))
    _write(folder / "feedback.txt", feedback_text(report).encode())
    _write(folder / FEEDBACK, feedback_html(report, drawn, view, names).encode())
    _write(folder / "report.html", report_html(report, drawn, execution).encode())
    _write(folder / REPORT, dump(report))


def draw(folder: Path, exercise: Exercise, rubric: Rubric) -> None:
    """The folder keeps its pictures and its notebook as pages show them: `write_report` finds them there."""
    figures(folder, exercise)
    notebook_view(folder, exercise, written_names(exercise, rubric), stored_execution(folder))


def load_pages() -> None:
    """What only a report needs is in memory: a small notebook has been rendered."""
    text = {"cell_type": "markdown", "metadata": {}, "source": "*$x$*"}
    code: Notebook = {"cell_type": "code", "metadata": {}, "source": "x = 1", "outputs": [], "execution_count": None}
    make_view({"cells": [text, code], "metadata": {}, "nbformat": 4, "nbformat_minor": 4}, {}, ())


def written_names(exercise: Exercise, rubric: Rubric) -> dict[str, tuple[str, ...]]:
    """Item -> the notebook's own names beside which its remarks stand, in the rubric's order."""
    own = rubric.interface.names

    def actual(name: str) -> str:
        return ".".join(own.get(part, part) for part in name.removesuffix("()").split(".")) + "()" * name.endswith("()")

    beside = {**exercise.asks_for, **exercise.beside}
    return {item.id: tuple(map(actual, beside[item.id])) for item in rubric.items if item.id in beside}


def notebook_view(
    folder: Path, exercise: Exercise, names: Mapping[str, Sequence[str]], execution: Execution | None
) -> NotebookView | None:
    """The executed notebook as it is shown; None where the folder holds none that can be."""
    try:
        written = (folder / EXECUTED).lstat()
        told = {item: list(those) for item, those in names.items()}
        belongs_to = {
            "notebook": [written.st_size, written.st_mtime_ns],
            "names": told,
            "judging": judging_checksum(exercise.in_box.parent),
        }
        if (known := stored_view(folder, belongs_to)) is not None:
            return known
        made = make_view(load_notebook(folder / EXECUTED), names, execution.cells if execution else ())
        store_view(folder, made, belongs_to)
    except (
        Exception
    ):  # an older run's folder, or whatever a notebook makes the renderer do: its points do not hang on being shown
        return None
    return made


def stored_execution(folder: Path) -> Execution | None:
    """How the folder's run went; None where it does not say."""
    try:
        told = json_value(file_bytes(folder / EXECUTION, MAX_FILE), most_values=_MAX_VALUES)
        return _EXECUTION.validate_python(told)
    except (Unreadable, ValidationError):
        return None


def figures(folder: Path, exercise: Exercise) -> list[Figure]:
    """The pictures of the folder's evidence, drawn once and kept."""
    belongs_to = {"evidence": evidence_checksum(folder), "judging": judging_checksum(exercise.in_box.parent)}
    try:
        known = json_value(file_bytes(folder / FIGURES, MAX_FILE), most_values=_MAX_VALUES)
        if known["belongs_to"] == belongs_to:
            return [Figure(**{**one, "png": base64.b64decode(one["png"])}) for one in known["figures"]]
    except (Unreadable, KeyError, TypeError, ValueError):
        pass  # then they are drawn again
    drawn = exercise.figures(stored_evidence(folder))
    if strip := wall_strip(drawn):
        write_atomically(folder / WALL, strip)
    told = [{**asdict(figure), "png": base64.b64encode(figure.png).decode()} for figure in drawn]
    write_atomically(folder / FIGURES, dump_json({"belongs_to": belongs_to, "figures": told}))
    return drawn


def _write(path: Path, content: bytes) -> None:
    if not path.is_file() or path.is_symlink() or path.stat().st_size != len(content) or path.read_bytes() != content:
        write_atomically(path, content)
