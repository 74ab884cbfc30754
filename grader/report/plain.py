"""Makes text that may come from a submission safe to show: one line, short, without tricks.

It does not escape HTML or console markup: that is the job of whoever knows the medium.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

# The length of a command string is bounded: an unterminated one must not make the search quadratic.
_ESCAPES = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"  # CSI: colours, cursor
    r"|(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f])[^\x07\x1b\x9c]{0,400}(?:\x07|\x1b\\|\x9c)"  # titles, links
    r"|\x1b[ -/]*[0-~]"
)
_PATH = re.compile(r"(?<![\w.:/\\])(?:~|[A-Za-z]:)?(?:[/\\][\w.@+-]+){2,}[/\\]?")
_DROPPED = frozenset({"Cc", "Cf", "Cs", "Co", "Cn"})  # controls, bidi, surrogates, private
_MARKS = frozenset({"Mn", "Me"})
_MOST_MARKS = 3  # accents on one letter; more climb over the neighbouring lines
_READ_AHEAD = 8


def plain(text: str, limit: int) -> str:
    """`text` as one line of at most `limit` characters, free of control, escape and bidi characters.

    White space becomes single spaces; what does not fit is cut and marked with an ellipsis. Applying it twice
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
    return line[: limit - 1].rstrip() + "…"


def without_paths(text: str) -> str:
    """`text` with each absolute path cut down to its last part, so that no folder of ours is told."""
    return _PATH.sub(lambda found: re.split(r"[/\\]", found.group().rstrip("/\\"))[-1], text)


def _visible(text: str) -> Iterator[str]:
    marks = 0
    for character in text:
        category = unicodedata.category(character)
        if category in _DROPPED:
            continue
        marks = marks + 1 if category in _MARKS else 0
        if marks <= _MOST_MARKS:
            yield character
