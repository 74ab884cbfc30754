"""Writes a new exercise from the skeleton; existing files are never overwritten."""

from __future__ import annotations

import keyword
import re
import shutil
from pathlib import Path

import yaml

from grader.errors import GraderError
from grader.notebook.format import dump_notebook, load_notebook
from grader.notebook.template import make_template
from grader.store.course import RUBRIC, course_folder

HERE = Path(__file__).parent
LIMITS = "limits.yaml"  # beside a rubric outside the project, which has no rubric to extend
PACKAGE = "grader.skeleton.exercise"  # the package's name in the skeleton's rubric; its modules use relative imports


def write_skeleton(folder: Path, name: str) -> tuple[Path, ...]:
    """Writes a new exercise, whose reference gets full points; returns its files in the order to read them.

    In the project's folder, the code is written to `grader/exercises/<name>/`, and rubric, reference and template to
    `exercises/<name>/`. In any other folder, `<name>/` holds all of them, with the code in a package beside the rubric.

    Raises:
        GraderError: for a name that is not a package name, or that exists.
    """
    if not re.fullmatch(r"[a-z][a-z0-9_]{0,40}", name) or keyword.iskeyword(name):
        raise GraderError(
            f"name {name[:60]!r}: expected lower-case letters, digits and underscores, for instance two_numbers"
        )
    in_project = (folder / "grader" / "exercises").is_dir()
    course = folder / "exercises" / name if in_project else folder / name
    code = folder / "grader" / "exercises" / name if in_project else course / name
    package = f"grader.exercises.{name}" if in_project else name
    for target in (code, course):
        if target.exists():
            raise GraderError(f"{target}: already exists; choose another name, or remove it first")
    sources = sorted((HERE / "exercise").rglob("*.py"))
    copies = [(path, code / path.relative_to(HERE / "exercise")) for path in sources]
    for source, target in [(HERE / "course" / "reference.ipynb", course / "reference.ipynb"), *copies]:
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
    text = (HERE / "course" / "rubric.yaml").read_text(encoding="utf-8")
    if not in_project:
        text = text.replace("../../rubric.yaml", LIMITS)
        (course / LIMITS).write_text(_limits(), encoding="utf-8")
    (course / "rubric.yaml").write_text(text.replace(PACKAGE, package), encoding="utf-8")
    template = dump_notebook(make_template(load_notebook(course / "reference.ipynb")))
    (course / "template.ipynb").write_text(template, encoding="utf-8")
    return (*(course / file for file in ("reference.ipynb", "template.ipynb", "rubric.yaml")), *(t for _, t in copies))


def _limits() -> str:
    """The keys that a rubric outside the project copies from the course's: the limits of a run, and the packages."""
    rubric = yaml.safe_load((course_folder() / RUBRIC).read_text(encoding="utf-8"))
    return "# The limits of a run, and the packages that notebooks may import.\n" + yaml.safe_dump(
        {key: rubric[key] for key in ("packages", "limits")}, sort_keys=False
    )
