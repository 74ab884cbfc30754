"""Text that is safe to show, wherever it came from: one short line, points as exact decimals, a spreadsheet's cell.

Nothing here escapes HTML or console markup: that is left to the code for each medium.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from decimal import Decimal

from grader.errors import GraderError

# The length of a command string is bounded: an unterminated one must not make the search quadratic.
_ESCAPES = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"  # CSI: colours, cursor
    r"|(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f])[^\x07\x1b\x9c]{0,400}(?:\x07|\x1b\\|\x9c)"  # titles, links
    r"|\x1b[ -/]*[0-~]"
)
_PATH = re.compile(r"(?<![\w.:/\\])(?:~|[A-Za-z]:)?(?:[/\\][\w.@+-]+){2,}[/\\]?")
_DROPPED = frozenset({"Cc", "Cf", "Cs", "Co", "Cn"})  # controls, bidi, surrogates, private
_MARKS = frozenset({"Mn", "Me"})
_MOST_MARKS = 3  # accents on one letter; more would cover the neighbouring lines
_READ_AHEAD = 8


def plain(text: str, limit: int) -> str:
    """`text` as one line of at most `limit` characters, free of control, escape and bidi characters.

    White space becomes single spaces; text that does not fit is cut and marked with an ellipsis. Applying this twice
    changes nothing.

    Raises:
        ValueError: `limit` is below 1.
    """
    if limit < 1:
        raise ValueError(f"limit: expected at least 1, got {limit}")
    head = text[: limit * _READ_AHEAD]
    line = " ".join("".join(_visible(" ".join(_ESCAPES.sub("", head).split()))).split())
    if len(line) <= limit and len(head) == len(text):
        return line
    cut = line[: limit - 1]
    if line[limit - 1 : limit].strip() and (space := cut.rfind(" ")) > limit // 2:
        cut = cut[:space]  # not within a word
    return cut.rstrip() + "…"


def listed(names: Sequence[str], most: int = 5) -> str:
    """The first names, separated by commas, and how many more there are.

    >>> listed(["a", "b", "c"], most=2)
    'a, b and 1 more'
    """
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def without_paths(text: str) -> str:
    """`text` with each absolute path cut down to its last part, so that it names no folder of the machine."""
    return _PATH.sub(lambda path: re.split(r"[/\\]", path.group().rstrip("/\\"))[-1], text)


def _visible(text: str) -> Iterator[str]:
    marks = 0
    for character in text:
        category = unicodedata.category(character)
        if category in _DROPPED:
            continue
        marks = marks + 1 if category in _MARKS else 0
        if marks <= _MOST_MARKS:
            yield character


_MOST = 10**9  # far above any rubric, far below where a float stops being exact to a thousandth


def points_text(milli: int) -> str:
    """The shortest exact decimal: `87500` is "87.5" and `20000` is "20".

    >>> points_text(87500), points_text(20000), points_text(-1)
    ('87.5', '20', '-0.001')
    """
    whole, rest = divmod(abs(milli), 1000)
    sign = "-" if milli < 0 else ""
    return f"{sign}{whole}" + (f".{rest:03d}".rstrip("0") if rest else "")


def points_number(milli: int) -> int | float:
    """The number that JSON writes like `points_text`: an int if it is whole, else a float with at most 3 decimals."""
    return milli // 1000 if milli % 1000 == 0 else float(points_text(milli))


def milli_of(number: object) -> int:
    """The thousandths of a number that `points_number` made.

    Raises:
        GraderError: it is not a number, or finer than a thousandth.
    """
    if type(number) in (int, float) and -_MOST < number < _MOST:  # type: ignore[operator]  # narrowed in this line
        milli = Decimal(repr(number)) * 1000
        if milli == milli.to_integral_value():
            return int(milli)
    raise GraderError(f"points: expected a number with at most 3 decimals, got {repr(number)[:40]}")


def of_points(milli: int, max_milli: int) -> str:
    """Points and their maximum in one phrase, "87.5 / 100"."""
    return f"{points_text(milli)} / {points_text(max_milli)}"


LONGEST = 1000  # characters
_SIGNS = frozenset("=+-@\N{MINUS SIGN}")
_SKIPPED = frozenset({"Zs", "Pi", "Pf"})  # before a sign: spaces, typographic quotes
_NUMBER = re.compile(r"-?[0-9]+(?:\.[0-9]+)?")


def cell(text: str, limit: int = LONGEST) -> str:
    """The text in one line, with an apostrophe before anything that a spreadsheet would take for a formula.

    A formula's sign is also recognised in its full-width form, and after spaces and quotes. A spreadsheet may separate
    columns by `;`, although the file quotes fields only for commas, so text after a `;` is treated like the beginning,
    too. A number is not changed. Applying this twice changes nothing.

    >>> cell("=1+1"), cell("Jean-Luc"), cell('"@SUM(1)'), cell("-0.5"), cell("x;=A1")
    ("'=1+1", 'Jean-Luc', '\\'"@SUM(1)', '-0.5', "x;'=A1")

    Raises:
        ValueError: `limit` is below 1.
    """
    line = plain(text, limit)
    return line if _NUMBER.fullmatch(line) else ";".join(map(_harmless, line.split(";")))


def _harmless(text: str) -> str:
    """The text, with an apostrophe before it if it begins like a formula and has none yet."""
    return f"'{text}" if not text.startswith("'") and _first(text) in _SIGNS else text


def _first(text: str) -> str:
    """The first character that is not skipped, in its normal width; empty if there is no such character."""
    for character in unicodedata.normalize("NFKC", text):
        if character not in "\"'`" and unicodedata.category(character) not in _SKIPPED:
            return character
    return ""
