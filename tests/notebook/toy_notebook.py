"""A toy exercise of twelve cells, with every role the restoration knows."""

from __future__ import annotations

import copy
from typing import Any

Notebook = dict[str, Any]

_SOURCES = [
    ("title", "text", "# Toy exercise"),
    ("setup", "given", "import math\nimport random\n\nDEVICE = 'cpu'\nprint(f'on {DEVICE}')"),
    ("constants", "constants", "SIZE = 4\nEPOCHS = 3\nRATE = 1e-3"),
    ("data-text", "text", "## Data\n\nGiven."),
    (
        "data",
        "given",
        'class Batches:\n    """Serves."""\n\n    def __init__(self, items):\n        self.items = items\n'
        "\n\ndef load(n):\n    return list(range(n))\n\n\ntrain_items = load(SIZE)\n"
        "batches = Batches(train_items)",
    ),
    ("model-text", "text", "## Model"),
    (
        "model",
        "task",
        "class Model:\n    def __init__(self, size):\n        # Store what you need.\n"
        "        # BEGIN SOLUTION Model.__init__\n        self.weight = [0.25 for _ in range(size)]\n"
        "        # END SOLUTION\n\n    def forward(self, x):\n        # BEGIN SOLUTION Model.forward\n"
        "        return sum(w * x for w in self.weight)\n        # END SOLUTION",
    ),
    (
        "train",
        "task",
        "def train(model, batches, epochs):\n    history = []\n    for epoch in range(epochs):\n"
        "        # BEGIN SOLUTION train\n        loss = model.forward(epoch) ** 2\n        # END SOLUTION\n"
        "        history.append(loss)\n    return history",
    ),
    ("train-model", "train", "model = Model(SIZE)\nhistory = train(model, batches, EPOCHS)\nprint(history)"),
    ("show-history", "show", "print('history', max(history), min(history))"),
    (
        "sample",
        "task",
        "# BEGIN SOLUTION sample\ndef sample(n):\n    return [model.forward(i) for i in range(n)]\n# END SOLUTION",
    ),
    ("show-samples", "show", "pictures = sample(10)\nprint('samples', *pictures, sep=', ')"),
]


def toy_reference() -> Notebook:
    """A fresh copy of the toy reference notebook."""
    cells = []
    for identity, role, source in _SOURCES:
        grader = {"role": role} | ({"part": "toy"} if role == "train" else {})
        cell: dict[str, Any] = {"id": identity, "metadata": {"grader": grader}, "source": source}
        if role == "text":
            cell["cell_type"] = "markdown"
        else:
            cell |= {"cell_type": "code", "execution_count": 1, "outputs": []}
        cells.append(cell)
    return {"cells": copy.deepcopy(cells), "metadata": {}, "nbformat": 4, "nbformat_minor": 5}


def index_of(notebook: Notebook, identity: str) -> int:
    """Where the cell with this id is."""
    return next(i for i, cell in enumerate(notebook["cells"]) if cell["id"] == identity)


def cell_of(notebook: Notebook, identity: str) -> dict[str, Any]:
    """The cell with this id."""
    cell: dict[str, Any] = notebook["cells"][index_of(notebook, identity)]
    return cell


def code_cell(source: str, identity: str = "mine") -> dict[str, Any]:
    """A student's extra code cell."""
    base = {"cell_type": "code", "id": identity, "metadata": {}, "source": source}
    return {**base, "execution_count": None, "outputs": []}
