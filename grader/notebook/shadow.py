"""Given names that a student's own code defines anew: kept, since it is theirs, and told.

Reads code only as far as its top-level statements; what code does to given names in other ways is not seen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from grader.notebook.match import TemplateCell
from grader.notebook.order import behind, binders
from grader.notebook.statements import Code, Statement


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
    trained_on = _behind_training(given, template)
    last = max((i for i, code in enumerate(codes) if code and _trains(code, template)), default=-1)
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


def _behind_training(given: Sequence[Statement], template: Sequence[TemplateCell]) -> frozenset[str]:
    wanted = (s.reads for cell in template if cell.role == "train" for s in cell.code.statements or ())
    return behind(frozenset[str]().union(*wanted), binders(given))


def _trains(code: Code, template: Sequence[TemplateCell]) -> bool:
    return any(cell.trains & code.calls for cell in template)
