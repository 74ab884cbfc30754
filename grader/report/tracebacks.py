"""Where in a student's notebook an error was raised: the cell, the line number and the line itself.

Read from the tracebacks that IPython records, or found by the text of the line. A traceback comes from a submission: a
forged one can only name a wrong line of the student's own page.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from grader.notebook.format import source_of

MOST_LINE = 160  # characters of the line
_ANSI = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]")
_FRAME = re.compile(r"^\s*Cell In\s?\[\d{1,6}\], line (\d{1,6})(?:, in (?:[\w<>]{1,80}\.)*(\w{1,80})\()?", re.MULTILINE)
_ARROW = re.compile(r"^-+> ?(\d{1,6}) (.*)$", re.MULTILINE)  # before the line itself
_FILE = re.compile(r"\s*\((?:<[^<>]{1,40}>|[\w-]{1,40}\.py), line \d+\)$")  # at the end of a syntax error's message


@dataclass(frozen=True, slots=True)
class Place:
    """A line of a notebook."""

    cell: int  # index
    line: int  # from 1
    source: str  # without its indentation, cut


def place_of_error(cells: Sequence[Mapping[str, Any]], index: int, own: Collection[int]) -> Place | None:
    """The innermost line of this notebook in the cell's traceback, in one of the student's `own` cells if possible.

    None if the cell recorded no traceback, or one without a line of this notebook.
    """
    places = []
    for output in cells[index].get("outputs", ()):
        if output.get("output_type") == "error":
            traceback = "\n".join(line for line in output.get("traceback", ()) if isinstance(line, str))
            candidates = (_place(cells, index, *frame) for frame in _frames(_ANSI.sub("", traceback)))
            places += [place for place in candidates if place is not None]
    return next((place for place in reversed(places) if place.cell in own), places[-1] if places else None)


def place_of_line(sources: Mapping[int, str], line: str) -> Place | None:
    """The only line of these sources that equals `line`, indentation aside; None if no or several lines do.

    A long `line` may have been cut, so a line that begins with it also counts.
    """
    places = [
        Place(cell, number, text.strip()[:MOST_LINE])
        for cell, source in sources.items()
        if line and line in source
        for number, text in enumerate(source.splitlines(), start=1)
        if text.strip() == line or (len(line) >= MOST_LINE // 2 and text.strip().startswith(line))
    ]
    return places[0] if len(places) == 1 else None


def without_file(message: str) -> str:
    """The message of a syntax error without the temporary file that IPython names in it."""
    return _FILE.sub("", message)


def _frames(traceback: str) -> Iterator[tuple[int, str, str]]:
    """Yields the line number, the line and the function of each frame in a cell.

    The number in `In [n]` is not used: it is the kernel's execution count, not the cell's index.
    """
    matches = list(_FRAME.finditer(traceback))
    for match, end in zip(matches, [*(m.start() for m in matches[1:]), len(traceback)], strict=True):
        frame = traceback[match.end() : end]
        arrow = next((arrow for arrow in _ARROW.finditer(frame) if arrow[1] == match[1]), None)
        lines = frame.splitlines()  # a syntax error has no arrow: the line comes next
        line = arrow[2].strip() if arrow else lines[1].strip() if len(lines) > 1 else ""
        yield int(match[1]), line, match[2] or ""


def _place(cells: Sequence[Mapping[str, Any]], running: int, number: int, line: str, function: str) -> Place | None:
    """The line with this number in the running cell, else in the only other cell that has the same line there.

    If several cells have it, only those count that define the `function` that ran the line.
    """
    indices = [index for index, cell in enumerate(cells) if line and _line(cell, number) == line]
    if len(indices) > 1 and function:
        defines = re.compile(rf"^[ \t]*(?:async[ \t]+)?def[ \t]+{re.escape(function)}\b", re.MULTILINE)
        indices = [index for index in indices if defines.search(source_of(cells[index]))]
    if running in indices or len(indices) == 1:
        return Place(running if running in indices else indices[0], number, line[:MOST_LINE])
    return None


def _line(cell: Mapping[str, Any], number: int) -> str:
    lines = source_of(cell).splitlines() if cell.get("cell_type") == "code" else []
    return lines[number - 1].strip() if 1 <= number <= len(lines) else ""
