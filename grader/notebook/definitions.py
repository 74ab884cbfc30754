"""What a reference notebook defines, without running what it does: the source that sound parts are taken from."""

from __future__ import annotations

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
