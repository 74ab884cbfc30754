"""Writes the exercise under a name of its own; nothing is written over."""

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
LIMITS = "limits.yaml"  # beside a rubric that no other lies above
PACKAGE = "grader.skeleton.exercise"  # how the rubric here calls the package; its modules import each other relatively


def write_skeleton(folder: Path, name: str) -> tuple[Path, ...]:
    """The folder has one more exercise, which gives its reference full points.

    In the project's folder, `grader/exercises/<name>/` holds the code, `exercises/<name>/` the rubric, the reference
    and the template made of it. In any other folder, `<name>/` holds these, and the code in a package beside them.
    Returns what was written, in the order in which a newcomer should read it.

    Raises:
        GraderError: for a name that no package can have, or that is taken.
    """
    if not re.fullmatch(r"[a-z][a-z0-9_]{0,40}", name) or keyword.iskeyword(name):
        raise GraderError(
            f"name {name[:60]!r}: expected small letters, digits and underscores, for instance straight_line"
        )
    in_project = (folder / "grader" / "exercises").is_dir()
    course = folder / "exercises" / name if in_project else folder / name
    code = folder / "grader" / "exercises" / name if in_project else course / name
    package = f"grader.exercises.{name}" if in_project else name
    for target in (code, course):
        if target.exists():
            raise GraderError(f"{target}: exists already; choose another name, or remove it first")
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
    """What a rubric outside the project takes from the course's own: the limits of a run, and packages of students."""
    rubric = yaml.safe_load((course_folder() / RUBRIC).read_text(encoding="utf-8"))
    return "# The limits of a run, and what notebooks may import.\n" + yaml.safe_dump(
        {key: rubric[key] for key in ("packages", "limits")}, sort_keys=False
    )
