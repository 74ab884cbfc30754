"""What was changed in a cell, as a few lines for a person."""

from __future__ import annotations

import difflib
import itertools

_MAX_LINES = 30
_MAX_CHARS = 160  # of one line
_MAX_COMPARED = 400  # lines of each source from the first that differs; comparing costs their product at worst


def changed_lines(template: str, handed_in: str) -> tuple[str, ...]:
    """A small diff: lines with `-` stand only in the template, lines with `+` only as handed in.

    At most 30 lines of 160 characters; lines that differ in trailing spaces alone are equal.
    """
    before, after = ([line.rstrip()[:_MAX_CHARS] for line in source.splitlines()] for source in (template, handed_in))
    alike = sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], zip(before, after, strict=False)))
    first = max(0, alike - 1)  # the line before the first change says where it is
    before, after = before[first : first + _MAX_COMPARED], after[first : first + _MAX_COMPARED]
    lines = itertools.islice(difflib.unified_diff(before, after, n=1, lineterm=""), 2, None)
    found = [line for line in lines if not line.startswith("@@")]
    more = len(found) - _MAX_LINES
    return (*found[:_MAX_LINES], f"  and {more} more lines") if more > 0 else tuple(found)
