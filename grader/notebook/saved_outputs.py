"""The outputs that a notebook was handed in with, compared with those of the run that was graded.

Saved outputs are the student's word: they give no point and take none. Where they cannot come from the code that was
handed in, a person is told, with both sides; there are innocent reasons, such as code edited after its last run.

Numbers are compared without knowing the exercise: lines that are the same but for their numbers make a table, whose
columns count where they are called a loss or one of its terms. Timings, counters and progress bars never count.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from grader.errors import one_line
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


# Four seeds of the reference end within 0.3 % of each other and begin within 1.3 %; other honest ways to write the same
# loss end within 0.1 %. Thirty times that is for other machines. A single number may come from a few images alone.
END_TOLERANCE = 0.1
SINGLE_TOLERANCE = 0.2
SHAPE_TOLERANCE = 0.3  # of a value on the way, relative
SHAPE_SHARE = 0.25  # of the values on the way that may lie outside it
_NEAR_ZERO = 0.02  # of the largest value of a curve: differences below it are noise
_MAX_CHARS = 300_000  # of what one cell printed
_MAX_LINES = 3000
_MAX_LINE = 300
_MAX_TABLES = 40
_MAX_SHOWN = 8  # rows of a comparison, beside the shorter side's last
_NUMBER = re.compile(r"(?<![\w.])[-+]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d{1,4})?(?![\w])|(?<!\w)[-+]?(?:nan|inf)\b")
_LOSS = re.compile(r"loss|elbo|recon|(?<![a-z])(?:kld?|bce|mse|nll)(?![a-z])", re.IGNORECASE)
_LABEL = 40  # characters before a number that may name it

Curve = list[str]  # one column of numbers as they were printed
Curves = dict[tuple[str, int], Curve]  # (the line without its numbers, column) -> its numbers


@dataclass(frozen=True, slots=True)
class Contradiction:
    """What two runs of a cell printed under one name, where it cannot be the same computation."""

    what: str  # for instance "loss"
    how: str  # in words: what differs
    beside: tuple[Comparison, ...]


def read_curves(text: str) -> Curves:
    """The columns of loss-like numbers in the text; bounded in time and size whatever the text is."""
    found: Curves = {}
    for line in (line[:_MAX_LINE] for line in text.splitlines()[:_MAX_LINES]):
        numbers = list(_NUMBER.finditer(line))
        skeleton = " ".join(_NUMBER.sub("#", line).split())
        end = 0
        for column, number in enumerate(numbers):
            label = line[max(end, number.start() - _LABEL) : number.start()]
            end = number.end()
            if _LOSS.search(label) and not number.group().lstrip("+-").isdigit():
                key = (skeleton, column)
                if key in found or len(found) < _MAX_TABLES:
                    found.setdefault(key, []).append(number.group())
    return found


def contradictions(saved: Curves, again: Curves, *, complete: bool) -> Iterator[Contradiction]:
    """What contradicts; where the run was not `complete`, only as far as it came."""
    for key, mine in saved.items():
        what = _name(key)
        theirs = again.get(key, [])
        if not theirs:
            if complete and not again and len(mine) >= 3:
                yield Contradiction(what, "the run printed nothing of that kind", _rows(what, mine, []))
            continue
        if complete and len(mine) != len(theirs):
            how = f"{len(mine)} values were handed in, the run printed {len(theirs)}"
            yield Contradiction(what, how, _rows(what, mine, theirs))
            continue
        length = min(len(mine), len(theirs))
        how = _difference(mine[:length], theirs[:length])
        if how:
            yield Contradiction(what, how, _rows(what, mine, theirs))


def _difference(mine: Sequence[str], theirs: Sequence[str]) -> str:
    saved, again = [float(value) for value in mine], [float(value) for value in theirs]
    finite = [abs(value) for value in (*saved, *again) if math.isfinite(value)]
    noise = _NEAR_ZERO * max(finite, default=0.0)
    tail = max(1, len(saved) // 10)  # single batches are noisy: the end is a mean where there are many
    tolerance = END_TOLERANCE if len(saved) >= 3 else SINGLE_TOLERANCE
    if _apart(_mean(saved[-tail:]), _mean(again[-tail:]), tolerance, noise):
        return f"{mine[-1]} was handed in at the end, the run ended at {theirs[-1]}"
    outside = sum(_apart(a, b, SHAPE_TOLERANCE, noise) for a, b in zip(saved, again, strict=True))
    if outside >= 2 and outside > SHAPE_SHARE * len(saved):
        return f"the way there differs at {outside} of {len(saved)} values"
    return ""


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values) if all(map(math.isfinite, values)) else math.nan


def _apart(one: float, other: float, tolerance: float, noise: float) -> bool:
    if not (math.isfinite(one) and math.isfinite(other)):
        return math.isfinite(one) != math.isfinite(other)
    return abs(one - other) > max(tolerance * max(abs(one), abs(other)), noise)


def _rows(what: str, mine: Sequence[str], theirs: Sequence[str]) -> tuple[Comparison, ...]:
    length = max(len(mine), len(theirs))
    count = min(length, _MAX_SHOWN)
    last = max(0, min(len(mine), len(theirs)) - 1)  # where the shorter one ends
    chosen = sorted({last, *(round(n * (length - 1) / max(1, count - 1)) for n in range(count))})
    return tuple(
        Comparison(
            f"{what}, {n + 1} of {length}" if length > 1 else what,
            mine[n] if n < len(mine) else "–",
            theirs[n] if n < len(theirs) else "–",
        )
        for n in chosen
    )


def _name(key: tuple[str, int]) -> str:
    skeleton, column = key
    words = re.findall(r"[\w-]+(?: [\w-]+)?", skeleton.split("#")[column][-_LABEL:])
    named = [word for word in words if _LOSS.search(word)]
    return str((named or words or ["number"])[-1])


def printed(outputs: Sequence[Mapping[str, Any]]) -> tuple[str, bool]:
    """What a cell printed, and whether that is all of it; standard error, full of progress bars, does not count."""
    told: list[str] = []
    left = _MAX_CHARS
    for output in outputs:
        text = output.get("text") if output.get("name") == "stdout" else None
        if isinstance(text, str):
            told.append(text[: max(0, left)])
            left -= len(text)
    lines = "".join(told).replace("\r\n", "\n").split("\n")
    return "\n".join(line.rstrip("\r").rpartition("\r")[2] for line in lines), left >= 0
