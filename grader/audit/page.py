"""The audit for the instructor: a self-contained page without scripts, a table, and the lines on the screen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from rich.console import Console
from rich.text import Text

from grader.audit.problems import ADVICE, HEADINGS
from grader.audit.result import (
    MARKS,
    MEANINGS,
    Audit,
    ItemCoverage,
    Problem,
    SolutionState,
    conclusion,
    correct_sentence,
    graded_mutants,
    killed_mutants,
    result_in_words,
    summary,
    wrong_sentence,
)
from grader.report.html_page import SHEET, data_uri, html_page
from grader.report.text import cell, plain, points_number, points_text
from grader.store.files import csv_bytes

_MOST_PICTURE = 2_000_000  # bytes
_LONGEST = 400
SHORT = 12  # solutions: a table of at most this many is not folded
_NOT_AS_EXPECTED = {SolutionState.KEPT, SolutionState.UNEXPECTED, SolutionState.UNDECIDED}


@dataclass(frozen=True, slots=True)
class LevelStrips:
    """Pictures that show what the levels of one check mean."""

    item: str
    title: str
    points_milli: int
    picture: str  # as a `data:` address


def levels_of(items: Sequence[ItemCoverage], folder: Path) -> list[LevelStrips]:
    """The strips that the calibration has written to the folder, for the checks of these items."""
    strips = []
    for item in items:
        for check in item.checks:
            path = folder / f"{item.id}.{check.id}.strips.png"
            if path.is_file() and path.stat().st_size <= _MOST_PICTURE:
                strips.append(LevelStrips(item.id, check.title, check.points_milli, data_uri(path.read_bytes())))
    return strips


def audit_html(audit: Audit, levels: Sequence[LevelStrips] = ()) -> str:
    """One page: conclusion, problems, coverage of items, pictures of levels, all solutions, and items with checks."""
    wrong, honest = audit.of_kind("wrong"), audit.of_kind("honest")
    odd = [row for row in wrong if any(result.state in _NOT_AS_EXPECTED for result in row.item_results)]
    return html_page(
        "grader.audit/audit.html.j2",
        (SHEET, "grader.audit/audit.css"),
        a=audit,
        score=(killed_mutants(wrong), len(graded_mutants(wrong)), "wrong solutions lost points as expected"),
        conclusion=conclusion(audit),
        wrong_sentence=wrong_sentence(audit),
        correct_sentence=correct_sentence(audit),
        wrong=wrong,
        odd=odd if len(wrong) > SHORT else [],
        honest=honest,
        harmed=[row for row in honest if row.losses or row.undecided],
        troubles=_by_kind(audit.problems),
        parts=_parts(audit.items),
        levels=levels,
        most_lost=max(1, *(len(item.lost_by) for item in audit.items)),
        legend=[state for state in SolutionState if MARKS[state]],
        STATE_MARKS=MARKS,
        STATE_MEANINGS=MEANINGS,
        HEADINGS=HEADINGS,
        ADVICE=ADVICE,
        SHORT=SHORT,
        tested=_tested,
        aimed_at={item for row in wrong for item in row.expected_items} | {i.id for i in audit.items if i.lost_by},
        number=_number,
        numbers=_numbers,
        result_in_words=result_in_words,
        counted=_counted,
        worth=_worth,
    )


def _by_kind(troubles: Sequence[Problem]) -> list[tuple[str, list[Problem]]]:
    return [(kind, list(of_kind)) for kind, of_kind in groupby(troubles, key=lambda trouble: trouble.kind)]


def _tested(item: ItemCoverage) -> str:
    """How many of the item's graded checks a wrong solution lost points in: "7 of 8"."""
    graded = [check for check in item.checks if check.graded]
    return f"{sum(bool(check.lost_by) for check in graded)} of {len(graded)}"


def _counted(count: int, thing: str) -> str:
    return f"{count} {thing}" if count == 1 else f"{count} {thing}s"


def _worth(points_milli: int) -> str:
    return f"{points_text(points_milli)} {'point' if points_milli == 1000 else 'points'}"


def _parts(items: Sequence[ItemCoverage]) -> list[tuple[str, list[tuple[str, str]]]]:
    """Each part with its items: (id, short name)."""
    named = [(item.id, *item.id.partition(".")[::2]) for item in items]
    return [(part, [(id_, name) for id_, _, name in group]) for part, group in groupby(named, key=lambda n: n[1])]


def _plain(text: object) -> str:
    return plain(str(text), _LONGEST)


def _number(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else _plain(value)


def _numbers(values: Mapping[str, object]) -> list[tuple[str, str]]:
    return [(_plain(name), _number(value)) for name, value in values.items()]


_MOST = 12  # problems of a kind on the screen; the page has all
_LONGEST_LINE = 220  # characters of one line
_LIST = 10_000  # characters of a list in the table
_SPECIAL = {SolutionState.UNDECIDED: "?", SolutionState.UNGRADED: ""}


def audit_csv(audit: Audit) -> bytes:
    """A row per solution, a column per item with the points lost: "?" needs manual review, empty was not graded."""
    rows = []
    for row in audit.rows:
        others = " ".join(f"{s.item}:{s.state}" for s in row.item_results if s.state in _NOT_AS_EXPECTED)
        who = {"solution": cell(row.name), "kind": cell(row.kind), "foretold": cell(" ".join(row.expected_items))}
        lost = {
            result.item: _SPECIAL.get(result.state, points_number(result.lost_milli)) for result in row.item_results
        }
        more = {
            "not_as_foretold": cell(others, _LIST),
            "checks_lost": cell(" ".join(f"{loss.item}.{loss.check}" for loss in row.losses), _LIST),
            "to_the_check": "" if row.exact is None else "yes" if row.exact else "no",
            "story": cell(row.story, _LONGEST_LINE),
        }
        rows.append({**who, **lost, **more})
    return csv_bytes(rows)


def print_audit(audit: Audit, console: Console, files: Sequence[Path] = ()) -> None:
    """Prints the problems by kind with what to do, the limits of the audit, the files, and last the summary."""
    for kind, of_kind in _by_kind(audit.problems):
        _print(console, f"{HEADINGS[kind]} ({len(of_kind)})", "bold red")
        _print(console, f"  {ADVICE[kind]}")
        for trouble in of_kind[:_MOST]:
            _print(console, f"- {trouble.subject}: {trouble.text}")
        if len(of_kind) > _MOST:
            _print(console, f"- {len(of_kind) - _MOST} more on the page")
    for remark in audit.remarks:
        _print(console, f"Remark: {remark}", "dim")
    for path in files:  # unwrapped, so that it can be copied
        console.print(Text(f"File: {path}"), soft_wrap=True)
    _print(console, summary(audit), "green" if audit.has_no_problems else "bold red")


def print_seeds(faults: Sequence[str], solutions: int, seeds: int, console: Console, file: Path) -> None:
    """Prints each solution whose points depend on the seed, and last how many there are."""
    for text in [*faults, f"File: {file}"]:
        console.print(Text(text), soft_wrap=True)
    _print(console, seeds_line(faults, solutions, seeds), "bold red" if faults else "green")


def seeds_line(faults: Sequence[str], solutions: int, seeds: int) -> str:
    """How many differences between seeds were found."""
    result = f"{len(faults)} differences found" if faults else "the same points with every seed"
    return f"{solutions} solutions with {seeds} seeds each: {result}."


def _print(console: Console, text: str, style: str = "") -> None:
    line = plain(text, 3 * _LONGEST_LINE).encode(console.encoding, "replace").decode(console.encoding)
    console.print(Text(line, style=style), soft_wrap=True)
