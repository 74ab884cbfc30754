"""A runner that fails while a cell runs is a grader fault: no cell is blamed or left out."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from grader.grading import run
from grader.records import CellStatus

CELL = 2


def boxes_and_cells(faults: list[str], monkeypatch: pytest.MonkeyPatch) -> tuple[int, dict[int, Any]]:
    """How many boxes ran where the first one ended in a cell, with these faults of its runner, and the cells' ends."""
    results: list[Any] = []

    def one_box(*_: object, whole_notebook: bool = False) -> Any:
        ends = not results
        inbox = SimpleNamespace(faults=faults, cells={})
        at = SimpleNamespace(cell=CELL if ends else None)
        results.append(SimpleNamespace(ended_itself=ends, wall_s=1.0, at=at, inbox=inbox))
        return results[-1]

    monkeypatch.setattr(run, "_run_once", one_box)
    limits = SimpleNamespace(kernel_restarts=3, wall_s=100.0)
    boxes = SimpleNamespace(ensure_waiting=lambda _: None)
    case: Any = SimpleNamespace(rubric=SimpleNamespace(limits=limits), boxes=boxes)
    cells = run._run_in_box(case, [], {}, lambda _: None).inbox.cells
    return len(results), cells


def test_a_cell_that_ends_all_processes_is_left_out_of_a_second_box(monkeypatch: pytest.MonkeyPatch) -> None:
    boxes, cells = boxes_and_cells([], monkeypatch)
    assert boxes == 2
    assert [(index, cell.status) for index, cell in cells.items()] == [(CELL, CellStatus.DIED)]


def test_a_runner_that_breaks_is_run_once_and_blames_no_cell(monkeypatch: pytest.MonkeyPatch) -> None:
    assert boxes_and_cells(["runner: OSError: no space left"], monkeypatch) == (1, {})
