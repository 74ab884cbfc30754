"""What a student changed of what is given, for a person: lines of a cell, constants, and names that are defined anew.

Constants and names are kept, since they are the student's own, and told. Code is read only as far as its top-level
statements; what it does to given names in other ways is not seen.
"""

from __future__ import annotations

import difflib
import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from grader.errors import one_line
from grader.notebook.match import Match, TemplateCell
from grader.notebook.order import behind, binders
from grader.notebook.statements import Code, Statement

_MAX_LINES = 30
_MAX_CHARS = 160  # of one line
_MAX_COMPARED = 400  # lines of each source from the first that differs; comparing costs their product at worst
_MAX_CHANGES = 5  # of one constant that are reported


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


def changed_constants(
    template: tuple[TemplateCell, ...], codes: Mapping[int, Code], match: Match
) -> Iterator[tuple[int | None, str]]:
    """(cell, what it does) of each change in words; the cell is None for a constant that nothing sets."""
    for t, cell in enumerate(template):
        if cell.role != "constants":
            continue
        present = t in match.primary or t in match.covered
        for given in cell.code.statements or ():
            for name in sorted(given.binds):
                yield from _changes(name, given, codes, present=present)


def _changes(
    name: str, given: Statement, codes: Mapping[int, Code], *, present: bool
) -> Iterator[tuple[int | None, str]]:
    changes = [
        (s, one_line(statement.value or "another expression", 40))
        for s, code in codes.items()
        if name in code.binds
        for statement in code.statements or ()
        if name in statement.binds and statement.value != given.value
    ]
    for s, new in changes[:_MAX_CHANGES]:
        yield s, f"sets {name} to {new}; the template gives {given.value}, and the student's value was kept"
    if present and not any(name in code.binds for code in codes.values()):
        yield None, f"The constant {name} = {given.value} was removed."


@dataclass(frozen=True, slots=True)
class Shadow:
    """One cell that defines or changes given names after the given code."""

    index: int  # in the notebook to run
    names: tuple[str, ...]
    trains: bool  # whether a later training may depend on one of them


def shadows(codes: Sequence[Code | None], template: Sequence[TemplateCell]) -> list[Shadow]:
    """The cells, in order; `codes` are those of the notebook to run, None for text."""
    given = [statement for cell in template if cell.role == "given" for statement in cell.code.statements or ()]
    signed = {key for cell in template if cell.role != "task" for key in cell.code.keys or ()}
    names = frozenset[str]().union(*(statement.binds for statement in given))
    imported = {pair for statement in given for pair in statement.imports}
    wanted = (s.reads for cell in template if cell.role == "train" for s in cell.code.statements or ())
    trained_on = behind(frozenset[str]().union(*wanted), binders(given))
    trains = frozenset[str]().union(*(cell.trains for cell in template))
    last = max((i for i, code in enumerate(codes) if code and trains & code.calls), default=-1)
    found = []
    defined: set[str] = set()
    for index, code in enumerate(codes):
        touched: set[str] = set()
        for statement in (code.statements or ()) if code else ():
            if statement.key in signed:
                defined |= statement.binds & names
            else:
                touched |= _touched(statement, imported) & defined
        if touched:
            found.append(Shadow(index, tuple(sorted(touched)), index < last and bool(touched & trained_on)))
    return found


def _touched(statement: Statement, imported: set[tuple[str, str]]) -> frozenset[str]:
    same = {name for name, _ in statement.imports & imported}
    # Settings of a library, as in `plt.rcParams["figure.dpi"] = 120`, are no change of what is given.
    return (statement.binds - same) | (statement.changes - {name for name, _ in imported})
