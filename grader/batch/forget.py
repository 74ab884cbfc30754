"""Removes a person from a class: their runs, files and rows, and their name from what is kept of the history."""

from __future__ import annotations

import hashlib
import secrets
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from grader.batch.feedback_zips import ALL, CANVAS, MOODLE
from grader.batch.history import forget_in_history
from grader.batch.late import NAME as LATE
from grader.batch.manifest import Manifest, folder_of, read_manifest, write_manifest
from grader.batch.records import HandedIn, Student
from grader.batch.released import forget_released
from grader.batch.results import read_rows, write_results
from grader.batch.similar import NAME as SIMILAR
from grader.errors import GraderError, nearest, one_line
from grader.grading.overrides import NAME as OVERRIDES
from grader.grading.overrides import names_of
from grader.grading.run_folder import source_of
from grader.grading.run_place import RUNS
from grader.rubric import load_rubric
from grader.store.lock import locked
from grader.store.yaml_files import read_yaml

MADE_ANEW = ("grading.log", "workers.log", "slurm", "unpacked", SIMILAR, ALL, MOODLE, CANVAS)  # by later commands


@dataclass(frozen=True)
class Forgotten:
    """What was removed, and what still names the person."""

    pseudonym: str  # by which the history knows them now
    left: tuple[str, ...]  # where the grader does not reach


def forget(out: Path, student: str) -> Forgotten:
    """The class's folder knows the person no more, and later runs leave them out.

    Raises:
        GraderError: nobody there has this name; or a file that is a person's own still has them.
    """
    manifest = read_manifest(out)
    rubric, exercise = load_rubric(manifest.rubric)
    with locked(out):
        key, one = _found(manifest, student)
        ids = {key, student} | ({*one.called} if one else set())
        if one and one.team:
            raise GraderError(f"{one_line(student, 60)}: handed in with a team, whose run is the others', too")
        for name in (OVERRIDES, LATE):
            told = read_yaml(out / name)
            entries = told.get("students") or {} if name == LATE else told
            if named := sorted(ids & set(map(str, entries))):
                raise GraderError(f"{out / name}: has an entry for {named[0]}; remove it first: that file is yours")
        pseudonym = f"forgotten-{secrets.token_hex(4)}"
        left = tuple(_left(manifest, one))
        forget_in_history(out, key, pseudonym)
        forget_released(out, key, ids)
        shutil.rmtree(folder_of(out, key), ignore_errors=True)
        for name in MADE_ANEW:
            path = out / name
            shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)
        manifest = without(replace(manifest, remarks=(), forgotten=(*manifest.forgotten, *map(_salted, sorted(ids)))))
        write_manifest(out, manifest)
        write_results(out, manifest, read_rows(out, manifest), rubric, exercise)
    return Forgotten(pseudonym, left)


def without(manifest: Manifest) -> Manifest:
    """The class without those who are to be forgotten."""

    def is_there(ids: set[str]) -> bool:
        return not any(_salted(one, entry.partition(":")[0]) == entry for entry in manifest.forgotten for one in ids)

    handed_in = [one for one in manifest.handed_in if is_there({one.key, *(person.id for person in one.students)})]
    missing = [person for person in manifest.missing if is_there({person.id})]
    return replace(manifest, handed_in=tuple(handed_in), missing=tuple(missing))


def _salted(name: str, salt: str = "") -> str:
    """What is kept of a name, so that a later run leaves the person out; it does not say who that is."""
    salt = salt or secrets.token_hex(8)
    return f"{salt}:{hashlib.sha256(f'{salt}{name}'.encode()).hexdigest()}"


def _found(manifest: Manifest, student: str) -> tuple[str, HandedIn | None]:
    names = names_of({one.key: one.called for one in manifest.handed_in})
    missing: dict[str, Student] = {person.id: person for person in manifest.missing}
    if student in names:
        return names[student], next(one for one in manifest.handed_in if one.key == names[student])
    if student in missing:
        return student, None
    raise GraderError(f"{one_line(student, 60)!r}: nobody here{nearest(student, [*names, *missing])}")


def _left(manifest: Manifest, one: HandedIn | None) -> Iterator[str]:
    """What still names them, where the grader does not write."""
    yield f"{manifest.submissions}: what was downloaded"
    yield "the archives with everybody's feedback were removed, since they had theirs: release again to have them anew"
    yield "the roster, the course's system, and files that were uploaded or sent"
    own = str(one.path.resolve()) if one else ""
    for folder in sorted(RUNS.glob("*")) if own else ():
        if (source := source_of(folder)) is not None and source.of == own:
            yield f"{folder}: a run of the same file by itself"
