"""The words and marks in which page, table and terminal say the same thing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from grader.audit.records import Audit, Row, Square, State
from grader.report.points import points_text

MARKS: Mapping[State, str] = MappingProxyType(
    {
        State.LOST: "●",
        State.KEPT: "○",
        State.UNEXPECTED: "!",
        State.UNTOUCHED: "·",
        State.UNDECIDED: "?",
        State.UNJUDGED: "",
    }
)
MEANINGS: Mapping[State, str] = MappingProxyType(
    {
        State.LOST: "lost, as foretold",
        State.KEPT: "foretold, but kept",
        State.UNEXPECTED: "lost, though not foretold",
        State.UNTOUCHED: "kept",
        State.UNDECIDED: "undecided",
        State.UNJUDGED: "not judged in this run",
    }
)


def square_text(square: Square) -> str:
    """What became of the item, in words and points: "lost, as foretold: 3 of 20"."""
    lost = f": {points_text(square.lost_milli)} of {points_text(square.max_milli)}" if square.lost_milli else ""
    return MEANINGS[square.state] + lost


def caught(rows: Sequence[Row]) -> int:
    """How many wrong solutions lost every item that was foretold and judged, and nothing that was not."""
    bad = {State.KEPT, State.UNEXPECTED, State.UNDECIDED}
    return sum(
        row.kind == "wrong"
        and not any(square.state in bad for square in row.squares)
        and any(square.state is State.LOST for square in row.squares)
        for row in rows
    )


def tried(rows: Sequence[Row]) -> list[Row]:
    """The wrong solutions of which something foretold was judged; the others need training."""
    return [
        row
        for row in rows
        if row.kind == "wrong" and any(s.item in row.foretold and s.state is not State.UNJUDGED for s in row.squares)
    ]


def unharmed(rows: Sequence[Row]) -> int:
    """How many honest solutions kept every point that was judged."""
    return sum(row.kind == "honest" and not row.losses and not row.undecided for row in rows)


def summary(audit: Audit) -> str:
    """The audit in two sentences."""
    wrong, honest = audit.of_kind("wrong"), audit.of_kind("honest")
    how = "in full" if audit.trained else "on components alone"
    first = (
        f"Judged {how}, {caught(wrong)} of {len(tried(wrong))} wrong solutions lose what was foretold and nothing "
        f"else; {unharmed(honest)} of {len(honest)} honest ones keep every point."
    )
    count = len(audit.troubles)
    if not count:
        return f"{first} Nothing is wrong."
    return f"{first} {count} {'thing is' if count == 1 else 'things are'} wrong."
