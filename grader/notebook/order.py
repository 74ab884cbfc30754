"""Finds an order in which a notebook runs: provided code before code that uses it, training after code that it needs.

A notebook that a student ran out of order fails if it is run from top to bottom. Only cells that are sure to fail in
their place are moved; all others keep the student's order.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from grader.notebook.match import TemplateCell
from grader.notebook.roles import LATE, SOLVED_OR_TRAINED, Role
from grader.notebook.statements import Code, Statement


@dataclass(frozen=True, slots=True)
class PlacedCell:
    """A cell of the notebook to run: its code, and its template cell, if it has one."""

    index: int  # before cells are moved
    code: Code | None  # None: not a code cell
    template: int | None  # its position in the template


@dataclass(frozen=True, slots=True)
class Move:
    """A cell that was moved."""

    index: int  # before cells were moved
    up: bool  # whether it was moved above a cell that needs it; else below the cells that it needs


def working_order(cells: Sequence[PlacedCell], template: Sequence[TemplateCell]) -> tuple[list[int], list[Move]]:
    """Returns the indices of the cells in the order in which to run them, and the cells that were moved."""
    order = list(cells)
    counts = Counter(cell.template for cell in cells)
    single = [t for t in range(len(template)) if counts[t] == 1]
    needs = _Needs([cell.code for cell in cells if cell.code])
    moves = []
    for t in single:
        position = next(i for i, cell in enumerate(order) if cell.template == t)
        is_early = template[t].role not in LATE
        target = (_first_that_needs if is_early else _last_that_is_needed)(order, position, t, template, needs)
        if target is not None:
            moves.append(Move(order[position].index, up=target < position))
            order.insert(target, order.pop(position))
    return [cell.index for cell in order], moves


def _first_that_needs(
    order: Sequence[PlacedCell], position: int, t: int, template: Sequence[TemplateCell], needs: _Needs
) -> int | None:
    """Returns the position of the first cell above `t` that needs a name of `t` which nothing above that cell binds.

    Only cells that follow `t` in the template count. None if there is no such cell, or if `t` could not run there.
    """
    moved_code = order[position].code
    if moved_code is None:
        return None
    # Definitions may be in either order; only code that runs them needs one.
    is_task = template[t].role is Role.TASK
    has_later = any(_follows(cell, t) for cell in order[:position])
    leading_names = {name: needs.leading_to(name) for name in template[t].own_names} if has_later else {}
    bound_names: set[str] = set()
    for i, cell in enumerate(order[:position]):
        if cell.code is None:
            continue
        if _follows(cell, t) and not (is_task and template[cell.template or 0].role not in LATE):
            reads = needs.reads(cell.code)
            if any(name not in bound_names and not reads.isdisjoint(names) for name, names in leading_names.items()):
                own_needs = needs.of(moved_code) if is_task else needs.bound & needs.reads(moved_code)
                return i if own_needs - moved_code.binds <= bound_names else None
        bound_names |= cell.code.binds
    return None


def _follows(cell: PlacedCell, t: int) -> bool:
    return cell.template is not None and cell.template >= t


def _last_that_is_needed(
    order: Sequence[PlacedCell], position: int, t: int, template: Sequence[TemplateCell], needs: _Needs
) -> int | None:
    """Returns the position of the last cell that comes before `t` in the template and that `t` needs."""
    code = order[position].code
    bound_names = frozenset[str]().union(*(cell.code.binds for cell in order[:position] if cell.code))
    missing_names = (needs.of(code) if code else frozenset()) - bound_names
    candidates = [
        i
        for i in range(position + 1, len(order))
        if (other_position := order[i].template) is not None
        and other_position < t
        and template[other_position].role in SOLVED_OR_TRAINED
        and template[other_position].own_names & missing_names
    ]
    return candidates[-1] if candidates else None


class _Needs:
    """The names that the code of a cell needs, directly and through other definitions of the notebook."""

    def __init__(self, codes: Sequence[Code]) -> None:
        statements = [statement for code in codes for statement in code.statements or ()]
        self._binders = binders(statements)
        self._readers = _by_name(statements, lambda statement: statement.reads if statement.binds else ())
        self._reads: dict[int, frozenset[str]] = {}
        self.bound = frozenset(self._binders)

    def of(self, code: Code) -> frozenset[str]:
        """The names that the code needs, directly or not, and that the notebook binds somewhere."""
        return names_behind(self.reads(code), self._binders)

    def reads(self, code: Code) -> frozenset[str]:
        """The names that the code needs directly."""
        if id(code) not in self._reads:
            self._reads[id(code)] = frozenset[str]().union(*(statement.reads for statement in code.statements or ()))
        return self._reads[id(code)]

    def leading_to(self, name: str) -> frozenset[str]:
        """The name and all names that need it; empty if nothing binds it.

        Searched backwards from the name, because storing the needs of thousands of cells would fill the memory.
        """
        return (
            _reachable([name], self._readers, lambda statement: statement.binds) if name in self.bound else frozenset()
        )


def binders(statements: Iterable[Statement]) -> dict[str, list[Statement]]:
    """The statements that bind each name."""
    return _by_name(statements, lambda statement: statement.binds)


def _by_name(
    statements: Iterable[Statement], names: Callable[[Statement], Iterable[str]]
) -> dict[str, list[Statement]]:
    statements_by_name: dict[str, list[Statement]] = {}
    for statement in statements:
        for name in names(statement):
            statements_by_name.setdefault(name, []).append(statement)
    return statements_by_name


def names_behind(names: Iterable[str], binders_by_name: Mapping[str, Sequence[Statement]]) -> frozenset[str]:
    """The names, and all names that their definitions need, directly or not; only names that are bound."""
    all_names = _reachable(
        [name for name in names if name in binders_by_name], binders_by_name, lambda statement: statement.reads
    )
    return frozenset(name for name in all_names if name in binders_by_name)


def _reachable(
    names: Iterable[str],
    statements_by_name: Mapping[str, Sequence[Statement]],
    next_names: Callable[[Statement], Iterable[str]],
) -> frozenset[str]:
    """The names, and all names that can be reached from them through `next_names` of their statements."""
    all_names: set[str] = set()
    seen_statements: set[int] = set()
    todo = list(names)
    while todo:
        name = todo.pop()
        if name in all_names:
            continue
        all_names.add(name)
        for statement in statements_by_name.get(name, ()):
            if id(statement) not in seen_statements:  # one statement may bind thousands of names
                seen_statements.add(id(statement))
                todo += next_names(statement)
    return frozenset(all_names)
