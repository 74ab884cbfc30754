"""What a reference notebook defines, without running what it does: the source that sound parts are taken from."""

from __future__ import annotations

import ast
from collections.abc import Collection

from grader.notebook.format import is_code, source_of
from grader.notebook.regions import strip_markers
from grader.notebook.statements import read_code
from grader.records import Notebook


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
