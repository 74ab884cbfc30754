"""Where a submission gives a constant of the template another value; the student's values are kept."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from grader.notebook.format import one_line
from grader.notebook.match import Match, TemplateCell
from grader.notebook.statements import Code, Statement

_MAX_CHANGES = 5  # of one constant that are reported


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
