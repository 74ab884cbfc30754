"""The result of an audit: a row for each solution, an entry for each item and check of the rubric, and what is wrong.

Its words and marks are those in which page, table and terminal say the same thing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType

from grader.audit.calibration import Margin
from grader.audit.corpus import MUTANT, VARIANT
from grader.records import Measured
from grader.report.text import points_text


class SolutionState(StrEnum):
    """What became of one item of one solution, against what the corpus foretells."""

    LOST = "lost"  # foretold, and lost
    KEPT = "kept"  # foretold, but every point was given
    UNEXPECTED = "unexpected"  # lost, though nobody foretold it
    UNTOUCHED = "untouched"  # nothing foretold, nothing lost
    UNDECIDED = "undecided"  # the grader could not tell
    UNJUDGED = "unjudged"  # left out of this run


MARKS: Mapping[SolutionState, str] = MappingProxyType(
    {
        SolutionState.LOST: "●",
        SolutionState.KEPT: "○",
        SolutionState.UNEXPECTED: "!",
        SolutionState.UNTOUCHED: "·",
        SolutionState.UNDECIDED: "?",
        SolutionState.UNJUDGED: "",
    }
)
MEANINGS: Mapping[SolutionState, str] = MappingProxyType(
    {
        SolutionState.LOST: "lost, as foretold",
        SolutionState.KEPT: "foretold, but kept",
        SolutionState.UNEXPECTED: "lost, though not foretold",
        SolutionState.UNTOUCHED: "kept",
        SolutionState.UNDECIDED: "undecided",
        SolutionState.UNJUDGED: "not judged in this run",
    }
)


@dataclass(frozen=True, slots=True)
class CheckLoss:
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
    state: SolutionState
    lost_milli: int
    max_milli: int


@dataclass(frozen=True, slots=True)
class SolutionResult:
    """One solution: its squares in the rubric's order, and every check that it lost or that could not tell."""

    name: str
    kind: str  # a variant or a mutant, by its folder in the corpus
    story: str
    foretold: tuple[str, ...]
    squares: tuple[Square, ...]
    losses: tuple[CheckLoss, ...]
    undecided: tuple[CheckLoss, ...]
    named_checks: tuple[str, ...]  # those that the corpus says it must lose; empty where it names none
    to_the_check: bool | None  # whether it lost exactly those; None where none are named
    causes: tuple[str, ...] = ()  # that its feedback may state
    ceilings: Mapping[str, float] = field(default_factory=dict)  # item -> the most points that its code may earn
    earned_milli: Mapping[str, int] = field(default_factory=dict)  # item -> what its code earns, without its pictures
    weak: bool = False  # a variant of which it is known that it may lose points for its pictures

    @property
    def survives(self) -> bool:
        """Whether it is a mutant and lost nothing of what was foretold and judged."""
        states = {square.state for square in self.squares if square.item in self.foretold}
        return (
            self.kind == MUTANT
            and SolutionState.KEPT in states
            and not states & {SolutionState.LOST, SolutionState.UNDECIDED}
        )

    @property
    def was_judged(self) -> bool:
        """Whether anything foretold was judged; the rest needs training."""
        return any(s.item in self.foretold and s.state is not SolutionState.UNJUDGED for s in self.squares)


@dataclass(frozen=True, slots=True)
class CheckCoverage:
    """One check of the rubric, and the mutants that test it."""

    id: str
    title: str
    points_milli: int
    numbers: Mapping[str, object]
    measured: Measured
    judged: int  # mutants in which it was judged
    lost_by: tuple[str, ...]  # mutants that lose it
    margin: Margin | None


@dataclass(frozen=True, slots=True)
class ItemCoverage:
    """One item of the rubric, and the mutants that test it."""

    id: str
    title: str
    points_milli: int
    checks: tuple[CheckCoverage, ...]
    judged: int
    lost_by: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that makes the audit fail: one sentence, and what kind of thing it is."""

    kind: str  # a key of `problems.HEADINGS`
    subject: str
    text: str


@dataclass(frozen=True, slots=True)
class Audit:
    """Everything the page, the table and the terminal show."""

    title: str
    trained: bool  # whether models were trained, or components alone judged
    rows: tuple[SolutionResult, ...]
    items: tuple[ItemCoverage, ...]
    problems: tuple[Problem, ...]
    notes: tuple[str, ...]

    def of_kind(self, kind: str) -> tuple[SolutionResult, ...]:
        """The rows of one kind."""
        return tuple(row for row in self.rows if row.kind == kind)

    @property
    def sound(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems


def square_text(square: Square) -> str:
    """What became of the item, in words and points: "lost, as foretold: 3 of 20"."""
    lost_points = f": {points_text(square.lost_milli)} of {points_text(square.max_milli)}" if square.lost_milli else ""
    return MEANINGS[square.state] + lost_points


def killed_mutants(rows: Sequence[SolutionResult]) -> int:
    """How many mutants lost every item that was foretold and judged, and nothing that was not."""
    bad = {SolutionState.KEPT, SolutionState.UNEXPECTED, SolutionState.UNDECIDED}
    return sum(
        row.kind == MUTANT
        and not any(square.state in bad for square in row.squares)
        and any(square.state is SolutionState.LOST for square in row.squares)
        for row in rows
    )


def judged_mutants(rows: Sequence[SolutionResult]) -> list[SolutionResult]:
    """The mutants of which something foretold was judged; the others need training."""
    return [row for row in rows if row.kind == MUTANT and row.was_judged]


def intact_variants(rows: Sequence[SolutionResult]) -> int:
    """How many variants kept every point that was judged."""
    return sum(row.kind == VARIANT and not row.losses and not row.undecided for row in rows)


def summary(audit: Audit) -> str:
    """The audit in two sentences."""
    mutants, variants = audit.of_kind(MUTANT), audit.of_kind(VARIANT)
    how = "in full" if audit.trained else "on components alone"
    first = (
        f"Judged {how}, {killed_mutants(mutants)} of {len(judged_mutants(mutants))} wrong solutions lose what was "
        f"foretold and nothing else; {intact_variants(variants)} of {len(variants)} honest ones keep every point."
    )
    count = len(audit.problems)
    if not count:
        return f"{first} Nothing is wrong."
    return f"{first} {count} {'thing is' if count == 1 else 'things are'} wrong."
