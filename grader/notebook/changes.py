"""Finds a student's changes to provided code, for the staff: lines of a cell, constants, and redefined names.

Changed constants and names are kept, because they are the student's decision, and reported. Only top-level statements
are read; provided names that are changed by other means are not seen.
"""

from __future__ import annotations

import difflib
import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from grader.errors import one_line
from grader.notebook.match import Match, TemplateCell
from grader.notebook.order import binders, names_behind
from grader.notebook.roles import PROVIDED, Role
from grader.notebook.statements import Code, Statement

_MAX_LINES = 30
_MAX_CHARS = 160  # of one line
_MAX_COMPARED = 400  # lines of each source from the first that differs; comparing costs their product at worst
_MAX_CHANGES = 5  # of one constant that are reported


def changed_lines(template: str, submitted_source: str) -> tuple[str, ...]:
    """A small diff: lines with `-` are only in the template, lines with `+` only in the submission.

    At most 30 lines of 160 characters; lines that differ in trailing spaces alone are equal.
    """
    old, new = ([line.rstrip()[:_MAX_CHARS] for line in source.splitlines()] for source in (template, submitted_source))
    equal_lines = sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], zip(old, new, strict=False)))
    first = max(0, equal_lines - 1)  # the line before the first change shows where it is
    old, new = old[first : first + _MAX_COMPARED], new[first : first + _MAX_COMPARED]
    lines = itertools.islice(difflib.unified_diff(old, new, n=1, lineterm=""), 2, None)
    diff_lines = [line for line in lines if not line.startswith("@@")]
    surplus = len(diff_lines) - _MAX_LINES
    return (*diff_lines[:_MAX_LINES], f"  and {surplus} more lines") if surplus > 0 else tuple(diff_lines)


def changed_constants(
    template: tuple[TemplateCell, ...], codes: Mapping[int, Code], match: Match
) -> Iterator[tuple[int | None, str]]:
    """Yields (index of the cell, description) per change; the index is None for a constant that no cell sets."""
    for t, cell in enumerate(template):
        if cell.role is not Role.CONSTANTS:
            continue
        is_present = t in match.primary or t in match.covered
        for definition in cell.code.statements or ():
            for name in sorted(definition.binds):
                yield from _changes(name, definition, codes, is_present=is_present)


def _changes(
    name: str, definition: Statement, codes: Mapping[int, Code], *, is_present: bool
) -> Iterator[tuple[int | None, str]]:
    changes = [
        (s, one_line(statement.value or "another expression", 40))
        for s, code in codes.items()
        if name in code.binds
        for statement in code.statements or ()
        if name in statement.binds and statement.value != definition.value
    ]
    for s, new in changes[:_MAX_CHANGES]:
        yield s, f"sets {name} to {new} (template: {definition.value}); the student's value was kept"
    if is_present and not any(name in code.binds for code in codes.values()):
        yield None, f"The constant {name} = {definition.value} was removed."


@dataclass(frozen=True, slots=True)
class Redefinition:
    """A cell that redefines or changes names that provided code above it defines."""

    index: int  # in the notebook to run
    names: tuple[str, ...]
    may_affect_training: bool  # whether a later training may depend on one of them


def redefinitions(codes: Sequence[Code | None], template: Sequence[TemplateCell]) -> list[Redefinition]:
    """The cells that redefine provided names, in order; `codes` are of the notebook to run, None for text cells."""
    given_cells = [cell for cell in template if cell.role is Role.GIVEN]
    given_statements = [statement for cell in given_cells for statement in cell.code.statements or ()]
    provided_keys = {key for cell in template if cell.role in PROVIDED for key in cell.code.keys or ()}
    names = frozenset[str]().union(*(statement.binds for statement in given_statements))
    imports = {pair for statement in given_statements for pair in statement.imports}
    training_cells = [cell for cell in template if cell.role is Role.TRAIN]
    reads = (statement.reads for cell in training_cells for statement in cell.code.statements or ())
    names_of_training = names_behind(frozenset[str]().union(*reads), binders(given_statements))
    training_functions = frozenset[str]().union(*(cell.trains for cell in template))
    last_training = max((i for i, code in enumerate(codes) if code and training_functions & code.calls), default=-1)
    redefinitions = []
    defined_names: set[str] = set()
    for index, code in enumerate(codes):
        touched_names: set[str] = set()
        for statement in (code.statements or ()) if code else ():
            if statement.key in provided_keys:
                defined_names |= statement.binds & names
            else:
                touched_names |= _touched_names(statement, imports) & defined_names
        if touched_names:
            may_affect_training = index < last_training and bool(touched_names & names_of_training)
            redefinitions.append(Redefinition(index, tuple(sorted(touched_names)), may_affect_training))
    return redefinitions


def _touched_names(statement: Statement, given_imports: set[tuple[str, str]]) -> frozenset[str]:
    imported_again = {name for name, _ in statement.imports & given_imports}
    # Settings of a library, as in `plt.rcParams["figure.dpi"] = 120`, do not count as a change.
    return (statement.binds - imported_again) | (statement.changes - {name for name, _ in given_imports})
