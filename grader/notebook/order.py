"""The order in which a notebook works: given code before what needs it, training after what it needs.

Cells that a student ran out of order fail from top to bottom. Only what is sure to fail where it stands is moved;
everything else keeps the student's order.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from grader.notebook.match import TemplateCell
from grader.notebook.statements import Code, Statement

_LATE = ("show", "check", "train")  # they need what stands before them; the others are needed by what follows


@dataclass(frozen=True, slots=True)
class Placed:
    """A cell of the notebook to run: its code, and the template cell that it is, if any."""

    index: int  # where it stands now
    code: Code | None  # None: not a code cell
    template: int | None  # position in the template


@dataclass(frozen=True, slots=True)
class Move:
    """A cell that stands elsewhere than the student put it."""

    index: int  # where it stood
    up: bool  # above a cell that needs it; else below the cells that it needs


def working_order(cells: Sequence[Placed], template: Sequence[TemplateCell]) -> tuple[list[int], list[Move]]:
    """The indices of the cells in the order in which to run them, and what was moved."""
    order = list(cells)
    counts = Counter(cell.template for cell in cells)
    single = [t for t in range(len(template)) if counts[t] == 1]
    needs = _Needs([cell.code for cell in cells if cell.code])
    moves = []
    for t in single:
        at = next(i for i, cell in enumerate(order) if cell.template == t)
        early = template[t].role not in _LATE
        to = (_first_that_needs if early else _last_that_is_needed)(order, at, t, template, needs)
        if to is not None:
            moves.append(Move(order[at].index, up=to < at))
            order.insert(to, order.pop(at))
    return [cell.index for cell in order], moves


def _first_that_needs(
    order: Sequence[Placed], at: int, t: int, template: Sequence[TemplateCell], needs: _Needs
) -> int | None:
    """Where a cell stands that follows `t` in the template, needs it and has nothing of it above."""
    moved = order[at].code
    if moved is None:
        return None
    # A definition may stand below another one that uses it: only running the two has an order.
    task = template[t].role == "task"
    some_later = any(_follows(cell, t) for cell in order[:at])
    leading = {name: needs.leading_to(name) for name in template[t].own_names} if some_later else {}
    bound: set[str] = set()
    for i, cell in enumerate(order[:at]):
        if cell.code is None:
            continue
        if _follows(cell, t) and not (task and template[cell.template or 0].role not in _LATE):
            reads = needs.reads(cell.code)
            if any(name not in bound and not reads.isdisjoint(names) for name, names in leading.items()):
                itself = needs.of(moved) if task else needs.bound & needs.reads(moved)
                return i if itself - moved.binds <= bound else None
        bound |= cell.code.binds
    return None


def _follows(cell: Placed, t: int) -> bool:
    return cell.template is not None and cell.template >= t


def _last_that_is_needed(
    order: Sequence[Placed], at: int, t: int, template: Sequence[TemplateCell], needs: _Needs
) -> int | None:
    """Where the last cell stands that comes before `t` in the template and that `t` cannot do without."""
    code = order[at].code
    bound = frozenset[str]().union(*(cell.code.binds for cell in order[:at] if cell.code))
    wanted = (needs.of(code) if code else frozenset()) - bound
    below = [
        i
        for i in range(at + 1, len(order))
        if (other := order[i].template) is not None
        and other < t
        and template[other].role in ("task", "train")
        and template[other].own_names & wanted
    ]
    return below[-1] if below else None


class _Needs:
    """What a cell's code needs by name, directly and through what the notebook defines."""

    def __init__(self, codes: Sequence[Code]) -> None:
        statements = [statement for code in codes for statement in code.statements or ()]
        self._binders = binders(statements)
        self._readers = _by_name(statements, lambda s: s.reads if s.binds else ())
        self._reads: dict[int, frozenset[str]] = {}
        self.bound = frozenset(self._binders)

    def of(self, code: Code) -> frozenset[str]:
        """Every name, as far as the notebook binds it somewhere."""
        return behind(self.reads(code), self._binders)

    def reads(self, code: Code) -> frozenset[str]:
        """The names that the code itself uses."""
        if id(code) not in self._reads:
            self._reads[id(code)] = frozenset[str]().union(*(s.reads for s in code.statements or ()))
        return self._reads[id(code)]

    def leading_to(self, name: str) -> frozenset[str]:
        """The name and all names that need it; empty where nothing binds it.

        Found from its end: what thousands of cells need, one by one, would fill the memory.
        """
        return _behind([name], self._readers, lambda s: s.binds) if name in self.bound else frozenset()


def binders(statements: Iterable[Statement]) -> dict[str, list[Statement]]:
    """Name -> the statements that bind it."""
    return _by_name(statements, lambda s: s.binds)


def _by_name(
    statements: Iterable[Statement], names: Callable[[Statement], Iterable[str]]
) -> dict[str, list[Statement]]:
    found: dict[str, list[Statement]] = {}
    for statement in statements:
        for name in names(statement):
            found.setdefault(name, []).append(statement)
    return found


def behind(names: Iterable[str], known: Mapping[str, Sequence[Statement]]) -> frozenset[str]:
    """The names and, through the statements that bind them, what stands behind them."""
    reached = _behind([name for name in names if name in known], known, lambda s: s.reads)
    return frozenset(name for name in reached if name in known)


def _behind(
    names: Iterable[str], known: Mapping[str, Sequence[Statement]], leads: Callable[[Statement], Iterable[str]]
) -> frozenset[str]:
    """The names, and those to which the statements known for them lead, and so on."""
    found: set[str] = set()
    seen: set[int] = set()
    todo = list(names)
    while todo:
        name = todo.pop()
        if name in found:
            continue
        found.add(name)
        for statement in known.get(name, ()):
            if id(statement) not in seen:  # one statement may bind thousands of names
                seen.add(id(statement))
                todo += leads(statement)
    return frozenset(found)
