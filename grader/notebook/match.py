"""Matches each submitted cell with a template cell: by id, source, names and likeness, in this order.

Metadata is a hint, never proof: editors remove it, and students copy it with a cell. A template cell without a cell of
its own may still be *covered*: its names are in cells that the student merged or split.

Here and in `order`, `changes` and `restore`, `t` is a position among the template's code cells, and `s` the index of a
cell in the submitted notebook.
"""

from __future__ import annotations

import functools
import itertools
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from grader.errors import GraderError
from grader.notebook.format import code_cell, is_code, source_of
from grader.notebook.roles import Role, grader_metadata, role_of
from grader.notebook.statements import Code, read_code

_ALIKE = 0.6  # likeness from which two cells match for this reason alone
_LEAST_PLAUSIBLE = 0.3  # likeness below which an equal id is ignored, unless names or statements agree
_MOST_NAMES = 0.5  # share of a template cell's own names from which a submitted cell matches it
_TOKEN = re.compile(r"\w+|[^\w\s]")
_COMPARED_CHARS = 8_000
_MAX_TEXT = 100_000  # characters of text cells that are read as code
_FENCE = re.compile(r"^```.*$", re.MULTILINE)
_DEFINED = re.compile(r"^(?:class|def)[ \t]+(\w+)", re.MULTILINE)
_KEPT_PAIRS = 64  # texts whose token pairs are cached, up to 1 MB each: the template's cells and a few others


@dataclass(frozen=True, slots=True)
class TemplateCell:
    """One code cell of the template, with the names that distinguish it from the others."""

    cell: Mapping[str, Any]
    role: Role
    id: str | None
    part: str | None
    index: int  # in the template notebook
    code: Code
    own_names: frozenset[str]  # bound by this template cell, or its solution, and by no other
    trains: frozenset[str]  # functions whose call makes this a train cell


@dataclass(frozen=True, slots=True)
class Match:
    """Positions of template cells -> indices of submitted cells."""

    primary: Mapping[int, int]  # the cell that matches the template cell
    covered: Mapping[int, tuple[int, ...]]  # the cells that contain it among other code


def read_template(template: Mapping[str, Any]) -> tuple[TemplateCell, ...]:
    """The template's code cells with their roles, ids and names.

    Raises:
        GraderError: a code cell has no role, so the notebook is not a template.
    """
    cells = [(index, cell) for index, cell in enumerate(template["cells"]) if is_code(cell)]
    codes = [read_code(source_of(cell)) for _, cell in cells]
    marks = [grader_metadata(cell) for _, cell in cells]
    roles = []
    for index, cell in cells:
        if (role := role_of(cell)) is None:
            raise GraderError(f"template: cell {index + 1} has no metadata.grader.role; make the template again")
        roles.append(role)
    binds = [code.binds | set(mark.get("names", ())) for code, mark in zip(codes, marks, strict=True)]
    bind_counts = Counter(itertools.chain.from_iterable(binds))
    functions = frozenset(
        name
        for code, role in zip(codes, roles, strict=True)
        for statement in (code.statements or ())
        if role is Role.TASK and statement.kind == "function"
        for name in statement.binds
    )
    return tuple(
        TemplateCell(
            cell=cell,
            role=role,
            id=mark.get("id") or cell.get("id"),
            part=mark.get("part"),
            index=index,
            code=code,
            own_names=frozenset(name for name in names if bind_counts[name] == 1),
            trains=code.calls & functions if role is Role.TRAIN else frozenset(),
        )
        for (index, cell), role, code, mark, names in zip(cells, roles, codes, marks, binds, strict=True)
    )


def read_codes(cells: Sequence[Mapping[str, Any]]) -> dict[int, Code]:
    """The code of each code cell, by the cell's index."""
    return {index: read_code(source_of(cell)) for index, cell in enumerate(cells) if is_code(cell)}


def with_text_cells_as_code(
    template: Sequence[TemplateCell], cells: Sequence[Mapping[str, Any]]
) -> tuple[list[Mapping[str, Any]], list[int]]:
    """Turns text cells that contain code back into code cells, and returns the cells and the indices of those.

    One wrong key in an editor makes such a text cell. It has a task cell's id that no code cell has, or defines a name
    of a task cell of which no code cell binds any name.
    """
    cell_by_id = {cell.id: cell for cell in template if cell.id and cell.role is Role.TASK}  # others are restored
    claimed_ids = {identity for cell in cells if is_code(cell) for identity in _ids(cell)}
    names = [cell.own_names for cell in template if cell.role is Role.TASK]
    bound_names = frozenset[str]().union(*(code.binds for code in read_codes(cells).values()))
    new_cells, indices = list(cells), []
    chars_left = _MAX_TEXT
    for s, cell in enumerate(cells):
        source = _FENCE.sub("", source_of(cell)).strip("\n")
        unclaimed_ids = [identity for identity in _ids(cell) if identity not in claimed_ids]
        candidates = [cell_by_id[identity] for identity in unclaimed_ids if identity in cell_by_id]
        defined_names = set(_DEFINED.findall(source[:_COMPARED_CHARS]))
        is_missing = any(defined_names & own_names and not bound_names & own_names for own_names in names)
        if is_code(cell) or not (candidates or is_missing) or (chars_left := chars_left - len(source)) < 0:
            continue
        code = read_code(source)
        if any(_is_plausible(candidate, code) for candidate in candidates) or (is_missing and code.statements):
            new_cells[s] = {**code_cell(str(cell.get("id")), source), "metadata": cell.get("metadata", {})}
            indices.append(s)
    return new_cells, indices


def _ids(cell: Mapping[str, Any]) -> list[str]:
    ids = (grader_metadata(cell).get("id"), cell.get("id"))
    return [identity for identity in ids if isinstance(identity, str)]


def match_cells(
    template: Sequence[TemplateCell], cells: Sequence[Mapping[str, Any]], codes: Mapping[int, Code]
) -> Match:
    """Matches the cells; a template cell has at most one primary cell, which is the primary of no other one."""
    primary: dict[int, int] = {}

    def assign(scores: Iterator[tuple[float, int, int]]) -> None:
        for _, t, s in sorted(scores, key=lambda entry: (-entry[0], entry[1], entry[2])):
            if t not in primary and s not in primary.values():
                primary[t] = s

    def free_pairs(score: Callable[[TemplateCell, Code], float], least: float) -> Iterator[tuple[float, int, int]]:
        taken_cells = set(primary.values())
        for s, code in codes.items():  # the outer loop: the cached pairs of one cell serve all comparisons
            for t, cell in enumerate(template) if s not in taken_cells else ():
                if t not in primary and (value := score(cell, code)) >= least:
                    yield value, t, s

    assign(_by_id(template, cells, codes))
    assign(free_pairs(lambda cell, code: float(cell.code.means_same_as(code)), 1.0))
    assign(free_pairs(_name_score, _MOST_NAMES))
    every_name = frozenset[str]().union(*(cell.own_names for cell in template))

    def alike(cell: TemplateCell, code: Code) -> float:
        # A cell that binds another template cell's own names belongs to that one, whatever its text.
        return 0.0 if code.binds & (every_name - cell.own_names) else likeness(cell.code.source, code.source)

    assign(free_pairs(alike, _ALIKE))
    covered = {t: _covering(cell, codes) for t, cell in enumerate(template) if t not in primary}
    return Match(primary, {t: cells for t, cells in covered.items() if cells})


def _by_id(
    template: Sequence[TemplateCell], cells: Sequence[Mapping[str, Any]], codes: Mapping[int, Code]
) -> Iterator[tuple[float, int, int]]:
    positions = {cell.id: t for t, cell in enumerate(template) if cell.id}
    for s, code in codes.items():
        for identity in _ids(cells[s]):
            t = positions.get(identity)
            if t is not None and _is_plausible(template[t], code):
                yield 1.0, t, s


def _is_plausible(cell: TemplateCell, code: Code) -> bool:
    return (
        bool(cell.own_names & code.binds or cell.trains & code.calls)
        or cell.code.means_same_as(code)
        or likeness(cell.code.source, code.source) >= _LEAST_PLAUSIBLE
    )


def _name_score(cell: TemplateCell, code: Code) -> float:
    if cell.trains:  # of several training cells, the most similar to the provided one
        return 1 + likeness(cell.code.source, code.source) if cell.trains & code.calls else 0.0
    return len(cell.own_names & code.binds) / len(cell.own_names) if cell.own_names else 0.0


def _covering(cell: TemplateCell, codes: Mapping[int, Code]) -> tuple[int, ...]:
    """The submitted cells that together contain the template cell: its training call, most names, or all statements."""
    if cell.trains:
        return tuple(s for s, code in codes.items() if cell.trains & code.calls)
    if cell.own_names:
        names_by_cell = {s: code.binds & cell.own_names for s, code in codes.items() if code.binds & cell.own_names}
        share = len(frozenset[str]().union(*names_by_cell.values())) / len(cell.own_names)
        return tuple(names_by_cell) if share >= _MOST_NAMES else ()
    keys = set(cell.code.keys or ())
    for s, code in codes.items():
        if keys and keys <= set(code.keys or ()):
            return (s,)
    holders = {s: keys & set(code.keys or ()) for s, code in codes.items() if keys & set(code.keys or ())}
    return tuple(holders) if keys and keys <= set[str]().union(*holders.values()) else ()


def likeness(source: str, other_source: str) -> float:
    """Dice's coefficient of the sources' token pairs, in [0, 1]; linear in length, unlike an alignment."""
    pairs, total = _pairs(source[:_COMPARED_CHARS])
    other_pairs, other_total = _pairs(other_source[:_COMPARED_CHARS])
    fewer, more = (pairs, other_pairs) if len(pairs) < len(other_pairs) else (other_pairs, pairs)
    shared = sum(min(count, more.get(pair, 0)) for pair, count in fewer.items())
    return 2 * shared / (total + other_total) if shared else 0.0


@functools.lru_cache(maxsize=_KEPT_PAIRS)
def _pairs(source: str) -> tuple[Mapping[tuple[str, str], int], int]:
    """The source's token pairs with their counts, and their total."""
    tokens = ["", *_TOKEN.findall(source)]
    return Counter(itertools.pairwise(tokens)), len(tokens) - 1
