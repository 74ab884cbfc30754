"""The keys of stored results: every file of the grader has a kind, and each kind has a key.

A result is stale if a file of its kind, or of an earlier kind, has changed since it was made. A file imports only
files of its own kind and of earlier kinds, so that the key covers every file that affects the result.
docs/remembered.md lists what is stored, where, and what makes it stale.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import asdict
from enum import StrEnum
from functools import cache
from pathlib import Path

from grader.exercise import Exercise, Questions
from grader.notebook.format import dump_notebook
from grader.notebook.restore import Templates
from grader.records import Rubric
from grader.store.versions import ROOT, files_checksum


class FileKind(StrEnum):
    """What a file affects, in the order of a grade: earlier kinds also affect everything later."""

    RUN = "run"  # what happens in a box: how a notebook is run, what it is asked, how its answers are read
    FIND = "find"  # what checks find in the answers
    SHOW = "show"  # what is drawn: pictures of the answers, and the notebook as its pages show it
    NONE = "none"  # nothing that is stored: data classes, the command line, gradebooks, and pages


# A path below `grader/`, of a folder or of a module, and its kind; of several that fit, the longest counts.
FILES: Mapping[str, FileKind] = {
    "": FileKind.NONE,
    "evidence": FileKind.RUN,
    "exercise": FileKind.RUN,
    "grading/answers": FileKind.RUN,
    "grading/live_line": FileKind.RUN,
    "grading/machine_faults": FileKind.RUN,
    "grading/plan": FileKind.RUN,
    "grading/preloading": FileKind.RUN,
    "grading/run": FileKind.RUN,
    "grading/correct_code": FileKind.RUN,
    "grading/tampering": FileKind.RUN,
    "notebook": FileKind.RUN,
    "sandbox": FileKind.RUN,
    "store/bounded": FileKind.RUN,
    "checks": FileKind.FIND,
    "grading/finding_cache": FileKind.FIND,
    "grading/follow_through": FileKind.FIND,
    "grading/verdicts": FileKind.FIND,
    "report/notebook_view": FileKind.SHOW,
    "report/text": FileKind.SHOW,
    "report/tracebacks": FileKind.SHOW,
    "report/strip": FileKind.SHOW,
    "notebook/included": FileKind.NONE,
    "notebook/printed_curves": FileKind.NONE,
    "notebook/saved_outputs": FileKind.NONE,
}
# The same below the package of an exercise; files that are not listed affect its questions.
FILES_OF_EXERCISE: Mapping[str, FileKind] = {
    "": FileKind.RUN,
    "checks": FileKind.FIND,
    "classifier": FileKind.FIND,
    "copies": FileKind.FIND,
    "metrics": FileKind.FIND,
    "training_integrity": FileKind.FIND,
    "figures": FileKind.SHOW,
    "classifier/network": FileKind.NONE,
    "classifier/second_reader": FileKind.NONE,
    "classifier/train": FileKind.NONE,
    "data/__main__": FileKind.NONE,
    "self_check": FileKind.NONE,
}
_BEFORE = (FileKind.RUN, FileKind.FIND, FileKind.SHOW)


def kind_of(path: str, table: Mapping[str, FileKind] = FILES) -> FileKind | None:
    """Returns the kind of a file by its path below the table's root; None if the table has no kind for it."""
    pieces = path.removesuffix(".py").split("/")
    for length in range(len(pieces), -1, -1):
        if (kind := table.get("/".join(pieces[:length]))) is not None:
            return kind
    return None


def files_of(package: Path) -> Iterator[tuple[Path, FileKind | None]]:
    """Every file of the grader, and of an exercise in this folder, with its kind."""
    for path in _files(ROOT):
        inside = _exercise_of(path)
        if inside is None:
            yield path, kind_of(path.relative_to(ROOT).as_posix())
        elif inside == package:
            yield path, kind_of(path.relative_to(package).as_posix(), FILES_OF_EXERCISE)
    if not package.is_relative_to(ROOT):
        for path in _files(package):
            yield path, kind_of(path.relative_to(package).as_posix(), FILES_OF_EXERCISE)


@cache
def code_key(kind: FileKind, package: Path) -> str:
    """SHA-256 over the grader's files, and those of the exercise in this folder, of this kind and the kinds before."""
    kinds = set(_BEFORE[: _BEFORE.index(kind) + 1])
    paths = [path for path, kind_of_path in files_of(package) if kind_of_path in kinds]
    engine_paths = [path for path in paths if path.is_relative_to(ROOT)]
    other_paths = [path for path in paths if path not in engine_paths]
    return _sha256(files_checksum(ROOT, engine_paths) + files_checksum(package, other_paths))


def run_key(
    rubric: Rubric, exercise: Exercise, templates: Templates, parts: Collection[str] | None, isolation: str
) -> str:
    """SHA-256 over what decides how a notebook is run and what it is asked, beside the notebook and the seed.

    Points, thresholds and checks are not part of it: where only they differ, stored evidence is re-graded. Nor is
    the reference: what was trained with its correct parts has a key of its own, see `correct_code`.
    """
    inputs = {
        "exercise": rubric.exercise,
        "limits": asdict(rubric.limits),
        "interface": asdict(rubric.interface),
        "sizes": dict(rubric.sizes),
        "follow_through": rubric.follow_through.enabled,
        "parts": None if parts is None else sorted(parts),
        "isolation": isolation,
        "code": code_key(FileKind.RUN, exercise.in_box.parent),
    }
    return _sha256(json.dumps(inputs, sort_keys=True, default=str) + "".join(map(dump_notebook, templates.values())))


def questions_checksum(questions: Questions) -> str:
    """SHA-256 over the questions' names and numbers."""
    total = hashlib.sha256()
    for stage in sorted(questions):
        for name in sorted(questions[stage]):
            total.update(f"{stage.array(name)}\0".encode())
            total.update(questions[stage][name].tobytes())
    return total.hexdigest()


def _exercise_of(path: Path) -> Path | None:
    """The package of an exercise that the file belongs to; None for a file of none."""
    pieces = path.relative_to(ROOT).parts
    in_a_package = pieces[0] == "exercises" or pieces[:2] == ("skeleton", "exercise")
    return ROOT / pieces[0] / pieces[1] if in_a_package and len(pieces) > 2 else None


def _files(root: Path) -> Iterator[Path]:
    for path in sorted(root.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            yield path


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
