"""Restores the template's provided code in a submission, and reports the student's changes to it.

The student's own code is kept: definitions added to a provided cell move into a cell below it, extra cells stay, and
constants keep the student's values. The student's order changes only where cells would fail. Nothing is run, so that
sources may be hostile.

A submission comes from the template that is handed out now, or from one that was handed out earlier.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from grader.errors import one_line
from grader.notebook.changes import changed_constants, changed_lines, redefinitions
from grader.notebook.format import (
    cell_title,
    checksum,
    code_cell,
    is_code,
    load_notebook,
    source_of,
    with_unique_ids,
)
from grader.notebook.match import (
    Match,
    TemplateCell,
    likeness,
    match_cells,
    read_codes,
    read_template,
    with_text_cells_as_code,
)
from grader.notebook.order import PlacedCell, working_order
from grader.notebook.patch import additions, cut_training, missing_statements, patched_source
from grader.notebook.roles import PROVIDED_EXCEPT_CHECKS, REINSERTED, RESTORED, Role, is_task
from grader.notebook.statements import Code, read_code
from grader.records import Notebook, Remark, Rubric

LIKE_GIVEN = 0.6  # similarity from which a cell counts as a changed provided cell
_MAX_REDEFINITIONS = 10  # cells that are reported
_FOREIGN = (
    "Most of the template's provided cells are missing: the notebook does not come from this template, "
    "and nothing was restored."
)
_MOVED = {
    True: "is below cells that need it, unlike in the template; it was run before them",
    False: "is above cells that it needs, unlike in the template; it was run after them",
}
_ROLE_WORDS = {Role.GIVEN: "provided", Role.TRAIN: "training"}  # of roles, in a sentence
# Strongest first, for a cell that holds several template cells.
_ROLE_ORDER = (Role.TRAIN, Role.TASK, Role.CONSTANTS, Role.GIVEN, Role.SHOW, Role.CHECK)


@dataclass(frozen=True, slots=True)
class CellRole:
    """The role of a cell in the restored notebook."""

    role: Role
    id: str | None = None  # of its template cell
    part: str | None = None  # of a train cell: the model that it trains
    submitted: int | None = None  # index of the submitted cell that it comes from; None if it was reinserted


@dataclass(frozen=True, slots=True)
class RestoredNotebook:
    """The notebook to run, the role of each of its cells, and remarks for the staff."""

    notebook: Notebook
    roles: tuple[CellRole, ...]
    remarks: tuple[Remark, ...]
    is_from_template: bool  # if not, nothing was restored
    template: str = ""  # file name of its template


def restore_given(submission: Notebook, template: Notebook) -> RestoredNotebook:
    """The submission with changed provided cells as in the template, and deleted ones that later cells need reinserted.

    Raises:
        GraderError: `template` is not one of our templates.
    """
    return _Restoration(submission["cells"], read_template(template), template["cells"]).result(submission)


_CellWithRole = tuple[dict[str, Any], CellRole]


@dataclass
class _Restoration:
    cells: Sequence[Mapping[str, Any]]
    template: tuple[TemplateCell, ...]
    template_cells: Sequence[Mapping[str, Any]]
    remarks: list[Remark] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.cells, text_cells = with_text_cells_as_code(self.template, self.cells)
        self.codes: dict[int, Code] = read_codes(self.cells)
        self.match: Match = match_cells(self.template, self.cells, self.codes)
        # The template cells that a submitted cell contains: its own and those merged into it.
        self.parts_of: dict[int, list[TemplateCell]] = {}
        holders_by_template = [(t, (s,)) for t, s in self.match.primary.items()] + list(self.match.covered.items())
        for t, holders in sorted(holders_by_template):
            for s in holders:
                self.parts_of.setdefault(s, []).append(self.template[t])
        self.is_from_template = self._comes_from_template(holders_by_template)
        self.all_keys = _keys(self.codes.values())
        self.given_keys = {
            key for cell in self.template if cell.role in PROVIDED_EXCEPT_CHECKS for key in cell.code.keys or ()
        }
        for s in set(self.match.primary.values()):
            self.parts_of[s] += self._trained_too(s)
        for s in text_cells:
            self._remark("text_run_as_code", s, "is a text cell that contains the code of a task; it was run as code")

    def _comes_from_template(self, holders_by_template: Iterable[tuple[int, tuple[int, ...]]]) -> bool:
        """Whether at least a third of the provided cells are present, in any submitted cells.

        Names do not count: a notebook written independently for the same interface must stay as it is.
        """
        given_cells = [t for t, cell in enumerate(self.template) if cell.role in RESTORED]
        holders = dict(holders_by_template)

        def is_there(t: int) -> bool:
            return any(_holds(self.codes[s], self.template[t].code) for s in holders.get(t, ()))

        return 3 * sum(map(is_there, given_cells)) >= len(given_cells)

    def _trained_too(self, s: int) -> list[TemplateCell]:
        """The train cells whose training the cell does as well, if it is a task cell."""
        parts, calls = self.parts_of[s], self.codes[s].calls
        if _role(parts, s).role is not Role.TASK:
            return []
        return [cell for cell in self.template if cell.trains & calls and cell not in parts]

    def result(self, submission: Notebook) -> RestoredNotebook:
        new_cells: list[_CellWithRole] = []
        missing_cells = self._missing_cells() if self.is_from_template else {}
        if not self.is_from_template:
            self.remarks.append(Remark("not_from_template", _FOREIGN, needs_person=True))
        for s in range(-1, len(self.cells)):
            new_cells += self._cell(s) if s >= 0 else []
            for cell in missing_cells.get(s, ()):
                role = CellRole(cell.role, cell.id, cell.part)
                new_cells.append((code_cell(str(cell.id), source_of(cell.cell)), role))
        if self.is_from_template:
            self._tell_constants()
            self._tell_duplicates()
            new_cells = self._in_order(new_cells)
        cells = with_unique_ids([cell for cell, _ in new_cells])
        remarks = sorted(self.remarks, key=lambda remark: -1 if remark.cell is None else remark.cell)
        return RestoredNotebook(
            {**submission, "cells": cells}, tuple(role for _, role in new_cells), tuple(remarks), self.is_from_template
        )

    def _cell(self, s: int) -> list[_CellWithRole]:
        cell = dict(self.cells[s])
        if not is_code(cell):
            return [(cell, CellRole(Role.TEXT, submitted=s))]
        parts = self.parts_of.get(s, [])
        role = _role(parts, s) if parts else self._role_of_extra(s)
        changed_parts = [part for part in parts if self.is_from_template and self._is_changed(part, s)]
        if self._is_mixed(s):
            return self._pieces(self._patch(cell, s, changed_parts) if changed_parts else cell, s, role)
        if not changed_parts:
            return [(cell, role)]
        (part,) = parts
        added_statements = additions(self.codes[s], part)
        names = sorted(frozenset[str]().union(*(statement.binds for statement in added_statements)) - part.code.binds)
        addition = (
            f"; the student's additions ({one_line(', '.join(names), 80)}) ran after it" if added_statements else ""
        )
        sentence = f"is provided code that was changed; the template's version was run instead{addition}"
        self._remark("given_cell_changed", s, sentence, diff=changed_lines(source_of(part.cell), self.codes[s].source))
        new_cells = [({**cell, "source": source_of(part.cell)}, role)]
        if added_statements:
            lines = self.codes[s].source.split("\n")
            numbers = sorted({n for statement in added_statements for n in range(statement.start, statement.stop)})
            source = "\n".join(lines[n] for n in numbers)
            new_cells.append((code_cell(f"{cell.get('id', s)}-kept", source), CellRole(Role.EXTRA, submitted=s)))
        return new_cells

    def _patch(self, cell: dict[str, Any], s: int, changed_parts: Sequence[TemplateCell]) -> dict[str, Any]:
        """The mixed cell with its provided statements as in the template, if they have a place in it."""
        code = self.codes[s]
        source = patched_source(code, changed_parts, self.all_keys, self.given_keys)
        if source is None:
            what = "contains provided code that was merged and changed; it could not be restored, so the cell ran as is"
            self._remark("given_cell_changed", s, what, needs_person=True)
            return cell
        self.codes[s] = read_code(source)
        self.all_keys.subtract(code.keys or ())
        self.all_keys.update(self.codes[s].keys or ())
        what = "contains provided code that was merged and changed; the template's version was restored, the rest kept"
        self._remark("given_cell_changed", s, what, diff=changed_lines(source, code.source))
        return {**cell, "source": source}

    def _pieces(self, cell: dict[str, Any], s: int, role: CellRole) -> list[_CellWithRole]:
        pieces = cut_training(self.codes[s], self.parts_of[s])
        if len(pieces) < 2:
            return [(cell, role)]
        other_parts = [part for part in self.parts_of[s] if part.role is not Role.TRAIN]
        new_cells = [
            (code_cell(f"{cell.get('id', s)}-{n}", source), _role([trainer] if trainer else other_parts, s))
            for n, (source, trainer) in enumerate(pieces)
        ]
        new_cells[-1] = ({**cell, "source": pieces[-1][0]}, new_cells[-1][1])  # the outputs stay with the last one
        return new_cells

    def _is_changed(self, part: TemplateCell, s: int) -> bool:
        if part.role not in RESTORED or part.code.means_same_as(self.codes[s]):
            return False
        if self._is_mixed(s):
            return bool(missing_statements(part.code, self.all_keys))
        given_counts = Counter(part.code.keys or ())
        cell_counts = Counter(self.codes[s].keys or ())
        only_adds = not missing_statements(part.code, cell_counts)
        return only_adds or not self._is_split(part, given_counts, cell_counts)

    def _is_mixed(self, s: int) -> bool:
        """Whether the cell contains parts of several template cells, or of a template cell that was split."""
        parts = self.parts_of.get(s, [])
        return len(parts) > 1 or (len(parts) == 1 and s not in self.match.primary.values())

    def _is_split(self, part: TemplateCell, given_counts: Counter[str], cell_counts: Counter[str]) -> bool:
        """Whether the student split the cell: the rest is in cells that are the primary of no template cell."""
        primary_cells = set(self.match.primary.values())
        others = (code for s, code in self.codes.items() if s not in primary_cells)
        pieces = (code for code in others if not code.means_same_as(part.code))
        return bool(given_counts & cell_counts) and not given_counts - cell_counts - _keys(pieces)

    def _role_of_extra(self, s: int) -> CellRole:
        code = self.codes[s]
        for cell in self.template:
            if cell.trains & code.calls:
                return CellRole(Role.TRAIN, None, cell.part, s)
        for cell in self.template:
            piece = bool(code.binds) and code.binds <= cell.own_names and not code.means_same_as(cell.code)
            if piece and (cell.role is Role.TASK or set(code.keys or ("",)) <= set(cell.code.keys or ())):
                return CellRole(cell.role, cell.id, cell.part, s)
        return CellRole(Role.EXTRA, submitted=s)

    def _missing_cells(self) -> dict[int, list[TemplateCell]]:
        """Template cells to reinsert, by the index of the submitted cell that they follow (-1: at the top)."""
        missing_cells: dict[int, list[TemplateCell]] = {}
        previous_cell = -1
        for t, cell in enumerate(self.template):
            holders = (self.match.primary[t],) if t in self.match.primary else self.match.covered.get(t, ())
            if holders:
                previous_cell = max(holders)
                continue
            title = cell_title(self.template_cells, cell.index)
            sentence = f"The template's {_ROLE_WORDS.get(cell.role, cell.role)} cell '{title}' ({cell.id}) is missing"
            if cell.role in REINSERTED:
                missing_cells.setdefault(previous_cell, []).append(cell)
                self.remarks.append(Remark("given_cell_missing", f"{sentence}; it was restored."))
            elif cell.role is not Role.CHECK:  # a student may delete a self-check
                self.remarks.append(Remark(f"{cell.role}_cell_missing", f"{sentence}."))
        return missing_cells

    def _tell_constants(self) -> None:
        for s, what in changed_constants(self.template, self.codes, self.match):
            if s is None:
                self.remarks.append(Remark("constant_changed", what))
            else:
                self._remark("constant_changed", s, what)

    def _tell_duplicates(self) -> None:
        given_cells = [cell for cell in self.template if cell.role in PROVIDED_EXCEPT_CHECKS and cell.code.keys]
        for s, code in self.codes.items():
            if s not in self.parts_of and any(code.means_same_as(cell.code) for cell in given_cells):
                self._remark("given_cell_duplicated", s, "is a copy of a provided cell; it was run here as well")

    def _in_order(self, new_cells: Sequence[_CellWithRole]) -> list[_CellWithRole]:
        """The cells in an order that works; reports moved cells and redefinitions of provided code."""
        positions = {cell.id: t for t, cell in enumerate(self.template)}
        codes = [read_code(source_of(cell)) if is_code(cell) else None for cell, _ in new_cells]
        placed_cells = [
            PlacedCell(i, code, positions.get(role.id) if role.id else None)
            for i, (code, (_, role)) in enumerate(zip(codes, new_cells, strict=True))
        ]
        order, moves = working_order(placed_cells, self.template)
        for move in moves:
            s = new_cells[move.index][1].submitted
            if s is not None:
                self._remark("cells_reordered", s, _MOVED[move.up])
        if not moves:
            self._compare_order()
        for redefinition in redefinitions([codes[i] for i in order], self.template)[:_MAX_REDEFINITIONS]:
            s = new_cells[order[redefinition.index]][1].submitted
            if s is not None:
                names = one_line(", ".join(redefinition.names), 80)
                sentence = f"redefines or changes {names}, which the provided code defines; the change was kept"
                affects = redefinition.may_affect_training
                warning = ", and training may depend on it" if affects else ""
                self._remark("given_name_redefined", s, sentence + warning, needs_person=affects)
        return [new_cells[i] for i in order]

    def _compare_order(self) -> None:
        order = sorted((s, t) for t, s in self.match.primary.items())
        for (_, previous), (s, t) in itertools.pairwise(order):
            if t < previous:
                title = cell_title(self.template_cells, self.template[previous].index)
                sentence = f"comes after '{title}', unlike in the template; the order was kept"
                self._remark("cells_reordered", s, sentence)
                return

    def _remark(self, kind: str, s: int, what: str, *, needs_person: bool = False, diff: tuple[str, ...] = ()) -> None:
        message = f"Cell {s + 1} ('{cell_title(self.cells, s)}') {what}."
        self.remarks.append(Remark(kind, message, cell=s, needs_person=needs_person, diff=diff))


def _role(parts: Sequence[TemplateCell], s: int) -> CellRole:
    if not parts:
        return CellRole(Role.EXTRA, submitted=s)
    part = min(parts, key=lambda part: _ROLE_ORDER.index(part.role))
    return CellRole(part.role, part.id, part.part, s)


def _holds(code: Code, given_code: Code) -> bool:
    """Whether half of the provided cell's statements, or a similar text, are in the code."""
    given_keys = set(given_code.keys or ())
    shared_count = len(given_keys & set(code.keys or ()))
    return 2 * shared_count >= max(1, len(given_keys)) or likeness(given_code.source, code.source) >= LIKE_GIVEN


def _keys(codes: Iterable[Code]) -> Counter[str]:
    return Counter(key for code in codes for key in code.keys or ())


Templates = Mapping[str, Notebook]  # by path, as in the rubric; the current template is first


def load_templates(rubric_path: Path, rubric: Rubric) -> Templates:
    """The templates that the rubric names.

    Raises:
        GraderError: one of them cannot be read.
    """
    names = (rubric.template, *rubric.earlier_templates)
    return {name: load_notebook(rubric_path.parent / name) for name in names}


def restore_from_templates(submission: Notebook, templates: Templates) -> RestoredNotebook:
    """The submission with the provided code of its template restored.

    Its template is the one of which it contains most code cells, other than tasks, unchanged; the first in a tie.

    Raises:
        GraderError: a template is not one of ours.
    """
    submitted_checksums = _checksums(filter(is_code, submission["cells"]))
    given_checksums = {
        name: _checksums(cell for cell in filter(is_code, template["cells"]) if not is_task(cell))
        for name, template in templates.items()
    }
    now, *_ = names = list(templates)
    name = max(names, key=lambda name: len(given_checksums[name] & submitted_checksums))
    result = replace(restore_given(submission, templates[name]), template=Path(name).name)
    if name == now or not result.is_from_template:
        return result
    origin = f"comes from the earlier template {result.template}, whose provided code and constants were used"
    return replace(result, remarks=(Remark("earlier_template", f"The notebook {origin}."), *result.remarks))


def _checksums(cells: Iterable[Mapping[str, Any]]) -> frozenset[str]:
    return frozenset(checksum(source_of(cell)) for cell in cells)
