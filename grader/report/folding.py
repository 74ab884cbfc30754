"""Decides which cells of a notebook are open on its page, and which are folded into one row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from grader.report.comments import CellComment
from grader.report.notebook_view import NotebookView

MOST_TITLES = 3  # of folded cells, in their row


MOST_ROWS = 2  # folded rows between two open cells; more of them are folded once more


@dataclass(frozen=True, slots=True)
class CellGroup:
    """Consecutive cells that are shown together: one open cell, or a row of folded ones."""

    cells: tuple[int, ...]
    folded: bool
    label: str = ""  # of a folded row, "Cells 3–9: provided"
    titles: tuple[str, ...] = ()
    inner: tuple[CellGroup, ...] = ()  # folded rows that this row folds once more


def cell_sections(view: NotebookView, comments: Mapping[int, Sequence[CellComment]]) -> list[CellGroup]:
    """Like `cell_groups`, but folds long runs of folded rows once more, unless all cells are folded."""
    groups = cell_groups(view, comments)
    if all(group.folded for group in groups):
        return groups
    sections: list[CellGroup] = []
    for folded, run in groupby(groups, key=lambda group: group.folded):
        rows = tuple(run)
        sections += [_section(rows)] if folded and len(rows) > MOST_ROWS else rows
    return sections


def _section(rows: tuple[CellGroup, ...]) -> CellGroup:
    cells = tuple(cell for row in rows for cell in row.cells)
    correct = tuple(row.titles[0] for row in rows if ":" not in row.label)
    label = f"Cells {cells[0] + 1}–{cells[-1] + 1}: nothing to change"
    return CellGroup(cells, True, label, tuple(f"✓ {title}" for title in correct[:MOST_TITLES]), rows)


def cell_groups(view: NotebookView, comments: Mapping[int, Sequence[CellComment]]) -> list[CellGroup]:
    """All cells in order: cells with a comment are open, correct ones are folded one by one, all others in runs."""
    groups: list[CellGroup] = []
    run: list[int] = []
    provided = frozenset(view.provided)
    for index in range(len(view.cells)):
        if run and (
            index in comments or has_comment(view, comments, index) or (index in provided) != (run[0] in provided)
        ):
            groups.append(_folded(view, run))
            run = []
        if has_comment(view, comments, index):
            groups.append(CellGroup((index,), folded=False))
        elif index in comments:
            groups.append(CellGroup((index,), True, f"Cell {index + 1}", (view.titles[index],)))
        else:
            run.append(index)
    return [*groups, _folded(view, run)] if run else groups


def has_comment(view: NotebookView, comments: Mapping[int, Sequence[CellComment]], index: int) -> bool:
    """Whether the cell has a comment or stopped by itself, so that it is shown open."""
    stopped = index in view.troubles and view.troubles[index].after is None
    return stopped or any(comment.losses for comment in comments.get(index, ()))


def _folded(view: NotebookView, run: Sequence[int]) -> CellGroup:
    first, last = run[0] + 1, run[-1] + 1
    numbers = f"Cell {first}" if first == last else f"Cells {first}–{last}"
    whose = "provided" if run[0] in view.provided else "no comments"
    if stopped := [str(index + 1) for index in run if index in view.troubles]:
        whose = f"nothing to change here ({', '.join(stopped)} stopped because of an earlier cell)"
    texts = [index for index in run if view.kinds[index] != "code"] or run
    return CellGroup(tuple(run), True, f"{numbers}: {whose}", tuple(view.titles[n] for n in texts[:MOST_TITLES]))
