"""The skeleton's reference notebook without its texts, the template made from it, and submissions with own cells."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from grader.notebook.format import is_code, load_notebook
from grader.notebook.solution_regions import strip_markers
from grader.notebook.template import make_template
from grader.records import Notebook
from grader.skeleton.write import HERE as SKELETON


def reference() -> Notebook:
    """A fresh reference notebook, with its solution markers and without outputs."""
    notebook = load_notebook(SKELETON / "course" / "reference.ipynb")
    cells = [cell | {"execution_count": None, "outputs": []} for cell in notebook["cells"] if is_code(cell)]
    return {**notebook, "cells": cells}


def template() -> Notebook:
    """The notebook that students start from."""
    return make_template(reference())


def code_cell(source: str, identity: str) -> dict[str, Any]:
    """A cell of the student's own."""
    base = {"cell_type": "code", "id": identity, "metadata": {}, "source": source}
    return {**base, "execution_count": None, "outputs": []}


def submission(before: Sequence[str] = (), **changed: str) -> Notebook:
    """A right solution with cells of its own after the constants, named own-0 and so on, and changed cells by id."""
    notebook = strip_markers(reference())
    cells = notebook["cells"]
    for cell in cells:
        cell["source"] = changed.get(cell["id"].replace("-", "_"), cell["source"])
    extra = [code_cell(source, f"own-{index}") for index, source in enumerate(before)]
    return {**notebook, "cells": [*cells[:2], *extra, *cells[2:]]}
