"""Compares the outputs saved in the submitted notebook with those of the graded run.

Saved outputs give and cost no points. If they cannot come from the submitted code, the staff see both; there are
innocent reasons, such as code edited after its last run.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from grader.errors import one_line
from grader.notebook.format import cell_title, is_code
from grader.notebook.printed_curves import contradictions, printed_text, read_curves
from grader.notebook.read import cleared_cells
from grader.notebook.restore import RestoredNotebook
from grader.notebook.roles import ABOUT_TRAINING, Role
from grader.records import CellRun, CellStatus, Comparison, Notebook, Remark

_MAX_CELLS = 12  # per kind of remark
_MAX_NUMBERS = 12  # cells that are listed in one remark
_ERROR = 200  # characters of an error
_MAX_COMPARED = 4_000_000  # printed characters of all cells whose numbers are compared: at worst 3 s


@dataclass(frozen=True, slots=True)
class _RerunCell:
    """A submitted cell, and the cells that were run for it."""

    index: int  # in the submitted notebook
    is_about_training: bool  # whether its output is about training or what training depends on
    saved: Sequence[Mapping[str, Any]]
    count: int | None  # the saved execution count
    rerun: Sequence[Mapping[str, Any]]
    runs: Sequence[CellRun]


def compare_saved(
    submitted: Notebook, restored: RestoredNotebook, executed: Notebook, runs: Sequence[CellRun]
) -> tuple[Remark, ...]:
    """Remarks on the saved outputs; empty if they match, or cannot be compared.

    `executed` is the restored notebook with the outputs of the graded run, `runs` says how its cells ended. Cells that
    did not run are not compared.
    """
    cells = submitted["cells"]
    rerun_cells = list(_rerun_cells(cells, restored, executed, {run.index: run for run in runs}))
    number_remarks, skipped = _all_numbers(cells, rerun_cells)
    remarks = number_remarks[:_MAX_CELLS] + list(_errors(cells, rerun_cells))[:_MAX_CELLS]
    return (*remarks, *skipped, *_missing_output_remarks(cells, rerun_cells), *_out_of_order(cells))


def _rerun_cells(
    cells: Sequence[Mapping[str, Any]], restored: RestoredNotebook, executed: Notebook, runs: Mapping[int, CellRun]
) -> Iterator[_RerunCell]:
    places: dict[int, list[int]] = {}
    for index, role in enumerate(restored.roles):
        if role.submitted is not None and is_code(executed["cells"][index]):
            places.setdefault(role.submitted, []).append(index)
    for s, indices in sorted(places.items()):
        # The output of a self-check is not a claim about the submitted work.
        if all(index in runs and restored.roles[index].role is not Role.CHECK for index in indices):
            rerun = [output for index in indices for output in executed["cells"][index]["outputs"]]
            cell = cells[s]
            saved, count = cell.get("outputs", []), cell.get("execution_count")
            is_about_training = any(restored.roles[index].role in ABOUT_TRAINING for index in indices)
            yield _RerunCell(s, is_about_training, saved, count, rerun, [runs[index] for index in indices])


def _all_numbers(
    cells: Sequence[Mapping[str, Any]], rerun_cells: Sequence[_RerunCell]
) -> tuple[list[Remark], list[Remark]]:
    """The contradictions between the cells' numbers, and the cells not compared; cells about training come first."""
    chars_left = _MAX_COMPARED
    remark_by_cell: dict[int, Remark] = {}
    skipped = []
    for rerun_cell in sorted(rerun_cells, key=lambda rerun_cell: not rerun_cell.is_about_training):
        saved_text, rerun_text = printed_text(rerun_cell.saved), printed_text(rerun_cell.rerun)
        if chars_left < (size := len(saved_text[0]) + len(rerun_text[0])):
            skipped.append(rerun_cell.index)
            continue
        chars_left -= size
        if (remark := _numbers(cells, rerun_cell, saved_text, rerun_text)) is not None:
            remark_by_cell[rerun_cell.index] = remark
    remarks = [remark_by_cell[s] for s in sorted(remark_by_cell)]
    if not skipped:
        return remarks, []
    why = "not compared with the saved outputs, because too much text was printed."
    return remarks, [Remark("outputs_not_compared", f"{_cells_were(sorted(skipped))} {why}")]


def _numbers(
    cells: Sequence[Mapping[str, Any]],
    rerun_cell: _RerunCell,
    saved_text: tuple[str, bool],
    rerun_text: tuple[str, bool],
) -> Remark | None:
    """The contradiction between the printed texts of a cell; each text comes with whether it is complete."""
    ran_to_end = all(run.status == CellStatus.OK for run in rerun_cell.runs)
    is_complete = ran_to_end and saved_text[1] and rerun_text[1] and _error(rerun_cell.saved) is None
    saved_curves = read_curves(saved_text[0])
    rerun_curves = read_curves(rerun_text[0]) if saved_curves else {}
    differences = list(contradictions(saved_curves, rerun_curves, is_complete=is_complete))
    if not differences:
        return None
    rows = tuple(row for difference in differences[:3] for row in difference.rows)
    what = f"was submitted with outputs that differ from this run's: '{differences[0].what}', {differences[0].how}"
    message = f"{_cell_name(cells, rerun_cell.index)} {one_line(what, 300)}; please check."
    return Remark("outputs_differ", message, rerun_cell.index, needs_person=True, beside=rows)


def _errors(cells: Sequence[Mapping[str, Any]], rerun_cells: Sequence[_RerunCell]) -> Iterator[Remark]:
    for rerun_cell in rerun_cells:
        saved_error, rerun_error = _error(rerun_cell.saved), _error(rerun_cell.rerun)
        has_run = all(run.status in {CellStatus.OK, CellStatus.ERROR} for run in rerun_cell.runs)
        if not has_run or (saved_error is None) == (rerun_error is None):
            continue
        if saved_error is None and rerun_cell.count is None and not rerun_cell.saved:
            continue  # never run, so it cannot show an error
        comparison = (Comparison("error", saved_error or "none", rerun_error or "none"),)
        where = _cell_name(cells, rerun_cell.index)
        if rerun_error is None:
            message = f"{where} was submitted with an error ({saved_error}) that did not occur in this run."
            yield Remark("error_differs", message, rerun_cell.index, beside=comparison)
        else:
            # Perhaps this machine lacks something: code that worked for the student may deserve its points.
            needs_look = rerun_cell.is_about_training and bool(rerun_cell.saved)
            message = f"{where} stopped with an error in this run ({rerun_error}) that its saved output does not show."
            yield Remark("error_differs", message, rerun_cell.index, needs_person=needs_look, beside=comparison)


def _missing_output_remarks(cells: Sequence[Mapping[str, Any]], rerun_cells: Sequence[_RerunCell]) -> Iterator[Remark]:
    without_outputs = [rerun_cell for rerun_cell in rerun_cells if rerun_cell.rerun and not rerun_cell.saved]
    never_run = [rerun_cell.index for rerun_cell in without_outputs if rerun_cell.count is None]
    run_without_outputs = [rerun_cell.index for rerun_cell in without_outputs if rerun_cell.count is not None]
    if never_run and cleared_cells(cells) is None:  # else `read` has a remark about the whole notebook
        sentence = f"{_cells_were(never_run)} submitted without having been run; in this run there were outputs."
        yield Remark("outputs_missing", sentence)
    if run_without_outputs:
        sentence = f"{_cells_were(run_without_outputs)} submitted without the outputs that this run shows."
        yield Remark("outputs_missing", sentence)


def _out_of_order(cells: Sequence[Mapping[str, Any]]) -> Iterator[Remark]:
    counts = [(s, count) for s, cell in enumerate(cells) if isinstance(count := cell.get("execution_count"), int)]
    for (previous, count), (s, next_count) in itertools.pairwise(counts):
        if next_count < count:
            message = (
                f"{_cell_name(cells, s)} was run as number {next_count}, but cell {previous + 1} above it as number "
                f"{count}: the saved outputs do not come from a single run from top to bottom."
            )
            yield Remark("cells_run_out_of_order", message, s)
            return


def _error(outputs: Sequence[Mapping[str, Any]]) -> str | None:
    for output in outputs:
        if output.get("output_type") == "error":
            return one_line(f"{output.get('ename', 'Error')}: {output.get('evalue', '')}", _ERROR)
    return None


def _cell_name(cells: Sequence[Mapping[str, Any]], index: int) -> str:
    return f"Cell {index + 1} ('{cell_title(cells, index)}')"


def _cells_were(indices: Sequence[int]) -> str:
    numbers = ", ".join(str(index + 1) for index in indices[:_MAX_NUMBERS])
    rest = f" and {len(indices) - _MAX_NUMBERS} more" if len(indices) > _MAX_NUMBERS else ""
    return f"Cell {numbers} was" if len(indices) == 1 else f"Cells {numbers}{rest} were"
