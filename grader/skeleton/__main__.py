"""`python -m grader.skeleton NAME`: the exercise is written, and the command that grades it is printed."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from grader.errors import GraderError
from grader.skeleton.writing import write_skeleton


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code 0: the exercise is there; 2: it is not, and one line says why."""
    parser = argparse.ArgumentParser(prog="python -m grader.skeleton", description=main.__doc__)
    parser.add_argument("name", help="the package's name, for instance straight_line")
    parser.add_argument("--into", type=Path, default=Path(), help="the project's folder; this one if not given")
    options = parser.parse_args(arguments)
    try:
        written = write_skeleton(options.into, options.name)
    except (GraderError, OSError) as error:
        print(f"not written: {error}", file=sys.stderr)
        return 2
    for path in written:
        print(path)
    course = Path("exercises", options.name)
    print(f"Try it: make grade SUBMISSION={course}/reference.ipynb RUBRIC={course}/rubric.yaml")
    return 0


if __name__ == "__main__":
    sys.exit(main())
