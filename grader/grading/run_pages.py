"""Writes the files that people read in a run folder: the report in every form, its pictures and the notebook."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

from pydantic import TypeAdapter

from grader.errors import GraderError
from grader.evidence import MAX_FILE
from grader.exercise import Exercise
from grader.grading.cache_keys import FileKind, code_key
from grader.grading.run import NotebookRun
from grader.grading.run_files import EXECUTED, FEEDBACK, FIGURES, NOTEBOOK_VIEW, REPORT, STRIP
from grader.grading.stored_run import evidence_checksum, read_owner, stored_evidence, stored_execution
from grader.notebook.format import load_notebook, normalise, source_of
from grader.notebook.restore import Templates, load_templates
from grader.notebook.roles import is_task
from grader.records import Execution, Figure, GradeReport, Notebook, Plane, Rubric
from grader.report.notebook_view import NotebookView, make_view
from grader.report.pages import Again, feedback_html, report_html
from grader.report.report_json import dump
from grader.report.strip import picture_strip
from grader.report.student_text import feedback_text, results_json
from grader.store.bounded import Unreadable, file_bytes
from grader.store.files import write_atomically, write_changed
from grader.store.json_files import dump_json, read_cached, store_cached

_StoredFigure = dict[str, str | bool | Plane | None]
_FIGURES: TypeAdapter[list[_StoredFigure]] = TypeAdapter(list[_StoredFigure])
_VIEW: TypeAdapter[NotebookView] = TypeAdapter(NotebookView)


@dataclass(frozen=True, slots=True)
class Drawings:
    """Parts of the pages in addition to the report; no view if the notebook cannot be shown."""

    figures: Sequence[Figure]
    view: NotebookView | None


def draw(notebook_run: NotebookRun, exercise: Exercise, rubric: Rubric, templates: Templates) -> Drawings:
    """Draws the run's pictures, and its notebook as its pages show it."""
    names = written_names(exercise, rubric)
    view = _view_or_none(notebook_run.notebook, names, notebook_run.execution, provided_sources(templates))
    return Drawings(exercise.figures(notebook_run.evidence), view)


def store_drawings(folder: Path, drawings: Drawings, exercise: Exercise, rubric: Rubric) -> None:
    """Stores the drawings in the folder of their run."""
    _keep_figures(folder, drawings.figures, exercise)
    if drawings.view is not None:
        store_cached(
            folder / NOTEBOOK_VIEW,
            _VIEW,
            drawings.view,
            _view_made_of(folder, exercise, written_names(exercise, rubric)),
        )


def write_report(folder: Path, report: GradeReport, exercise: Exercise, rubric: Rubric) -> None:
    """Writes the pages with the drawings stored in the folder; draws and stores missing ones."""
    names, execution = written_names(exercise, rubric), stored_execution(folder)
    drawings = Drawings(_figures(folder, exercise), _view(folder, exercise, rubric, names, execution))
    write_pages(folder, report, drawings, execution, names, folder)


def write_pages(
    folder: Path,
    report: GradeReport,
    drawings: Drawings,
    execution: Execution | None,
    names: Mapping[str, tuple[str, ...]],
    home: Path,
) -> None:
    """Writes the report in every form into the folder, `report.json` last; unchanged files are not written again.

    `names` are those of `written_names`; `home` is where the folder's files will lie.
    """
    write_changed(folder / "results.json", dump_json(results_json(report, drawings.view)))
    write_changed(folder / "feedback.txt", feedback_text(report, drawings.view).encode())
    write_changed(folder / FEEDBACK, feedback_html(report, drawings.figures, drawings.view, names).encode())
    staff = report_html(report, drawings.figures, execution, _again(home), drawings.view)
    write_changed(folder / "report.html", staff.encode())
    write_changed(folder / REPORT, dump(report))


def _again(home: Path) -> Again | None:
    """Returns the paths to type to repeat the run; None if the folder does not name its notebook."""
    if (owner := read_owner(home)) is None or not owner.rubric:
        return None
    return Again(_typed(Path(owner.of)), _typed(home.resolve()), _typed(Path(owner.rubric)))


def _typed(path: Path) -> str:
    """Returns the path as it is typed in the project's folder."""
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)


def load_pages() -> None:
    """Loads the modules that only a report needs, by rendering a small notebook."""
    text = {"cell_type": "markdown", "metadata": {}, "source": "*$x$*"}
    code: Notebook = {"cell_type": "code", "metadata": {}, "source": "x = 1", "outputs": [], "execution_count": None}
    make_view({"cells": [text, code], "metadata": {}, "nbformat": 4, "nbformat_minor": 4}, {}, ())


def written_names(exercise: Exercise, rubric: Rubric) -> dict[str, tuple[str, ...]]:
    """Item -> the notebook's own names at whose cells its comments are shown, in the rubric's order."""
    actual_names = rubric.interface.names

    def in_notebook(name: str) -> str:
        parts = name.removesuffix("()").split(".")
        return ".".join(actual_names.get(part, part) for part in parts) + "()" * name.endswith("()")

    annotated = {item: spec.annotated_names for item, spec in exercise.items.items()}
    return {item.id: tuple(map(in_notebook, annotated[item.id])) for item in rubric.items if annotated.get(item.id)}


def provided_sources(templates: Templates) -> frozenset[str]:
    """The normalised sources of the cells that the templates provide: all cells but those that students fill in."""
    cells = (cell for template in templates.values() for cell in template["cells"] if not is_task(cell))
    return frozenset(normalise(source_of(cell)) for cell in cells)


def _templates_of(folder: Path, rubric: Rubric) -> Templates:
    """The templates of the folder's rubric; none where they are no longer there."""
    owner = read_owner(folder)
    try:
        return load_templates(Path(owner.rubric), rubric) if owner is not None and owner.rubric else {}
    except GraderError:
        return {}


def _view_or_none(
    notebook: Notebook, names: Mapping[str, Sequence[str]], execution: Execution | None, provided: frozenset[str]
) -> NotebookView | None:
    try:
        return make_view(notebook, names, execution.cells if execution else (), provided)
    except Exception:  # whatever the notebook does to the renderer: points must not depend on it
        return None


def _view(
    folder: Path, exercise: Exercise, rubric: Rubric, names: Mapping[str, Sequence[str]], execution: Execution | None
) -> NotebookView | None:
    """The executed notebook as it is shown; None if the folder has none that can be shown."""
    try:
        made_of = _view_made_of(folder, exercise, names)
        stored_view = read_cached(folder / NOTEBOOK_VIEW, _VIEW, made_of)
        if stored_view is not None and len(stored_view.cells) == len(stored_view.kinds):
            return stored_view
        provided = provided_sources(_templates_of(folder, rubric))
        view = _view_or_none(load_notebook(folder / EXECUTED), names, execution, provided)
        if view is not None:
            store_cached(folder / NOTEBOOK_VIEW, _VIEW, view, made_of)
    except (Unreadable, GraderError):  # an older run's folder
        return None
    return view


def _view_made_of(folder: Path, exercise: Exercise, names: Mapping[str, Sequence[str]]) -> dict[str, str]:
    notebook_checksum = hashlib.sha256(file_bytes(folder / EXECUTED, MAX_FILE)).hexdigest()
    names_as_text = json.dumps({item: list(item_names) for item, item_names in names.items()}, sort_keys=True)
    return {
        "notebook": notebook_checksum,
        "names": names_as_text,
        "code": code_key(FileKind.SHOW, exercise.in_box.parent),
    }


def _figures(folder: Path, exercise: Exercise) -> list[Figure]:
    """Returns the pictures of the folder's evidence, which are drawn once and stored."""
    try:
        stored_figures = read_cached(folder / FIGURES, _FIGURES, _figures_made_of(folder, exercise))
        if stored_figures is not None:
            return [Figure(**{**entry, "png": base64.b64decode(str(entry["png"]))}) for entry in stored_figures]  # type: ignore[arg-type]
    except (KeyError, TypeError, ValueError):
        pass  # damaged: they are drawn again
    figures = exercise.figures(stored_evidence(folder))
    _keep_figures(folder, figures, exercise)
    return figures


def _keep_figures(folder: Path, figures: Sequence[Figure], exercise: Exercise) -> None:
    if strip := picture_strip(figures):
        write_atomically(folder / STRIP, strip)
    names = [one.name for one in fields(Figure)]
    entries: list[_StoredFigure] = [
        {name: getattr(figure, name) for name in names} | {"png": base64.b64encode(figure.png).decode()}
        for figure in figures
    ]
    store_cached(folder / FIGURES, _FIGURES, entries, _figures_made_of(folder, exercise))


def _figures_made_of(folder: Path, exercise: Exercise) -> dict[str, str]:
    return {"evidence": evidence_checksum(folder), "code": code_key(FileKind.SHOW, exercise.in_box.parent)}
