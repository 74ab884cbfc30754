"""The notebook of a run as its pages show it: cells, where remarks stand, and which cells did not end well."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from grader.notebook.format import is_code, source_of
from grader.records import CellRun, CellStatus, Notebook
from grader.report.notebook.cells import cells_html

Places = Mapping[str, tuple[int, ...]]  # item -> the cells beside which its remarks stand, one for each of its names
_TROUBLES = {
    CellStatus.ERROR: "raised {}",
    CellStatus.TIMEOUT: "did not finish in the time there is for it, and was interrupted",
    CellStatus.DIED: "ended the Python process; the cells after it ran in a new one",
    CellStatus.SKIPPED: "was not run",
}
CALL = "()"  # at the end of a name: where it is called, not where it is defined


def places(notebook: Notebook, wanted: Mapping[str, Sequence[str]]) -> dict[str, tuple[int, ...]]:
    """The cells for each item's names: where a name is defined last, or called last for `name()`; none is left out.

    Found by the words in the source, so that a cell that does not parse is found too. Where a later name of an item
    is nowhere, its place is the first one's.
    """
    sources = {index: source_of(cell) for index, cell in enumerate(notebook["cells"]) if is_code(cell)}
    found = {}
    for item, names in wanted.items():
        cells = [_last(sources, name) for name in names]
        known = [cell for cell in cells if cell is not None]
        if known:
            found[item] = tuple(known[0] if cell is None else cell for cell in cells)
    return found


def troubles(cells: Sequence[CellRun]) -> dict[int, str]:
    """What a cell did instead of ending, as a student reads it."""
    return {
        cell.index: f"This cell {_TROUBLES[cell.status].format(cell.error or 'an error')}"
        for cell in cells
        if cell.status in _TROUBLES
    }


def _last(sources: Mapping[int, str], name: str) -> int | None:
    call = name.endswith(CALL)
    owner, _, attribute = name.removesuffix(CALL).partition(".")
    if call:
        pattern = rf"(?<![\w.]){re.escape(owner)}[ \t]*\("
        unwanted = rf"^[ \t]*(?:def|class)[ \t]+{re.escape(owner)}\b"
    else:
        pattern = (
            rf"^[ \t]*(?:(?:async[ \t]+)?def|class)[ \t]+{re.escape(owner)}\b"
            rf"|^{re.escape(owner)}[ \t]*(?::[^=\n]*)?=[^=]"
        )
        unwanted = ""
    cells = [
        index
        for index, source in sources.items()
        if owner in source
        and re.search(pattern, source, re.MULTILINE)
        and not (unwanted and re.search(unwanted, source, re.MULTILINE))
        and (not attribute or re.search(rf"\b{re.escape(attribute)}\b", source))
    ]
    return cells[-1] if cells else None


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
