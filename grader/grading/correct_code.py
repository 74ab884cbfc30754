"""Correct code from the reference that replaces a student's when follow-through trains a part again.

It is taken from the reference's definitions; nothing is run here. The box gets only the source of this code, never the
rest of the reference. If the code changes, results trained with it are stale: see `correct_code_key`.
"""

from __future__ import annotations

import ast
import hashlib
import json
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

import numpy as np

from grader.exercise import Exercise
from grader.notebook.format import is_code, load_notebook, source_of
from grader.notebook.solution_regions import strip_markers
from grader.notebook.statements import read_code
from grader.records import Array, Notebook, Rubric


def reference_definitions(rubric_path: Path, rubric: Rubric) -> str:
    """The reference's definitions, from which correct code is taken; empty if follow-through is off.

    Raises:
        GraderError: the reference cannot be read.
    """
    if not rubric.follow_through.enabled:
        return ""
    return definitions(load_notebook(rubric_path.parent / rubric.reference))


def correct_code_questions(
    replaced_names: Iterable[str], exercise: Exercise, names: Mapping[str, str], source: str
) -> dict[str, Array]:
    """Returns what a box gets: the source of the correct code, the names to take from it, and the interface's names.

    replaced_names: names of the interface, `Class.method` for a method.
    """
    texts = _question_texts(replaced_names, exercise, names, source)
    return {key: np.frombuffer(text.encode(), dtype=np.uint8).copy() for key, text in texts.items()}


def correct_code_key(replaced_names: Iterable[str], exercise: Exercise, names: Mapping[str, str], source: str) -> str:
    """SHA-256 over what a box gets: results under another key may come from other correct code."""
    return hashlib.sha256(json.dumps(_question_texts(replaced_names, exercise, names, source)).encode()).hexdigest()


def _question_texts(
    replaced_names: Iterable[str], exercise: Exercise, names: Mapping[str, str], source: str
) -> dict[str, str]:
    names_in_notebook = [".".join(names.get(part, part) for part in name.split(".")) for name in replaced_names]
    interface_names = [names.get(name, name) for name in exercise.interface.names]
    owners = {name.partition(".")[0] for name in names_in_notebook}
    return {
        "source": needed_definitions(source, owners, set(interface_names) - owners),
        "replaced": json.dumps(names_in_notebook),
        "interface": json.dumps(interface_names),
    }


def definitions(notebook: Notebook) -> str:
    """The notebook's imports, classes and functions in order, as the source of one module."""
    texts = []
    for cell in filter(is_code, strip_markers(notebook)["cells"]):
        code = read_code(source_of(cell))
        for statement in code.statements or ():
            if statement.kind in {"class", "function", "import"}:
                texts.append(code.text_of(statement))
    return "\n\n\n".join(texts) + "\n"


def needed_definitions(source: str, wanted_names: Collection[str], excluded_names: Collection[str]) -> str:
    """The module's definitions of `wanted_names`, its imports, and what they use; none of `excluded_names`.

    A student's code can read everything in its box, so the box gets no more of a solution than is needed.
    """
    code = read_code(source)
    statements = [(statement, code.text_of(statement)) for statement in code.statements or ()]
    names, indices = set(wanted_names), set[int]()
    while True:
        needed_indices = {
            index
            for index, (statement, _) in enumerate(statements)
            if statement.kind == "import" or (statement.binds & names and not statement.binds & set(excluded_names))
        }
        if needed_indices == indices:
            return "\n\n\n".join(statements[index][1] for index in sorted(indices)) + "\n"
        indices = needed_indices
        for index in indices:
            names |= {node.id for node in ast.walk(ast.parse(statements[index][1])) if isinstance(node, ast.Name)}
