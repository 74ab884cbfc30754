"""Writes a new exercise from the skeleton; existing files are never overwritten."""

from __future__ import annotations

import importlib.util
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
# In the order in which the guide changes them; files that need no change come last.
CODE = ("plugin.py", "__init__.py", "questions.py", "in_box/probe.py", "checks.py")
LONGEST_NAME = 41
EXAMPLE = "for instance two_numbers"
LIMITS = "limits.yaml"  # beside a rubric outside the project, which has no rubric to extend
LIMITS_HEADING = """\
# The limits of a run, and the packages that notebooks may import.
# Names that end in _s are in seconds, those that end in _mb in megabytes; the others are numbers of things.
"""
PACKAGE = "grader.skeleton.exercise"  # the package's name in the skeleton's rubric; its modules use relative imports


def write_skeleton(folder: Path, name: str) -> tuple[Path, ...]:
    """Writes a new exercise, whose reference gets full points; returns its files in the order to change them.

    In the project's folder, the code is written to `grader/exercises/<name>/`, and rubric, reference and template to
    `exercises/<name>/`. In any other folder, `<name>/` holds all of them, with the code in a package beside the rubric.

    Raises:
        GraderError: for a name that cannot be the package's, a folder that exists, or a file instead of a folder.
    """
    _refuse_bad_name(name)
    if folder.exists() and not folder.is_dir():
        raise GraderError(f"{folder}: expected a folder to write into, got a file; choose another")
    in_project = (folder / "grader" / "exercises").is_dir()
    course = folder / "exercises" / name if in_project else folder / name
    code = folder / "grader" / "exercises" / name if in_project else course / name
    package = f"grader.exercises.{name}" if in_project else name
    for target in (code, course):
        if target.exists():
            raise GraderError(f"{target}: already exists; choose another name, or remove it first")
    if not in_project:
        _refuse_importable(name)
    files = [path.relative_to(HERE / "exercise").as_posix() for path in sorted((HERE / "exercise").rglob("*.py"))]
    files.sort(key=lambda file: CODE.index(file) if file in CODE else len(CODE))
    copies = [(HERE / "exercise" / file, code / file) for file in files]
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
    rubrics = (course / "rubric.yaml",) if in_project else (course / "rubric.yaml", course / LIMITS)
    return (course / "reference.ipynb", course / "template.ipynb", *(target for _, target in copies), *rubrics)


def _refuse_bad_name(name: str) -> None:
    if len(name) > LONGEST_NAME:
        raise GraderError(f"name {name[:60]!r}: expected at most {LONGEST_NAME} characters, got {len(name)}")
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        raise GraderError(
            f"name {name!r}: expected lower-case letters, digits and underscores, beginning with a letter, {EXAMPLE}"
        )
    if keyword.iskeyword(name):
        raise GraderError(f"name {name!r}: a keyword of Python cannot name a package; choose another, {EXAMPLE}")


def _refuse_importable(name: str) -> None:
    """Refuses the name of an installed package, which would be imported instead of the exercise."""
    spec = importlib.util.find_spec(name)
    if spec is not None and spec.origin is not None:  # without origin: a folder without code, which hides no package
        raise GraderError(f"name {name!r}: a Python package has this name already; choose another, {EXAMPLE}")


def _limits() -> str:
    """The keys that a rubric outside the project copies from the course's, with comments: limits and packages."""
    text = (course_folder() / RUBRIC).read_text(encoding="utf-8")
    document = yaml.compose(text, yaml.SafeLoader)
    sections = [
        text[key.start_mark.index : value.end_mark.index].rstrip() + "\n"
        for key, value in (document.value if isinstance(document, yaml.MappingNode) else ())
        if key.value in ("packages", "limits")
    ]
    return LIMITS_HEADING + "\n".join(sections)
