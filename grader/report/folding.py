"""Which cells of a notebook its page shows open, and which it folds into one row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from grader.report.marks import Mark
from grader.report.notebook import NotebookView

MOST_TITLES = 3  # of folded cells, in their row


@dataclass(frozen=True, slots=True)
class CellGroup:
    """Consecutive cells that are shown together: one open cell, or a row of folded ones."""

    cells: tuple[int, ...]
    folded: bool
    label: str = ""  # of a folded row, "Cells 3–9: provided"
    titles: tuple[str, ...] = ()


def cell_groups(view: NotebookView, marks: Mapping[int, Sequence[Mark]]) -> list[CellGroup]:
    """All cells in order: those with a comment are open, correct ones are folded each, all others in runs."""
    groups: list[CellGroup] = []
    run: list[int] = []
    provided = frozenset(view.provided)
    for index in range(len(view.cells)):
        if run and (index in marks or index in view.troubles or (index in provided) != (run[0] in provided)):
            groups.append(_folded(view, run))
            run = []
        if has_comment(view, marks, index):
            groups.append(CellGroup((index,), folded=False))
        elif index in marks:
            groups.append(CellGroup((index,), True, f"Cell {index + 1}", (view.titles[index],)))
        else:
            run.append(index)
    return [*groups, _folded(view, run)] if run else groups


def has_comment(view: NotebookView, marks: Mapping[int, Sequence[Mark]], index: int) -> bool:
    """Whether there is more to say on the cell than that it is correct."""
    return index in view.troubles or any(mark.notes for mark in marks.get(index, ()))


def _folded(view: NotebookView, run: Sequence[int]) -> CellGroup:
    first, last = run[0] + 1, run[-1] + 1
    numbers = f"Cell {first}" if first == last else f"Cells {first}–{last}"
    whose = "provided" if run[0] in view.provided else "no comments"
    texts = [index for index in run if view.kinds[index] != "code"] or run
    return CellGroup(tuple(run), True, f"{numbers}: {whose}", tuple(view.titles[n] for n in texts[:MOST_TITLES]))
