"""The notebook of a run as its pages show it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from grader.records import CellRun, Notebook
from grader.report.notebook.cells import cells_html
from grader.report.notebook.places import places, troubles


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
