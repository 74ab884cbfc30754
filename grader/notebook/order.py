"""The order in which a notebook works: given code before what needs it, training after what it needs.

Cells that a student ran out of order fail from top to bottom. Only what is sure to fail where it stands is moved;
everything else keeps the student's order.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
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
    counts: dict[int, int] = {}
    for cell in cells:
        if cell.template is not None:
            counts[cell.template] = counts.get(cell.template, 0) + 1
    single = [t for t in range(len(template)) if counts.get(t) == 1]
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
    for i in range(at):
        cell = order[i]
        if cell.template is None or cell.template < t or cell.code is None:
            continue
        if task and template[cell.template].role not in _LATE:
            continue
        bound = _bound(order[:i])
        if needs.of(cell.code) & template[t].own_names - bound:
            itself = needs.of(moved) if task else needs.bound & _reads(moved)
            return i if itself - moved.binds <= bound else None
    return None


def _last_that_is_needed(
    order: Sequence[Placed], at: int, t: int, template: Sequence[TemplateCell], needs: _Needs
) -> int | None:
    """Where the last cell stands that comes before `t` in the template and that `t` cannot do without."""
    code = order[at].code
    wanted = (needs.of(code) if code else frozenset()) - _bound(order[:at])
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
        self._binders = binders(statement for code in codes for statement in code.statements or ())
        self._known: dict[int, frozenset[str]] = {}
        self.bound = frozenset(self._binders)

    def of(self, code: Code) -> frozenset[str]:
        """Every name, as far as the notebook binds it somewhere."""
        if id(code) not in self._known:
            self._known[id(code)] = behind(_reads(code), self._binders)
        return self._known[id(code)]


def binders(statements: Iterable[Statement]) -> dict[str, list[Statement]]:
    """Name -> the statements that bind it."""
    found: dict[str, list[Statement]] = {}
    for statement in statements:
        for name in statement.binds:
            found.setdefault(name, []).append(statement)
    return found


def behind(names: Iterable[str], known: Mapping[str, Sequence[Statement]]) -> frozenset[str]:
    """The names and, through the statements that bind them, what stands behind them."""
    found: set[str] = set()
    seen: set[int] = set()
    todo = [name for name in names if name in known]
    while todo:
        name = todo.pop()
        if name in found:
            continue
        found.add(name)
        for statement in known[name]:
            if id(statement) not in seen:  # one statement may bind thousands of names
                seen.add(id(statement))
                todo += [other for other in statement.reads if other in known]
    return frozenset(found)


def _reads(code: Code) -> frozenset[str]:
    return frozenset[str]().union(*(statement.reads for statement in code.statements or ()))


def _bound(cells: Sequence[Placed]) -> frozenset[str]:
    return frozenset[str]().union(*(cell.code.binds for cell in cells if cell.code))
