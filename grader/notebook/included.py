"""Puts the text of Python files, and the outputs of a graded run, into the reference notebook.

A provided cell may contain the text of files, so that this code can be linted, type-checked and tested. Such a cell
names its files, relative to the notebook, in `metadata.grader.files`.

`python -m grader.notebook.included NOTEBOOK [--check]` writes the cells again, or with `--check` reports whether one is
out of date. With `--outputs EXECUTED`, the notebook also gets the outputs of that run, with its pictures.
"""

from __future__ import annotations

import argparse
import ast
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from grader.errors import GraderError
from grader.notebook.format import dump_notebook, is_code, load_notebook, source_of
from grader.notebook.roles import grader_metadata
from grader.records import Notebook


def with_files(notebook: Notebook, folder: Path) -> Notebook:
    """The notebook in which each cell that names files contains their text, below the comments at its top.

    Raises:
        GraderError: a file is missing or is not Python.
    """
    return {**notebook, "cells": [_with_files(cell, folder) for cell in notebook["cells"]]}


def one_text(sources: Sequence[str]) -> str:
    """Joins the sources: each import once, at the top; without module docstrings and imports of the grader."""
    imports: dict[str, None] = {}
    bodies = []
    for source in sources:
        lines = source.split("\n")
        for node in ast.parse(source).body:
            docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
            if not (docstring or isinstance(node, ast.Import | ast.ImportFrom)):
                continue
            if not docstring and not (isinstance(node, ast.ImportFrom) and (node.module or "").startswith("grader.")):
                imports[ast.unparse(node)] = None
            for number in range(node.lineno - 1, node.end_lineno or node.lineno):
                lines[number] = ""
        bodies.append("\n".join(lines).strip("\n"))
    order = sorted(imports, key=lambda line: (line.startswith("from"), line))
    return "\n".join([*order, "\n", "\n\n\n".join(bodies)])


def _with_files(cell: Mapping[str, Any], folder: Path) -> Mapping[str, Any]:
    names = grader_metadata(cell).get("files", []) if is_code(cell) else []
    if not names:
        return cell
    try:
        text = one_text([(folder / name).read_text(encoding="utf-8") for name in names])
    except (OSError, SyntaxError) as error:
        raise GraderError(f"cell {cell.get('id')!r}: expected the files {', '.join(names)}: {error}") from None
    lines = source_of(cell).split("\n")
    head = lines[: next((n for n, line in enumerate(lines) if not line.startswith("#")), len(lines))]
    return {**cell, "source": "\n".join([*head, "", text])}


def with_outputs(notebook: Notebook, executed: Notebook) -> Notebook:
    """The notebook, with the outputs of a run of the same cells.

    Raises:
        GraderError: the two have different cells.
    """
    cells = []
    if len(notebook["cells"]) != len(executed["cells"]):
        raise GraderError("outputs: the executed notebook has other cells; grade this notebook first")
    for cell, executed_cell in zip(notebook["cells"], executed["cells"], strict=True):
        if source_of(cell) != source_of(executed_cell):
            raise GraderError(f"outputs: cell {cell.get('id')!r} differs; grade this notebook first")
        if is_code(cell):
            cell = {**cell, "outputs": executed_cell["outputs"], "execution_count": executed_cell["execution_count"]}
        cells.append(cell)
    return {**notebook, "cells": cells}


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code 0: the cells are written or fresh; 1: one is stale (`--check`); 2: a file is missing or another's."""
    parser = argparse.ArgumentParser(prog="python -m grader.notebook.included", description=main.__doc__)
    parser.add_argument("notebook", type=Path)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 when a cell is stale")
    parser.add_argument("--outputs", type=Path, help="a graded run of the same cells, whose outputs are taken")
    options = parser.parse_args(arguments)
    try:
        notebook = load_notebook(options.notebook)
        new_notebook = with_files(notebook, options.notebook.parent)
        new_notebook = with_outputs(new_notebook, load_notebook(options.outputs)) if options.outputs else new_notebook
    except GraderError as error:
        print(f"{options.notebook}: {error}", file=sys.stderr)
        return 2
    is_fresh = [source_of(cell) for cell in new_notebook["cells"]] == [source_of(cell) for cell in notebook["cells"]]
    if options.check or (is_fresh and not options.outputs):
        if not is_fresh:
            print(f"{options.notebook}: a cell is not what its files say; run without --check")
        return 0 if is_fresh else 1
    options.notebook.write_text(dump_notebook(new_notebook), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
