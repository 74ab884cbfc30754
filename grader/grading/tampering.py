"""Names that provided cells define, compared with their values while the notebook runs; differences are reported.

A notebook can change provided names in ways that its lines do not show: by `globals()`, by `exec`, from a thread, in a
function. Changes that its lines do show are reported elsewhere and are ignored here: a constant may have any value that
a line gives it, and a name that a line redefines is left out.
"""

from __future__ import annotations
import __future__

import ast
import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import CodeType
from typing import Any

import numpy as np

from grader.evidence import AnswerSpec, ArraySpec
from grader.notebook.format import is_code, source_of
from grader.notebook.restore import RestoredNotebook
from grader.notebook.roles import DEFINITIONS, PROVIDED, Role, role_of
from grader.notebook.statements import Statement, read_code
from grader.records import Address, Evidence, Notebook, Remark
from grader.sandbox.in_box.fingerprints import MISSING, fingerprint

QUESTION = "given"  # answered with each of these stages
STAGES = {"components": "just before the {} was trained", "trained": "after the {} had been trained"}
MAX_REMARKS = 8
MOST = 200  # names of each kind that are looked at
SPEC: AnswerSpec = {"constants": ArraySpec("float", MOST), "codes": ArraySpec("int", MOST)}
# One line of a notebook changes how the annotations of all cells after it are compiled.
_FLAGS = (0, __future__.annotations.compiler_flag)
_CLOSE = 1e-6  # of single precision


@dataclass(frozen=True)
class GivenDefinitions:
    """The names that a notebook's provided cells define, except those that another of its lines changes."""

    constants: Mapping[str, frozenset[float]] = field(default_factory=dict)  # name -> the values that lines give it
    codes: Mapping[str, frozenset[int]] = field(default_factory=dict)  # `function` or `Class.method` -> fingerprints

    def questions(self) -> dict[str, list[str]]:
        """The names that a box is asked about, in the order of its answers, and the stages in which it is asked."""
        if not self.constants and not self.codes:
            return {}
        return {"constants": list(self.constants), "codes": list(self.codes), "stages": list(STAGES)}


def given_definitions(restored: RestoredNotebook, template: Notebook) -> GivenDefinitions:
    """Returns the names that the template provides and the notebook does not change; empty for another template."""
    if not restored.is_from_template:
        return GivenDefinitions()
    codes = [read_code(source_of(cell)) for cell in restored.notebook["cells"] if is_code(cell)]
    statements = [statement for code in codes for statement in code.statements or ()]
    unread_binds = [code.binds for code in codes if code.statements is None]
    template_keys = {
        statement.key
        for cell in _cells_of(template, PROVIDED)
        for statement in read_code(source_of(cell)).statements or ()
    }
    student_statements = [statement for statement in statements if statement.key not in template_keys]
    touched_names = frozenset[str]().union(
        *unread_binds, *(statement.binds | statement.changes for statement in student_statements)
    )
    return GivenDefinitions(
        dict(list(_constants(template, statements, unread_binds))[:MOST]),
        {path: prints for path, prints in _codes(template).items() if path.partition(".")[0] not in touched_names},
    )


def tampering_remarks(evidence: Evidence, definitions: GivenDefinitions, parts: Sequence[str]) -> tuple[Remark, ...]:
    """One remark per name whose value, when the box was asked, does not follow from any line of the notebook."""
    sentence_by_name: dict[str, str] = {}
    for part in parts:
        for kind, moment in STAGES.items():
            address = Address.of(kind, part, QUESTION)
            constants, codes = (evidence.answers.get(address.array(name)) for name in ("constants", "codes"))
            if constants is None or codes is None:
                continue
            for name, sentence in _differences(definitions, constants, codes):
                sentence_by_name.setdefault(name, sentence.format(moment.format(part.upper())))
    sentences = [*sentence_by_name.values()][:MAX_REMARKS]
    if len(sentence_by_name) > MAX_REMARKS:
        sentences.append(
            f"{len(sentence_by_name) - MAX_REMARKS} more names from provided cells had other values while it ran."
        )
    return tuple(Remark("changed_while_running", sentence, needs_person=True) for sentence in sentences)


def answer_specs(parts: Sequence[str]) -> dict[Address, AnswerSpec]:
    """Returns the specifications of the answers about provided code."""
    return {Address.of(kind, part, QUESTION): SPEC for part in parts for kind in STAGES}


def _differences(definitions: GivenDefinitions, constants: Any, codes: Any) -> Iterator[tuple[str, str]]:
    if constants.size == len(definitions.constants):
        for (name, values), value in zip(definitions.constants.items(), constants.reshape(-1).tolist(), strict=True):
            if not any(math.isclose(value, expected, rel_tol=_CLOSE) for expected in values):
                shown_value = "not a number" if value == MISSING else f"{np.float32(value):.6g}"
                yield name, f"{name} was {shown_value} {{}}, but no line of the notebook sets this value."
    if codes.size == len(definitions.codes):
        for (path, prints), print_in_box in zip(definitions.codes.items(), codes.reshape(-1).tolist(), strict=True):
            if print_in_box not in prints:
                yield path, f"`{path}` was no longer the provided code {{}}, but no line of the notebook changes it."


def _cells_of(template: Notebook, roles: Collection[Role]) -> list[Mapping[str, Any]]:
    return [cell for cell in template["cells"] if is_code(cell) and role_of(cell) in roles]


def _constants(
    template: Notebook, statements: Sequence[Statement], unread_binds: Sequence[frozenset[str]]
) -> Iterator[tuple[str, frozenset[float]]]:
    """The plain numbers that provided cells define, each with all values that lines of the notebook give it."""
    for cell in _cells_of(template, DEFINITIONS):
        for definition in read_code(source_of(cell)).statements or ():
            for name in sorted(definition.binds) if _number(definition) is not None else ():
                values = [_number(statement) for statement in statements if name in statement.binds]
                if values and None not in values and not any(name in binds for binds in unread_binds):
                    yield name, frozenset(value for value in values if value is not None)


def _number(statement: Statement) -> float | None:
    """The number that a line `NAME = number` gives; None for any other line."""
    try:
        value = ast.literal_eval(statement.value or "")
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
        return None
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _codes(template: Notebook) -> dict[str, frozenset[int]]:
    """Every plain function and method of the template's provided cells; a decorated function is another object."""
    prints_by_path: dict[str, frozenset[int]] = {}
    for cell in _cells_of(template, {Role.GIVEN}):
        try:
            nodes = ast.parse(source_of(cell)).body
        except (SyntaxError, ValueError):
            continue
        for node in nodes:
            for flags in _FLAGS:
                for path, code_print in _prints(node, _code_of(node, flags), ""):
                    prints_by_path[path] = prints_by_path.get(path, frozenset()) | {code_print}
    return dict(list(prints_by_path.items())[:MOST])


def _code_of(node: ast.stmt, flags: int) -> CodeType:
    """The statement's code as IPython makes it: each statement of a cell is compiled separately."""
    code: CodeType = compile(ast.Module([node], []), "given", "exec", flags=flags, dont_inherit=True)
    return code


def _prints(node: ast.stmt, outer: CodeType, prefix: str) -> Iterator[tuple[str, int]]:
    """Path -> fingerprint of the function, or of the methods of the class."""
    if not isinstance(node, ast.FunctionDef | ast.ClassDef) or node.decorator_list:
        return
    inside = [code for code in outer.co_consts if isinstance(code, CodeType) and code.co_name == node.name]
    if isinstance(node, ast.FunctionDef):
        yield from ((prefix + node.name, fingerprint(code)) for code in inside[-1:])
    elif not prefix:
        for method in node.body:
            yield from (method_print for code in inside for method_print in _prints(method, code, f"{node.name}."))
