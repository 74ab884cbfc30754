"""Text in a cell of a CSV, as a spreadsheet shows it and never as it would compute it."""

from __future__ import annotations

import re
import unicodedata

from grader.report.plain import plain

LONGEST = 1000  # characters
_SIGNS = frozenset("=+-@\N{MINUS SIGN}")
_SKIPPED = frozenset({"Zs", "Pi", "Pf"})  # before a sign: spaces, typographic quotes
_NUMBER = re.compile(r"-?[0-9]+(?:\.[0-9]+)?")


def cell(text: str, limit: int = LONGEST) -> str:
    """The text in one line; with an apostrophe before whatever a spreadsheet would take for a formula.

    Spaces and quotes before the sign do not hide it, nor does a full-width form of it. Where `;` separates
    columns, a comma's quotes protect nothing, so that what follows a `;` counts as a beginning, too. A number
    stays one. Applying it twice changes nothing.

    >>> cell("=1+1"), cell("Jean-Luc"), cell('"@SUM(1)'), cell("-0.5"), cell("x;=A1")
    ("'=1+1", 'Jean-Luc', '\\'"@SUM(1)', '-0.5', "x;'=A1")

    Raises:
        ValueError: `limit` is below 1.
    """
    line = plain(text, limit)
    return line if _NUMBER.fullmatch(line) else ";".join(map(_harmless, line.split(";")))


def _harmless(text: str) -> str:
    """The text, marked as such where it begins like a formula and is not marked yet."""
    return f"'{text}" if not text.startswith("'") and _first(text) in _SIGNS else text


def _first(text: str) -> str:
    """The first character that counts, in its usual width."""
    for character in unicodedata.normalize("NFKC", text):
        if character not in "\"'`" and unicodedata.category(character) not in _SKIPPED:
            return character
    return ""
