"""Comments on the cells of a notebook: the losses of each item, at the cells that the item asks for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from grader.records import GradeReport, ItemVerdict
from grader.report.lost_points import LostPoints, is_affected, is_consequence, item_losses, losses, not_written, stubs
from grader.report.notebook_view import NotebookView


@dataclass(frozen=True, slots=True)
class CellComment:
    """What one item says at a cell."""

    item: ItemVerdict
    number: int  # of the item in the report, from 1
    first: bool  # whether this is the item's first cell, which shows its points
    losses: tuple[LostPoints, ...]


def comments_by_cell(
    report: GradeReport, view: NotebookView, names: Mapping[str, Sequence[str]]
) -> dict[int, list[CellComment]]:
    """The comments on each cell, by its index; an item without a cell appears only in the list of items."""
    comments: dict[int, list[CellComment]] = {}
    for number, item in enumerate(report.items, start=1):
        cells = view.places.get(item.id, ())
        by_cell: dict[int, list[LostPoints]] = {cell: [] for cell in cells}
        is_unwritten = any(loss.unwritten for loss in item_losses(item, view))
        for loss in losses(item.checks) if cells else ():
            cell = cells[_which(loss.checks[0].id, names.get(item.id, ()))]
            if not (is_unwritten and is_consequence(loss)) and not is_affected(loss, item, view):
                by_cell[cell].append(_about(loss, stubs(view.written.get(cell, ""))))
        for cell, lost in by_cell.items():
            comments.setdefault(cell, []).append(CellComment(item, number, cell == cells[0], tuple(lost)))
    return comments


def _about(loss: LostPoints, own: Sequence[str]) -> LostPoints:
    """The loss; if it is unwritten code, with the names that the cell itself leaves unwritten."""
    return replace(loss, message=not_written(own), unwritten=tuple(own)) if loss.unwritten and own else loss


def _which(check: str, names: Sequence[str]) -> int:
    """The index of the name that the check is about: `encoder_uses_the_image` is about `Encoder`; else 0."""
    subject = check.partition("_")[0].lower()
    return next((number for number, name in enumerate(names) if subject in name.lower()), 0)
