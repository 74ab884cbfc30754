"""Sound parts of the reference, put in the place of a student's when a part is trained once more.

They are taken from what the reference defines; nothing of it is run here. The box is told their source alone, never
the rest of the reference. What was trained with them is stale where they have changed: `replacement_key` says so.
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
from grader.notebook.statements import read_code
from grader.notebook.template import strip_markers
from grader.records import Array, Notebook, Rubric


def sound_source(rubric_path: Path, rubric: Rubric) -> str:
    """What sound parts are taken from: the reference's definitions; nothing where follow-through is switched off.

    Raises:
        GraderError: where the reference cannot be read.
    """
    if not rubric.follow_through.enabled:
        return ""
    return definitions(load_notebook(rubric_path.parent / rubric.reference))


def replacement_questions(
    wanted: Iterable[str], exercise: Exercise, names: Mapping[str, str], source: str
) -> dict[str, Array]:
    """What a box is told: the sound parts' source, the names to take from it, and the names of the whole interface.

    wanted: names of the interface, `Class.method` for a method.
    """
    told = _told(wanted, exercise, names, source)
    return {key: np.frombuffer(text.encode(), dtype=np.uint8).copy() for key, text in told.items()}


def replacement_key(wanted: Iterable[str], exercise: Exercise, names: Mapping[str, str], source: str) -> str:
    """SHA-256 over what a box is told: what was trained under another key may be another's sound parts."""
    return hashlib.sha256(json.dumps(_told(wanted, exercise, names, source)).encode()).hexdigest()


def _told(wanted: Iterable[str], exercise: Exercise, names: Mapping[str, str], source: str) -> dict[str, str]:
    replaced = [".".join(names.get(part, part) for part in name.split(".")) for name in wanted]
    interface = [names.get(name, name) for name in exercise.interface.names]
    owners = {name.partition(".")[0] for name in replaced}
    return {
        "source": needed(source, owners, set(interface) - owners),
        "replaced": json.dumps(replaced),
        "interface": json.dumps(interface),
    }


def definitions(notebook: Notebook) -> str:
    """The notebook's imports, classes and functions in order, as one module's source; nothing else of it."""
    found = []
    for cell in filter(is_code, strip_markers(notebook)["cells"]):
        code = read_code(source_of(cell))
        lines = code.source.split("\n")
        for statement in code.statements or ():
            if statement.kind in {"class", "function", "import"}:
                found.append("\n".join(lines[statement.start : statement.stop]))
    return "\n\n\n".join(found) + "\n"


def needed(source: str, wanted: Collection[str], others: Collection[str]) -> str:
    """Of a module's definitions the wanted ones, the imports, and what they use; never one of the `others`.

    A student's code can read whatever lies in its box, so no more of a solution may lie there than is put in.
    """
    code = read_code(source)
    lines = code.source.split("\n")
    statements = [(s, "\n".join(lines[s.start : s.stop])) for s in code.statements or ()]
    names, kept = set(wanted), set[int]()
    while True:
        found = {
            index
            for index, (statement, _) in enumerate(statements)
            if statement.kind == "import" or (statement.binds & names and not statement.binds & set(others))
        }
        if found == kept:
            return "\n\n\n".join(statements[index][1] for index in sorted(kept)) + "\n"
        kept = found
        for index in kept:
            names |= {node.id for node in ast.walk(ast.parse(statements[index][1])) if isinstance(node, ast.Name)}
