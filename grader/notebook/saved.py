"""The outputs that a notebook was handed in with, compared with those of the run that was graded.

Saved outputs are the student's word: they give no point and take none. Where they cannot come from the code that was
handed in, a person is told, with both sides; there are innocent reasons, such as code edited after its last run.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from grader.errors import one_line
from grader.notebook.curves import contradictions, printed, read_curves
from grader.notebook.format import cell_title, is_code, source_of
from grader.notebook.restore import Restored
from grader.records import CellRun, CellStatus, Comparison, Notebook, Remark

_MAX_CELLS = 12  # about which one kind of remark is made
_MAX_NUMBERS = 12  # cells that are listed in one remark
_ERROR = 200  # characters of an error
_MAX_COMPARED = 4_000_000  # printed characters of all cells whose numbers are compared: at worst 3 s


@dataclass(frozen=True, slots=True)
class _Pair:
    """A submitted cell, and everything that ran in its place."""

    index: int  # in the submitted notebook
    told: bool  # whether what it prints tells of the training or of what it stands on
    saved: Sequence[Mapping[str, Any]]
    count: int | None  # the saved execution count
    again: Sequence[Mapping[str, Any]]
    runs: Sequence[CellRun]


def compare_saved(
    submitted: Notebook, restored: Restored, executed: Notebook, runs: Sequence[CellRun]
) -> tuple[Remark, ...]:
    """What a person should know about the saved outputs; empty where they fit, or where nothing can be said.

    `executed` is the restored notebook with the outputs of the graded run, `runs` how its cells ended. Cells that did
    not run are not compared.
    """
    cells = submitted["cells"]
    pairs = list(_pairs(cells, restored, executed, {run.index: run for run in runs}))
    found, left_out = _all_numbers(cells, pairs)
    kept = found[:_MAX_CELLS] + list(_errors(cells, pairs))[:_MAX_CELLS]
    return (*kept, *left_out, *_missing(cells, pairs), *_out_of_order(cells))


def _pairs(
    cells: Sequence[Mapping[str, Any]], restored: Restored, executed: Notebook, runs: Mapping[int, CellRun]
) -> Iterator[_Pair]:
    places: dict[int, list[int]] = {}
    for index, role in enumerate(restored.roles):
        if role.submitted is not None and is_code(executed["cells"][index]):
            places.setdefault(role.submitted, []).append(index)
    for s, indices in sorted(places.items()):
        # What the self-checks told the student is no claim about the work that is handed in.
        if all(index in runs and restored.roles[index].role != "check" for index in indices):
            again = [output for index in indices for output in executed["cells"][index]["outputs"]]
            cell = cells[s]
            saved, count = cell.get("outputs", []), cell.get("execution_count")
            told = any(restored.roles[index].role in ("given", "train") for index in indices)
            yield _Pair(s, told, saved, count, again, [runs[index] for index in indices])


def _all_numbers(cells: Sequence[Mapping[str, Any]], pairs: Sequence[_Pair]) -> tuple[list[Remark], list[Remark]]:
    """What the cells' numbers contradict, and which are not compared; cells that tell of training come first."""
    left = _MAX_COMPARED
    found: dict[int, Remark] = {}
    skipped = []
    for pair in sorted(pairs, key=lambda pair: not pair.told):
        mine, theirs = printed(pair.saved), printed(pair.again)
        if left < (size := len(mine[0]) + len(theirs[0])):
            skipped.append(pair.index)
            continue
        left -= size
        if (remark := _numbers(cells, pair, mine, theirs)) is not None:
            found[pair.index] = remark
    what = (
        f"{_listed(sorted(skipped))} not compared with the saved outputs: there is more printed text than is compared."
    )
    return [found[s] for s in sorted(found)], [Remark("outputs_not_compared", what)] if skipped else []


def _numbers(
    cells: Sequence[Mapping[str, Any]], pair: _Pair, mine: tuple[str, bool], theirs: tuple[str, bool]
) -> Remark | None:
    """What the two runs of a cell printed, each with whether that is all of it, where it contradicts."""
    to_its_end = all(run.status == CellStatus.OK for run in pair.runs)
    complete = to_its_end and mine[1] and theirs[1] and _error(pair.saved) is None
    saved = read_curves(mine[0])
    found = list(contradictions(saved, read_curves(theirs[0]) if saved else {}, complete=complete))
    if not found:
        return None
    beside = tuple(row for one in found[:3] for row in one.beside)
    what = f"was handed in with outputs that differ from the run's: '{found[0].what}', {found[0].how}"
    message = f"{_named(cells, pair.index)} {one_line(what, 300)}; a look is worth it."
    return Remark("outputs_differ", message, pair.index, needs_person=True, beside=beside)


def _errors(cells: Sequence[Mapping[str, Any]], pairs: Sequence[_Pair]) -> Iterator[Remark]:
    for pair in pairs:
        saved, again = _error(pair.saved), _error(pair.again)
        ran = all(run.status in {CellStatus.OK, CellStatus.ERROR} for run in pair.runs)
        if not ran or (saved is None) == (again is None):
            continue
        if saved is None and pair.count is None and not pair.saved:
            continue  # never run, so that it could show no error
        beside = (Comparison("error", saved or "none", again or "none"),)
        where = _named(cells, pair.index)
        if again is None:
            message = f"{where} was handed in with an error ({saved}) that the run does not show."
            yield Remark("error_differs", message, pair.index, beside=beside)
        else:
            # Perhaps something is missing on this machine: what worked for the student may deserve its points.
            look = pair.told and bool(pair.saved)
            message = f"{where} shows an error in the run ({again}) that its saved output does not show."
            yield Remark("error_differs", message, pair.index, needs_person=look, beside=beside)


def _missing(cells: Sequence[Mapping[str, Any]], pairs: Sequence[_Pair]) -> Iterator[Remark]:
    bare = [pair for pair in pairs if pair.again and not pair.saved]
    never = [pair.index for pair in bare if pair.count is None]
    cleared = [pair.index for pair in bare if pair.count is not None]
    code = [cell for cell in cells if is_code(cell) and source_of(cell).strip()]
    unrun = [cell for cell in code if not cell.get("outputs") and cell.get("execution_count") is None]
    if never and 2 * len(unrun) <= len(code):  # else the reader of the file has said so of the whole notebook
        yield Remark("outputs_missing", f"{_listed(never)} handed in without having been run; the run shows outputs.")
    if cleared:
        yield Remark("outputs_missing", f"{_listed(cleared)} handed in without the outputs that the run shows.")


def _out_of_order(cells: Sequence[Mapping[str, Any]]) -> Iterator[Remark]:
    counts = [(s, count) for s, cell in enumerate(cells) if isinstance(count := cell.get("execution_count"), int)]
    for (before, count), (s, smaller) in itertools.pairwise(counts):
        if smaller < count:
            message = (
                f"{_named(cells, s)} was run as number {smaller}, the cell {before + 1} above it as number {count}: "
                "the saved outputs do not come from one run from top to bottom."
            )
            yield Remark("cells_run_out_of_order", message, s)
            return


def _error(outputs: Sequence[Mapping[str, Any]]) -> str | None:
    for output in outputs:
        if output.get("output_type") == "error":
            return one_line(f"{output.get('ename', 'Error')}: {output.get('evalue', '')}", _ERROR)
    return None


def _named(cells: Sequence[Mapping[str, Any]], index: int) -> str:
    return f"Cell {index + 1} ('{cell_title(cells, index)}')"


def _listed(indices: Sequence[int]) -> str:
    shown = ", ".join(str(index + 1) for index in indices[:_MAX_NUMBERS])
    more = f" and {len(indices) - _MAX_NUMBERS} more" if len(indices) > _MAX_NUMBERS else ""
    return f"Cell {shown} was" if len(indices) == 1 else f"Cells {shown}{more} were"
