"""The result of an audit: a row per solution, an entry per item and check of the rubric, and the problems found.

Page, table and terminal share the words and marks that are defined here.
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
    """The result of one item of one solution, compared with what the corpus expects."""

    LOST = "lost"  # expected to lose points, and did
    KEPT = "kept"  # expected to lose points, but kept all
    UNEXPECTED = "unexpected"  # expected to keep all points, but lost some
    UNTOUCHED = "untouched"  # expected to keep all points, and did
    UNDECIDED = "undecided"  # needs manual review
    UNGRADED = "ungraded"  # not graded in this run


MARKS: Mapping[SolutionState, str] = MappingProxyType(
    {
        SolutionState.LOST: "●",
        SolutionState.KEPT: "○",
        SolutionState.UNEXPECTED: "!",
        SolutionState.UNTOUCHED: "·",
        SolutionState.UNDECIDED: "?",
        SolutionState.UNGRADED: "",
    }
)
MEANINGS: Mapping[SolutionState, str] = MappingProxyType(
    {
        SolutionState.LOST: "lost points, as expected",
        SolutionState.KEPT: "lost none, although expected to",
        SolutionState.UNEXPECTED: "lost points unexpectedly",
        SolutionState.UNTOUCHED: "lost none, as expected",
        SolutionState.UNDECIDED: "needs manual review",
        SolutionState.UNGRADED: "not graded in this run",
    }
)


@dataclass(frozen=True, slots=True)
class CheckLoss:
    """One check that did not give all of its points."""

    item: str
    check: str
    lost_milli: int
    message: str
    component: bool  # graded without training


@dataclass(frozen=True, slots=True)
class ItemResult:
    """One item of one solution; `lost_milli` already excludes the points that follow-through gave back."""

    item: str
    state: SolutionState
    lost_milli: int
    max_milli: int


@dataclass(frozen=True, slots=True)
class SolutionResult:
    """One solution: its items in the rubric's order, and every check that lost points or needs manual review."""

    name: str
    kind: str  # "honest" or "wrong", the folder in corpus/
    story: str
    expected_items: tuple[str, ...]  # those that the corpus expects to lose points
    item_results: tuple[ItemResult, ...]
    losses: tuple[CheckLoss, ...]
    undecided: tuple[CheckLoss, ...]
    named_checks: tuple[str, ...]  # the checks that the corpus expects to lose points; may be empty
    exact: bool | None  # whether exactly those lost points; None without named checks
    causes: tuple[str, ...] = ()  # the causes that its feedback may state
    ceilings: Mapping[str, float] = field(default_factory=dict)  # item -> the most points that its code may earn
    earned_milli: Mapping[str, int] = field(default_factory=dict)  # item -> the points for its code, without pictures
    weak: bool = False  # a correct solution of a weak design, which may lose points for its pictures

    @property
    def survives(self) -> bool:
        """Whether it is a wrong solution that kept all points of the graded items that were expected to lose some."""
        states = {result.state for result in self.item_results if result.item in self.expected_items}
        return (
            self.kind == MUTANT
            and SolutionState.KEPT in states
            and not states & {SolutionState.LOST, SolutionState.UNDECIDED}
        )

    @property
    def was_graded(self) -> bool:
        """Whether any item that is expected to lose points was graded; the others need training."""
        return any(s.item in self.expected_items and s.state is not SolutionState.UNGRADED for s in self.item_results)


@dataclass(frozen=True, slots=True)
class CheckCoverage:
    """One check of the rubric, and the wrong solutions that test it."""

    id: str
    title: str
    points_milli: int
    numbers: Mapping[str, object]
    measured: Measured
    graded: int  # wrong solutions in which it was graded
    lost_by: tuple[str, ...]  # wrong solutions that lose points in it
    margin: Margin | None


@dataclass(frozen=True, slots=True)
class ItemCoverage:
    """One item of the rubric, and the wrong solutions that test it."""

    id: str
    title: str
    points_milli: int
    checks: tuple[CheckCoverage, ...]
    graded: int
    lost_by: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Problem:
    """A reason for the audit to fail: its kind, the solution or item it concerns, and one sentence."""

    kind: str  # a key of `problems.HEADINGS`
    subject: str
    text: str


@dataclass(frozen=True, slots=True)
class Audit:
    """Everything the page, the table and the terminal show."""

    title: str
    trained: bool  # whether models were trained; otherwise only components were graded
    rows: tuple[SolutionResult, ...]
    items: tuple[ItemCoverage, ...]
    problems: tuple[Problem, ...]
    remarks: tuple[str, ...]

    def of_kind(self, kind: str) -> tuple[SolutionResult, ...]:
        """The rows of one kind."""
        return tuple(row for row in self.rows if row.kind == kind)

    @property
    def has_no_problems(self) -> bool:
        """Whether no problem was found."""
        return not self.problems


def result_in_words(result: ItemResult) -> str:
    """The result in words and points: "lost points, as expected: 3 of 20"."""
    lost_points = f": {points_text(result.lost_milli)} of {points_text(result.max_milli)}" if result.lost_milli else ""
    return MEANINGS[result.state] + lost_points


def killed_mutants(rows: Sequence[SolutionResult]) -> int:
    """The number of wrong solutions that lost points on exactly the expected items, of those that were graded."""
    bad = {SolutionState.KEPT, SolutionState.UNEXPECTED, SolutionState.UNDECIDED}
    return sum(
        row.kind == MUTANT
        and not any(result.state in bad for result in row.item_results)
        and any(result.state is SolutionState.LOST for result in row.item_results)
        for row in rows
    )


def graded_mutants(rows: Sequence[SolutionResult]) -> list[SolutionResult]:
    """The wrong solutions with a graded item that is expected to lose points; the others need training."""
    return [row for row in rows if row.kind == MUTANT and row.was_graded]


def intact_variants(rows: Sequence[SolutionResult]) -> int:
    """The number of correct solutions that kept every graded point."""
    return sum(row.kind == VARIANT and not row.losses and not row.undecided for row in rows)


def exact_mutants(rows: Sequence[SolutionResult]) -> tuple[int, int]:
    """The number of wrong solutions that lost points in exactly the checks named for them, and of all with names."""
    named = [row for row in rows if row.exact is not None]
    return sum(bool(row.exact) for row in named), len(named)


def wrong_sentence(audit: Audit) -> str:
    """How many wrong solutions lost what was expected, by items and by checks."""
    mutants = audit.of_kind(MUTANT)
    exact, named = exact_mutants(mutants)
    by_item = f"{killed_mutants(mutants)} of {len(graded_mutants(mutants))} wrong solutions lost points on exactly the"
    by_check = f"; {exact} of {named} in exactly the expected checks" if named else ""
    return f"{by_item} expected items{by_check}"


def correct_sentence(audit: Audit) -> str:
    """How many correct solutions kept their points."""
    variants = audit.of_kind(VARIANT)
    return f"{intact_variants(variants)} of {len(variants)} correct solutions lost no points"


def conclusion(audit: Audit) -> str:
    """The conclusion: "No problems found" or "2 problems found"."""
    count = len(audit.problems)
    return f"{count} {'problem' if count == 1 else 'problems'} found" if count else "No problems found"


def summary(audit: Audit) -> str:
    """The audit in two sentences: the counts, and the conclusion."""
    how = "With training" if audit.trained else "Without training"
    return f"{how}: {wrong_sentence(audit)}; {correct_sentence(audit)}. {conclusion(audit)}."
