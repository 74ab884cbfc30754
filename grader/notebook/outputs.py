"""A notebook with another run's outputs: how the reference gets its pictures from a graded run."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from grader.errors import GraderError
from grader.notebook.format import dump_notebook, is_code, load_notebook, source_of
from grader.records import Notebook


def with_outputs(notebook: Notebook, executed: Notebook) -> Notebook:
    """The notebook, with the outputs of a run of the same cells.

    Raises:
        GraderError: where the two have different cells.
    """
    cells = []
    if len(notebook["cells"]) != len(executed["cells"]):
        raise GraderError("outputs: the executed notebook has other cells; grade this notebook first")
    for mine, run in zip(notebook["cells"], executed["cells"], strict=True):
        if source_of(mine) != source_of(run):
            raise GraderError(f"outputs: cell {mine.get('id')!r} differs; grade this notebook first")
        if is_code(mine):
            mine = {**mine, "outputs": run["outputs"], "execution_count": run["execution_count"]}
        cells.append(mine)
    return {**notebook, "cells": cells}


def main(arguments: Sequence[str] | None = None) -> int:
    """`python -m grader.notebook.outputs executed.ipynb notebook.ipynb`; returns the exit code."""
    executed, path = (Path(argument) for argument in (arguments or sys.argv[1:]))
    try:
        path.write_text(dump_notebook(with_outputs(load_notebook(path), load_notebook(executed))))
    except GraderError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
