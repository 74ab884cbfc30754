"""Loads and writes trusted notebooks; makes new cells; returns the sources, titles and checksums of cells.

`load_notebook` is for our own notebooks (reference, template); `read_submission` reads a student's file.
"""

from __future__ import annotations

import functools
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from grader.errors import GraderError, one_line
from grader.records import Notebook
from grader.store.bounded import Unreadable, file_bytes, json_value

_HEADING = re.compile(r"^#{1,6}[ \t]+(\S.*)$", re.MULTILINE)
_NEAR_CELLS = 30  # above a cell, in which its heading is searched
_MAX_BYTES = 200_000_000  # of the course's notebooks, including outputs
_MAX_VALUES = 5_000_000
_LISTED_CHARS = 500_000  # of sources that are written line by line


def load_notebook(path: Path) -> Notebook:
    """Reads the trusted notebook in `path`.

    Raises:
        GraderError: the file is missing or is not an nbformat 4 notebook.
    """
    try:  # a template may be a symbolic link
        notebook = json_value(file_bytes(path.resolve(), _MAX_BYTES), most_values=_MAX_VALUES, lenient=True)
    except (Unreadable, OSError, RuntimeError) as reason:  # the last two: a link to itself
        raise GraderError(f"{path}: expected a notebook: {one_line(str(reason), 200)}") from None
    if not isinstance(notebook, dict) or notebook.get("nbformat") != 4 or not isinstance(notebook.get("cells"), list):
        raise GraderError(f"{path}: expected an nbformat 4 notebook; save it in a current Jupyter")
    return notebook


def dump_notebook(notebook: Notebook) -> str:
    """The notebook as JSON text, the same bytes every time: sorted keys, one JSON line per source line.

    In a very long notebook the last cells have their source as a single text, as the format also allows: separate lines
    take fifty times the memory of their characters.
    """
    cells, chars_left = [], _LISTED_CHARS
    for cell in notebook.get("cells", []):
        source = source_of(cell)
        chars_left -= len(source)
        cells.append({**cell, "source": source.splitlines(keepends=True) if chars_left >= 0 else source})
    return json.dumps({**notebook, "cells": cells}, ensure_ascii=False, indent=1, sort_keys=True) + "\n"


def source_of(cell: Mapping[str, Any]) -> str:
    """The cell's source as one string, whether it is stored as a string or as lines."""
    source = cell.get("source", "")
    if isinstance(source, list):
        source = "".join(line for line in source if isinstance(line, str))
    return source if isinstance(source, str) else ""


def is_code(cell: Mapping[str, Any]) -> bool:
    """Whether it is a code cell."""
    return cell.get("cell_type") == "code"


def normalise(source: str) -> str:
    """The source with uniform line ends, without trailing spaces and blank lines at the end: editors change these."""
    lines = source.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return "\n".join(line.rstrip() for line in lines).rstrip("\n")


def checksum(source: str) -> str:
    """The SHA-256 of the normalised source, in hexadecimal."""
    return hashlib.sha256(normalise(source).encode("utf-8", "replace")).hexdigest()


def cell_title(cells: Sequence[Mapping[str, Any]], index: int) -> str:
    """The cell's title: the last Markdown heading above it, or else its first line of source."""
    for cell in reversed(cells[max(0, index - _NEAR_CELLS) : index]):
        if cell.get("cell_type") == "markdown":
            heading = _last_heading(source_of(cell)[:20_000])
            if heading:
                return heading
    lines = [line for line in source_of(cells[index])[:20_000].splitlines() if line.strip()]
    return one_line(lines[0]) if lines else "empty cell"


@functools.lru_cache(maxsize=256)  # titles of the same cells are needed for every remark and message of a run
def _last_heading(text: str) -> str:
    headings = _HEADING.findall(text)
    return one_line(headings[-1].rstrip(" #")) if headings else ""


def code_cell(identity: str, source: str) -> dict[str, Any]:
    """A code cell that has not been run."""
    cell: dict[str, Any] = {"cell_type": "code", "id": identity, "metadata": {}, "source": source}
    return {**cell, "execution_count": None, "outputs": []}


def with_unique_ids(cells: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The cells, each with its own id; if several have the same id, the first keeps it."""
    ids: set[str] = set()
    new_cells = []
    for index, cell in enumerate(cells):
        identity = preferred = str(cell.get("id") or f"cell-{index}")[:64]
        number = index
        while identity in ids:
            identity = f"{preferred[:40]}-{number}"
            number += 1
        ids.add(identity)
        new_cells.append({**cell, "id": identity})
    return new_cells
