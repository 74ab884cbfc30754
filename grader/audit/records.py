"""What an audit says: one row a solution, one use an item and a check, and what is wrong."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from grader.audit.margins import Margin
from grader.records import Measured


class State(StrEnum):
    """What became of one item of one solution, against what the corpus foretells."""

    LOST = "lost"  # foretold, and lost
    KEPT = "kept"  # foretold, but every point was given
    UNEXPECTED = "unexpected"  # lost, though nobody foretold it
    UNTOUCHED = "untouched"  # nothing foretold, nothing lost
    UNDECIDED = "undecided"  # the grader could not tell
    UNJUDGED = "unjudged"  # left out of this run


@dataclass(frozen=True, slots=True)
class Loss:
    """One check that gave less than its points."""

    item: str
    check: str
    lost_milli: int
    message: str
    component: bool  # judged without training


@dataclass(frozen=True, slots=True)
class Square:
    """One item of one solution; `lost_milli` is after what follow-through gave back."""

    item: str
    state: State
    lost_milli: int
    max_milli: int


@dataclass(frozen=True, slots=True)
class Row:
    """One solution: its squares in the rubric's order, and every check that it lost or that could not tell."""

    name: str
    kind: str  # honest | wrong
    story: str
    foretold: tuple[str, ...]
    squares: tuple[Square, ...]
    losses: tuple[Loss, ...]
    undecided: tuple[Loss, ...]
    named_checks: tuple[str, ...]  # those that the corpus says it must lose; empty where it names none
    to_the_check: bool | None  # whether it lost exactly those; None where none are named

    @property
    def survives(self) -> bool:
        """Whether it is wrong and lost nothing of what was foretold and judged."""
        states = {square.state for square in self.squares if square.item in self.foretold}
        return self.kind == "wrong" and State.KEPT in states and not states & {State.LOST, State.UNDECIDED}


@dataclass(frozen=True, slots=True)
class CheckUse:
    """One check of the rubric, and how the corpus tries it."""

    id: str
    title: str
    points_milli: int
    numbers: Mapping[str, object]
    measured: Measured
    judged: int  # wrong solutions in which it was judged
    lost_by: tuple[str, ...]  # wrong solutions that lose it
    margin: Margin | None


@dataclass(frozen=True, slots=True)
class ItemUse:
    """One item of the rubric, and how the corpus tries it."""

    id: str
    title: str
    points_milli: int
    checks: tuple[CheckUse, ...]
    judged: int
    lost_by: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something that makes the audit fail: one sentence, and what kind of thing it is."""

    kind: str  # a key of `findings.HEADINGS`
    subject: str
    text: str


@dataclass(frozen=True, slots=True)
class Audit:
    """Everything the page, the table and the terminal show."""

    title: str
    trained: bool  # whether models were trained, or components alone judged
    rows: tuple[Row, ...]
    items: tuple[ItemUse, ...]
    troubles: tuple[Trouble, ...]
    notes: tuple[str, ...]

    def of_kind(self, kind: str) -> tuple[Row, ...]:
        """The rows of one kind."""
        return tuple(row for row in self.rows if row.kind == kind)

    @property
    def sound(self) -> bool:
        """Whether nothing is wrong."""
        return not self.troubles
