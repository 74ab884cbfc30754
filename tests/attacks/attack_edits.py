"""What editors and students do to a notebook's cells; the code itself stays right."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

from grader.records import Notebook

Cells = list[dict[str, Any]]


def duplicated(notebook: Notebook) -> Notebook:
    return _with(notebook, [copy.deepcopy(cell) for cell in notebook["cells"] for _ in range(2)])


def split(notebook: Notebook) -> Notebook:
    cells: Cells = []
    for cell in notebook["cells"]:
        lines = cell["source"].split("\n")
        whole = len(lines) < 2 or any(line.startswith((" ", "def")) for line in lines)
        for number, source in enumerate([cell["source"]] if whole else lines):
            cells.append({**cell, "source": source, "id": f"{cell['id']}-{number}"})
    return _with(notebook, cells)


def merged(notebook: Notebook) -> Notebook:
    cells: Cells = notebook["cells"]
    first, second = (next(n for n, cell in enumerate(cells) if cell["id"] == name) for name in ("double", "train-one"))
    both = {**cells[first], "source": cells[first]["source"] + "\n\n" + cells[second]["source"]}
    return _with(notebook, [*cells[:first], both, *cells[first + 1 : second], *cells[second + 1 :]])


def reordered(notebook: Notebook) -> Notebook:
    cells: Cells = notebook["cells"]
    return _with(notebook, [*cells[:2], *cells[6:], *cells[2:6]])


def deleted(notebook: Notebook) -> Notebook:
    return _with(notebook, [cell for cell in notebook["cells"] if not cell["id"].startswith(("setup", "show"))])


def stripped(notebook: Notebook) -> Notebook:
    cells = [{**cell, "metadata": {}, "id": f"{number:08x}"} for number, cell in enumerate(notebook["cells"])]
    return {"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}


def out_of_order(notebook: Notebook) -> Notebook:
    counts = [7, 3, None, 12, 1, 99, 2, 40, 41, 5]
    return _with(notebook, [{**c, "execution_count": n} for c, n in zip(notebook["cells"], counts, strict=False)])


def old_template(notebook: Notebook) -> Notebook:
    cells: Cells = notebook["cells"]
    return _with(notebook, [{**cells[0], "source": "import os\nimport sys  # version of last year"}, *cells[1:]])


def nbformat_3(notebook: Notebook) -> Notebook:
    sheet = {"cells": [{"cell_type": "code", "input": cell["source"], "outputs": []} for cell in notebook["cells"]]}
    return {"worksheets": [sheet], "metadata": {}, "nbformat": 3, "nbformat_minor": 0}


def nbformat_9(notebook: Notebook) -> Notebook:
    return {**notebook, "nbformat": 9}


def minor_version(notebook: Notebook) -> Notebook:
    return {**notebook, "nbformat_minor": 99, "new_part": {"a": 1}}


def r_kernel(notebook: Notebook) -> Notebook:
    return {**notebook, "metadata": {"kernelspec": {"name": "ir", "display_name": "R", "language": "R"}}}


def windows_lines(notebook: Notebook) -> Notebook:
    return _with(notebook, [{**cell, "source": cell["source"].replace("\n", "\r\n")} for cell in notebook["cells"]])


def large_outputs(notebook: Notebook) -> Notebook:
    cells: Cells = notebook["cells"]
    text = {"output_type": "stream", "name": "stdout", "text": "one more line of a hundred megabytes\n" * 270_000}
    return _with(notebook, [{**cell, "outputs": [text]} if cell["cell_type"] == "code" else cell for cell in cells])


def short_statements(notebook: Notebook) -> Notebook:
    return _below(notebook, "code", ["a\n" * 45_000] * 3)


def long_lists(notebook: Notebook) -> Notebook:
    return _below(notebook, "code", [f"x = [{'a,' * 45_000}]"] * 9)


def slow_text(notebook: Notebook) -> Notebook:
    return _below(notebook, "markdown", ["\\\\[" * 6000, "**a *b " * 1100, "$" + "{" * 1400 + "$"] * 8)


def _below(notebook: Notebook, kind: str, sources: list[str]) -> Notebook:
    extra: Cells = [
        {"cell_type": kind, "id": f"below-{number}", "metadata": {}, "source": source}
        | ({"outputs": [], "execution_count": None} if kind == "code" else {})
        for number, source in enumerate(sources)
    ]
    return _with(notebook, [*notebook["cells"], *extra])


def _with(notebook: Notebook, cells: Cells) -> Notebook:
    return {**notebook, "cells": cells}


EDITS: dict[str, Callable[[Notebook], Notebook]] = {
    edit.__name__: edit
    for edit in (
        *(duplicated, split, merged, reordered, deleted, stripped, out_of_order, old_template, nbformat_3),
        *(nbformat_9, minor_version, r_kernel, windows_lines, large_outputs),
        *(short_statements, long_lists, slow_text),
    )
}
