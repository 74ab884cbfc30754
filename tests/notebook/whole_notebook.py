"""The exercise's own notebook and template, what editors do to them, and the way from file to restored notebook."""

from __future__ import annotations

import ast
import copy
import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from grader.notebook.format import is_code, load_notebook, source_of
from grader.notebook.read import read_submission
from grader.notebook.restore import RestoredNotebook, restore_given
from grader.notebook.solution_regions import strip_markers
from grader.notebook.statements import read_code
from grader.records import Notebook, Submission

ROOT = Path(__file__).parents[2]
TEMPLATE = load_notebook(ROOT / "student_template" / "vae_mnist.ipynb")
REFERENCE = strip_markers(load_notebook(ROOT / "reference" / "vae_mnist.ipynb"))
for reference_cell in filter(is_code, REFERENCE["cells"]):  # without its pictures, which take time to read
    reference_cell["outputs"] = [out for out in reference_cell["outputs"] if out["output_type"] == "stream"]

Damage = Callable[[Notebook], Notebook]


def solved() -> Notebook:
    """The reference as a student would hand it in, without pictures."""
    return copy.deepcopy(REFERENCE)


def template() -> Notebook:
    return copy.deepcopy(TEMPLATE)


def code_of(notebook: Notebook) -> list[dict[str, Any]]:
    return [cell for cell in notebook["cells"] if is_code(cell)]


def cell_of(notebook: Notebook, identity: str) -> dict[str, Any]:
    return next(cell for cell in notebook["cells"] if cell["id"] == identity)


def edit(notebook: Notebook, identity: str, old: str, new: str) -> Notebook:
    cell = cell_of(notebook, identity)
    assert old in source_of(cell)
    cell["source"] = source_of(cell).replace(old, new)
    return notebook


def anonymous(notebook: Notebook) -> Notebook:
    """Ids regenerated, metadata gone."""
    for index, cell in enumerate(notebook["cells"]):
        cell["id"], cell["metadata"] = f"{index:08x}", {}
    return notebook


def every_source(notebook: Notebook, change: Callable[[str], str | list[str]]) -> Notebook:
    for cell in code_of(notebook):
        cell["source"] = change(source_of(cell))
    return notebook


def handed_in(notebook: Notebook, folder: Path) -> tuple[Submission, RestoredNotebook]:
    """What becomes of the notebook on the grader's way."""
    path = folder / "student.ipynb"
    path.write_text(json.dumps(notebook))
    submission = read_submission(path, max_mb=20, max_cells=500)
    return submission, restore_given(submission.notebook, TEMPLATE)


def meaning(restored: RestoredNotebook) -> list[str]:
    """The statements that run, in order, as syntax without comments, docstrings and layout."""
    codes = [read_code(source_of(cell)) for cell in restored.notebook["cells"] if is_code(cell)]
    assert all(code.keys is not None for code in codes)
    return [key for code in codes for key in code.keys or ()]


def trained(restored: RestoredNotebook) -> dict[str, list[str]]:
    """Part -> the calls that train it in cells that train."""
    sources_by_part: dict[str, list[str]] = {}
    for cell, role in zip(restored.notebook["cells"], restored.roles, strict=True):
        if role.role == "train":
            calls = sorted(read_code(source_of(cell)).calls & {"train_vae", "train_cvae"})
            sources_by_part.setdefault(str(role.part), []).extend(calls)
    return sources_by_part


def starts(source: str) -> list[int]:
    """The first line of each statement, 0-based; the first statement takes what is above it."""
    first_lines = [
        min([node.lineno, *(d.lineno for d in getattr(node, "decorator_list", []))]) - 1
        for node in ast.parse(source).body
    ]
    return [0, *first_lines[1:]]


def cut(notebook: Notebook, cell: dict[str, Any], lines: list[int]) -> Notebook:
    """The cell cut before each of the lines."""
    at = notebook["cells"].index(cell)
    rows = source_of(cell).split("\n")
    borders = [0, *lines, len(rows)]
    pieces = [
        {**copy.deepcopy(cell), "id": f"{cell['id']}-{n}", "source": "\n".join(rows[start:stop])}
        for n, (start, stop) in enumerate(itertools.pairwise(borders))
    ]
    pieces[0]["id"] = cell["id"]
    notebook["cells"][at : at + 1] = pieces
    return notebook


def join(notebook: Notebook, cells: list[dict[str, Any]]) -> Notebook:
    """The cells merged into the first of them."""
    cells[0]["source"] = "\n\n".join(source_of(cell) for cell in cells)
    gone = {id(cell) for cell in cells[1:]}
    notebook["cells"] = [cell for cell in notebook["cells"] if id(cell) not in gone]
    return notebook


def all_in_one(notebook: Notebook) -> Notebook:
    notebook["cells"] = code_of(notebook)
    return join(notebook, notebook["cells"])
