"""Finds the solution regions of a notebook, replaces their code, and removes their markers.

A solution region is between `# BEGIN SOLUTION name` and `# END SOLUTION` in a code cell, at any indentation.
Malformed markers are refused: a region that is read wrongly would leak the solution into the template.
"""

from __future__ import annotations

import copy
import re
import textwrap
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from grader.errors import GraderError, nearest
from grader.notebook.format import is_code, source_of
from grader.records import Notebook

_BEGIN = re.compile(r"^(?P<indent>[ \t]*)# BEGIN SOLUTION (?P<name>[\w.\-]+)[ \t]*$")
_END = re.compile(r"^(?P<indent>[ \t]*)# END SOLUTION[ \t]*(?P<name>[\w.\-]*)[ \t]*$")
_ANY_MARKER = re.compile(r"\b(BEGIN|END)\s+SOLUTION\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Region:
    """One solution region: lines `start` (its begin marker) to `end` (its end marker) of a cell, 0-based."""

    cell: int  # index in the notebook
    start: int
    end: int
    indent: str
    source: str  # between the markers, dedented


def solution_regions(notebook: Notebook) -> dict[str, Region]:
    """Every solution region by name, in the notebook's order.

    Raises:
        GraderError: a marker is unclosed, nested, unopened or misspelt, or a name is used twice.
    """
    regions: dict[str, Region] = {}
    for index, cell in enumerate(notebook["cells"]):
        for name, region in _regions_of_cell(index, source_of(cell), code=is_code(cell)):
            if name in regions:
                first = regions[name].cell + 1
                raise GraderError(f"cell {index + 1}: region '{name}' is already in cell {first}; use each name once")
            regions[name] = region
    return regions


def replace_regions(notebook: Notebook, sources: Mapping[str, str]) -> Notebook:
    """A copy of the notebook with these dedented sources in the named regions; the markers stay.

    Raises:
        GraderError: an unknown region, with the nearest known name.
    """
    regions = solution_regions(notebook)
    for name in sources:
        if name not in regions:
            raise GraderError(f"unknown solution region {name!r}{nearest(name, regions)}")
    result = copy.deepcopy(notebook)
    # From the last region to the first, so that the line numbers of earlier ones remain valid.
    for name, region in reversed(list(regions.items())):
        if name in sources:
            cell = result["cells"][region.cell]
            lines = source_of(cell).split("\n")
            new = textwrap.dedent(sources[name]).strip("\n") or "pass"
            lines[region.start + 1 : region.end] = textwrap.indent(new, region.indent).split("\n")
            cell["source"] = "\n".join(lines)
    return result


def strip_markers(notebook: Notebook) -> Notebook:
    """A copy without the marker lines: the notebook as a student would submit it.

    Raises:
        GraderError: malformed markers.
    """
    solution_regions(notebook)
    result = copy.deepcopy(notebook)
    for cell in filter(is_code, result["cells"]):
        lines = source_of(cell).split("\n")
        cell["source"] = "\n".join(line for line in lines if not (_BEGIN.match(line) or _END.match(line)))
    return result


def _regions_of_cell(index: int, source: str, *, code: bool) -> Iterable[tuple[str, Region]]:
    where = f"cell {index + 1}"
    open_region: tuple[str, str, int] | None = None
    lines = source.split("\n")
    for number, line in enumerate(lines):
        begin, end = _BEGIN.match(line), _END.match(line)
        if not (begin or end):
            if _ANY_MARKER.search(line):
                raise GraderError(
                    f"{where}, line {number + 1}: expected '# BEGIN SOLUTION name' or '# END SOLUTION' "
                    f"alone on the line, got {line.strip()[:60]!r}"
                )
            continue
        if not code:
            raise GraderError(f"{where}, line {number + 1}: a solution marker outside a code cell; move it")
        if begin:
            if open_region:
                raise GraderError(
                    f"{where} line {number + 1}: '{begin['name']}' begins in '{open_region[0]}'; close that first"
                )
            open_region = (begin["name"], begin["indent"], number)
        elif end:
            if not open_region or end["name"] not in ("", open_region[0]) or end["indent"] != open_region[1]:
                what = f"region '{open_region[0]}' (same indentation)" if open_region else "an open region"
                raise GraderError(
                    f"{where}, line {number + 1}: END SOLUTION without its BEGIN; expected one for {what}"
                )
            name, indent, start = open_region
            text = textwrap.dedent("\n".join(lines[start + 1 : number]))
            open_region = None
            yield name, Region(index, start, number, indent, text)
    if open_region:
        raise GraderError(f"{where}: region '{open_region[0]}' is never closed; add '# END SOLUTION' to the cell")
