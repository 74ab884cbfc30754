"""The location of the course's files: rubric, reference, template, corpus and lock files.

An installed package has them as data, in `grader/course/`; in a checkout they are at its root, where they are edited.
pyproject.toml lists them under `force-include`.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from grader.errors import GraderError

RUBRIC = "rubric.yaml"
FOR_AN_INSTRUCTOR = (
    RUBRIC,
    "reference/vae_mnist.ipynb",
    "student_template",
)  # what `init` writes
_PACKAGE = Path(__file__).parents[1]
_PACKED = _PACKAGE / "course"


def course_folder() -> Path:
    """The folder that holds `rubric.yaml`, `reference/`, `student_template/`, `corpus/` and the lock files."""
    return _PACKED if _PACKED.is_dir() else _PACKAGE.parent


def usual_rubric() -> Path:
    """`rubric.yaml` in the current folder if there is one, or else the course's own.

    In a checkout both are the same file.
    """
    here = Path(RUBRIC)
    return here if here.exists() else course_folder() / RUBRIC


def write_course(folder: Path) -> tuple[Path, ...]:
    """Copies the rubric, the reference and the templates into the folder; returns the files that were written.

    Raises:
        GraderError: one of the files exists already; nothing is written.
    """
    source = course_folder()
    files = [path for name in FOR_AN_INSTRUCTOR for path in _files(source / name)]
    targets = [folder / path.relative_to(source) for path in files]
    for target in targets:
        if target.exists():
            raise GraderError(f"{target}: exists already; use another folder, or remove it")
    for path, target in zip(files, targets, strict=True):
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
    return tuple(targets)


def _files(path: Path) -> list[Path]:
    return sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else [path]
