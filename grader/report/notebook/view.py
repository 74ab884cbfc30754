"""The notebook of a run folder as its pages show it, made once and kept beside it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from grader.bounded import Unreadable, file_bytes, json_value
from grader.files import write_atomically
from grader.records import CellRun, Notebook
from grader.report.notebook.cells import cells_html
from grader.report.notebook.marks import places, troubles

NAME = "notebook.json"
MAX_BYTES = 40_000_000
MAX_VALUES = 20_000


@dataclass(frozen=True, slots=True)
class NotebookView:
    """A notebook's cells as safe HTML, where each item's remarks stand, and which cells did not end well."""

    cells: tuple[str, ...]
    kinds: tuple[str, ...]  # of the cells: code, markdown or raw
    places: Mapping[str, tuple[int, ...]]
    troubles: Mapping[int, str]


def make_view(notebook: Notebook, wanted: Mapping[str, Sequence[str]], runs: Sequence[CellRun]) -> NotebookView:
    """The notebook as it is shown; `wanted` are the names beside whose cells each item's remarks stand."""
    kinds = tuple(str(cell["cell_type"]) for cell in notebook["cells"])
    return NotebookView(cells_html(notebook), kinds, places(notebook, wanted), troubles(runs))


def store_view(folder: Path, view: NotebookView, belongs_to: Mapping[str, Any]) -> None:
    """The folder keeps the view, with what it belongs to."""
    told = {
        "belongs_to": belongs_to,
        "cells": view.cells,
        "kinds": view.kinds,
        "places": view.places,
        "troubles": {str(cell): text for cell, text in view.troubles.items()},
    }
    write_atomically(folder / NAME, json.dumps(told).encode())


def stored_view(folder: Path, belongs_to: Mapping[str, Any]) -> NotebookView | None:
    """The view that the folder keeps; None where there is none, or it belongs to something else."""
    try:
        told = json_value(file_bytes(folder / NAME, MAX_BYTES), most_values=MAX_VALUES)
        if told["belongs_to"] != belongs_to:
            return None
        cells, kinds = tuple(map(str, told["cells"])), tuple(map(str, told["kinds"]))
        if len(cells) != len(kinds):
            return None
        return NotebookView(
            cells,
            kinds,
            {str(item): tuple(map(int, cells)) for item, cells in told["places"].items()},
            {int(cell): str(text) for cell, text in told["troubles"].items()},
        )
    except (Unreadable, KeyError, TypeError, ValueError, AttributeError):
        return None
