"""A rubric and what belongs to it, loaded once in each process, and again if one of its files has changed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from grader.exercise import Exercise
from grader.grading.cache_keys import run_key
from grader.grading.correct_code import reference_definitions
from grader.notebook.restore import load_templates
from grader.records import Rubric
from grader.rubric import load_rubric, rubric_files

Stamps = dict[Path, tuple[int, ...]]  # file -> what changes with its content; empty if the file is missing
RunSettings = tuple[tuple[str, ...] | None, str]  # the parts to train, and the isolation


@dataclass(frozen=True, eq=False)
class LoadedRubric:
    """A rubric, its exercise, and what is computed from its templates and its reference."""

    path: Path
    rubric: Rubric
    exercise: Exercise
    stamps: Stamps  # of all files that it is read from, from before they were read
    _run_keys: dict[RunSettings, str] = field(default_factory=dict)

    def run_key(self, parts: tuple[str, ...] | None, isolation: str) -> str:
        """The key of a run with these settings, see `grader.grading.cache_keys.run_key`.

        Raises:
            GraderError: a template cannot be read.
        """
        if (parts, isolation) not in self._run_keys:
            templates = load_templates(self.path, self.rubric)
            self._run_keys[parts, isolation] = run_key(self.rubric, self.exercise, templates, parts, isolation)
        return self._run_keys[parts, isolation]

    @cached_property
    def reference_definitions(self) -> str:
        """The reference's definitions, see `grader.grading.correct_code`.

        Raises:
            GraderError: the reference cannot be read.
        """
        return reference_definitions(self.path, self.rubric)


_LOADED: dict[Path, LoadedRubric] = {}


def load_once(path: Path) -> LoadedRubric:
    """The rubric, from memory if none of its files has changed.

    Raises:
        RubricError: as `load_rubric`.
    """
    loaded = _LOADED.get(path)
    if loaded is None or loaded.stamps != _stamps(loaded.stamps):
        stamps = _stamps(rubric_files(path))
        rubric, exercise = load_rubric(path)
        notebooks = (rubric.template, *rubric.earlier_templates, rubric.reference)
        stamps |= _stamps(path.parent / name for name in notebooks)
        loaded = _LOADED[path] = LoadedRubric(path, rubric, exercise, stamps)
    return loaded


def _stamps(paths: Iterable[Path]) -> Stamps:
    return {path: _stamp(path) for path in paths}


def _stamp(path: Path) -> tuple[int, ...]:
    try:
        status = path.stat()
    except OSError:
        return ()
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns
