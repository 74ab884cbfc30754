"""What was changed in a cell, as a few lines for a person."""

from __future__ import annotations

import difflib
import itertools

_MAX_LINES = 30
_MAX_CHARS = 160  # of one line
_MAX_COMPARED = 400  # lines of each source; comparing costs their product at worst


def changed_lines(template: str, handed_in: str) -> tuple[str, ...]:
    """A small diff: lines with `-` stand only in the template, lines with `+` only as handed in.

    At most 30 lines of 160 characters; lines that differ in trailing spaces alone are equal.
    """
    before, after = (
        [line.rstrip()[:_MAX_CHARS] for line in itertools.islice(source.splitlines(), _MAX_COMPARED)]
        for source in (template, handed_in)
    )
    lines = itertools.islice(difflib.unified_diff(before, after, n=1, lineterm=""), 2, None)
    found = [line for line in lines if not line.startswith("@@")]
    more = len(found) - _MAX_LINES
    return (*found[:_MAX_LINES], f"  and {more} more lines") if more > 0 else tuple(found)
