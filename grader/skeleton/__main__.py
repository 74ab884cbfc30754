"""`python -m grader.skeleton NAME`: the exercise is written, and the command that grades it is printed.

It refuses to write over anything.
"""

from __future__ import annotations

import argparse
import keyword
import re
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from grader.errors import GraderError
from grader.notebook.format import dump_notebook, load_notebook
from grader.notebook.template import make_template

HERE = Path(__file__).parent
PACKAGE = "grader.skeleton.exercise"  # how the rubric here calls the package; its modules import each other relatively


def write_skeleton(folder: Path, name: str) -> tuple[Path, ...]:
    """The project in the folder has one more exercise, which gives its reference full points.

    `grader/exercises/<name>/` holds the code, `exercises/<name>/` the rubric, the reference and the template made of
    it. Returns what was written, in the order in which a newcomer should read it.

    Raises:
        GraderError: for a name that no package can have, a folder that is not the project's, or a name that is taken.
    """
    if not re.fullmatch(r"[a-z][a-z0-9_]{0,40}", name) or keyword.iskeyword(name):
        raise GraderError(
            f"name {name[:60]!r}: expected small letters, digits and underscores, for instance straight_line"
        )
    if not (folder / "grader" / "exercises").is_dir():
        raise GraderError(f"{folder}: expected the project's folder, with grader/exercises in it; say --into <folder>")
    code, course = folder / "grader" / "exercises" / name, folder / "exercises" / name
    for target in (code, course):
        if target.exists():
            raise GraderError(f"{target}: exists already; choose another name, or remove it first")
    sources = sorted((HERE / "exercise").rglob("*.py"))
    copies = [(path, code / path.relative_to(HERE / "exercise")) for path in sources]
    for source, target in [(HERE / "course" / "reference.ipynb", course / "reference.ipynb"), *copies]:
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
    text = (HERE / "course" / "rubric.yaml").read_text(encoding="utf-8")
    (course / "rubric.yaml").write_text(text.replace(PACKAGE, f"grader.exercises.{name}"), encoding="utf-8")
    template = dump_notebook(make_template(load_notebook(course / "reference.ipynb")))
    (course / "template.ipynb").write_text(template, encoding="utf-8")
    return (*(course / file for file in ("reference.ipynb", "template.ipynb", "rubric.yaml")), *(t for _, t in copies))


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code 0: the exercise is there; 2: it is not, and one line says why."""
    parser = argparse.ArgumentParser(prog="python -m grader.skeleton", description=main.__doc__)
    parser.add_argument("name", help="the package's name, for instance straight_line")
    parser.add_argument("--into", type=Path, default=Path(), help="the project's folder; this one if not given")
    options = parser.parse_args(arguments)
    try:
        paths = write_skeleton(options.into, options.name)
    except (GraderError, OSError) as error:
        print(f"not written: {error}", file=sys.stderr)
        return 2
    for path in paths:
        print(path)
    course = Path("exercises", options.name)
    print(f"Try it: make grade SUBMISSION={course}/reference.ipynb RUBRIC={course}/rubric.yaml")
    return 0


if __name__ == "__main__":
    sys.exit(main())
