"""Cells of the notebook to run, made anew."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def code_cell(identity: str, source: str) -> dict[str, Any]:
    """A code cell that has not been run."""
    fresh: dict[str, Any] = {"cell_type": "code", "id": identity, "metadata": {}, "source": source}
    return {**fresh, "execution_count": None, "outputs": []}


def with_unique_ids(cells: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The cells, each with an id of its own; the first keeps what several claim."""
    taken: set[str] = set()
    made = []
    for index, cell in enumerate(cells):
        wanted = str(cell.get("id") or f"cell-{index}")[:56]
        identity = wanted if wanted not in taken else f"{wanted[:40]}-{index}"
        while identity in taken:
            identity += "-"
        taken.add(identity)
        made.append({**cell, "id": identity})
    return made
