"""The toy's reference notebook, the template made from it, and submissions with cells of their own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from grader.notebook.template import make_template, strip_markers
from grader.records import Notebook

_TRAIN = (
    "def train_{part}(model, steps):\n    model['history'] = []\n    for _ in range(steps):\n"
    "        # BEGIN SOLUTION train_{part}\n        loss = (model['weight'] - 5.0) ** 2\n"
    "        model['weight'] -= 0.4 * (model['weight'] - 5.0)\n        # END SOLUTION\n"
    "        model['history'].append(loss)"
)


def _cells(part: str, function: str, factor: int) -> list[tuple[str, str, str]]:
    return [
        (
            function,
            "task",
            f"def {function}(x):\n    # BEGIN SOLUTION {function}\n    return {factor} * x\n    # END SOLUTION",
        ),
        (f"train-{part}", "task", _TRAIN.format(part=part)),
        (f"run-{part}", "train", f"{part} = {{'weight': 1.0}}\ntrain_{part}({part}, STEPS)"),
        (f"show-{part}", "show", f"print('weight', {part}['weight'])"),
    ]


def reference() -> Notebook:
    """A fresh reference notebook, with its solution markers."""
    cells: list[dict[str, Any]] = []
    for identity, role, source in [
        ("setup", "given", "import os"),
        ("constants", "constants", "STEPS = 4"),
        *_cells("one", "double", 2),
        *_cells("two", "triple", 3),
    ]:
        grader = {"role": role} | ({"part": identity.removeprefix("run-")} if role == "train" else {})
        cells.append({"cell_type": "code", "id": identity, "metadata": {"grader": grader}, "source": source})
        cells[-1] |= {"execution_count": None, "outputs": []}
    return {"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}


def template() -> Notebook:
    """What students start from."""
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
