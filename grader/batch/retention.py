"""Removes stored data of a class: prunes the evidence, removes a student, or exports an anonymous copy."""

from __future__ import annotations

import hashlib
import secrets
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from grader.batch.class_records import ClassSubmission, GradebookRow, Student
from grader.batch.gradebooks import has_rows
from grader.batch.gradebooks import plain as plain_gradebook
from grader.batch.history import forget_in_history
from grader.batch.late import NAME as LATE
from grader.batch.manifest import Manifest, folder_of, folders, read_manifest, write_manifest
from grader.batch.page import class_page
from grader.batch.release import ALL, CANVAS, MOODLE
from grader.batch.released_points import forget_released
from grader.batch.results import PAGE, pictures, read_rows, write_results
from grader.batch.similar import NAME as SIMILAR
from grader.errors import GraderError, nearest, one_line, short_path
from grader.exercise import Say
from grader.grading.folder_choice import RUNS
from grader.grading.overrides import OVERRIDES, names_of
from grader.grading.regrade import verdicts
from grader.grading.run_files import EARLIER
from grader.grading.stored_run import has_report, prune, read_owner, stored_report
from grader.records import CheckVerdict, GradeReport, ItemVerdict, Outcome
from grader.report.text import plain
from grader.rubric import load_rubric
from grader.store.files import locked, write_atomically
from grader.store.yaml_files import read_yaml


@dataclass(frozen=True)
class PruneResult:
    """The results of pruning."""

    count: int
    freed_bytes: int
    left: tuple[str, ...]  # runs that were not pruned, and why


def prune_class(out: Path, say: Say) -> PruneResult:
    """Removes the evidence of every run, and keeps the findings of the checks of the current rubric.

    A regrade with the same checks, but other points or thresholds, still works; checks that need the evidence say so.

    Raises:
        GraderError: if no class was graded there, or another grader is running.
    """
    manifest = read_manifest(out)
    rubric, exercise = load_rubric(manifest.rubric)
    count = freed = 0
    problems = []
    with locked(out):
        graded = [(submission.key, folder) for submission, folder in folders(out, manifest) if has_report(folder)]
        for number, (key, folder) in enumerate(graded, 1):
            say(f"{number} of {len(graded)}: {plain(key, 60)}")
            try:
                verdicts(folder, rubric.for_template(stored_report(folder).template), exercise, keep=True)
                freed_here = prune(folder) + sum(map(_freed_by_pruning, sorted((folder / EARLIER).glob("*"))))
                freed, count = freed + freed_here, count + (freed_here > 0)
            except (GraderError, OSError) as error:
                problems.append(f"{plain(key, 60)}: {plain(str(error), 200)}")
    return PruneResult(count, freed, tuple(problems))


def _freed_by_pruning(folder: Path) -> int:
    """The bytes freed by pruning the run of an earlier notebook, which is never re-graded."""
    try:
        return prune(folder) if folder.is_dir() and not folder.is_symlink() else 0
    except GraderError:
        return 0


MADE_ANEW = (
    "grading.log",
    "workers.log",
    "slurm",
    "unpacked",
    SIMILAR,
    ALL,
    MOODLE,
    CANVAS,
)  # removed here, and written again by later commands


@dataclass(frozen=True)
class ForgetResult:
    """The pseudonym of a removed student, and places that still name the student."""

    pseudonym: str  # in the history
    left: tuple[str, ...]  # outside the class's folder


def forget(out: Path, student: str) -> ForgetResult:
    """Removes the student from the class's folder, and from later runs.

    Raises:
        GraderError: if there is no such student, or `overrides.yaml` or `late.yaml` still has an entry for the student.
    """
    manifest = read_manifest(out)
    rubric, exercise = load_rubric(manifest.rubric)
    with locked(out):
        key, submission = _person(manifest, student)
        ids = {key, student} | ({*submission.names} if submission else set())
        if submission and submission.team:
            raise GraderError(
                f"{one_line(student, 60)}: cannot be removed alone: the run is also of the other team members"
            )
        for name in (OVERRIDES, LATE):
            content = read_yaml(out / name)
            entries = content.get("students") or {} if name == LATE else content
            if names := sorted(ids & set(map(str, entries))):
                raise GraderError(f"{out / name}: has an entry for {names[0]}; remove that entry first")
        pseudonym = f"forgotten-{secrets.token_hex(4)}"
        remaining = tuple(_remaining(manifest, submission))
        forget_in_history(out, key, pseudonym)
        forget_released(out, key, ids)
        shutil.rmtree(folder_of(out, key), ignore_errors=True)
        for name in MADE_ANEW:
            path = out / name
            shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)
        manifest = without(replace(manifest, remarks=(), forgotten=(*manifest.forgotten, *map(_salted, sorted(ids)))))
        write_manifest(out, manifest)
        write_results(out, manifest, read_rows(out, manifest), rubric, exercise)
    return ForgetResult(pseudonym, remaining)


def without(manifest: Manifest) -> Manifest:
    """The class without the students who were removed."""

    def is_there(ids: set[str]) -> bool:
        return not any(_salted(name, entry.partition(":")[0]) == entry for entry in manifest.forgotten for name in ids)

    submissions = [one for one in manifest.handed_in if is_there({one.key, *(person.id for person in one.students)})]
    missing = [person for person in manifest.missing if is_there({person.id})]
    return replace(manifest, handed_in=tuple(submissions), missing=tuple(missing))


def _salted(name: str, salt: str = "") -> str:
    """A salted digest of a name, by which later runs recognise a removed student."""
    salt = salt or secrets.token_hex(8)
    return f"{salt}:{hashlib.sha256(f'{salt}{name}'.encode()).hexdigest()}"


def _person(manifest: Manifest, student: str) -> tuple[str, ClassSubmission | None]:
    names = names_of({submission.key: submission.names for submission in manifest.handed_in})
    missing: dict[str, Student] = {person.id: person for person in manifest.missing}
    if student in names:
        return names[student], next(submission for submission in manifest.handed_in if submission.key == names[student])
    if student in missing:
        return student, None
    raise GraderError(f"{one_line(student, 60)!r}: no such student or submission{nearest(student, [*names, *missing])}")


def _remaining(manifest: Manifest, submission: ClassSubmission | None) -> Iterator[str]:
    """The places that still name the student."""
    yield f"{manifest.submissions}: the download"
    yield "the feedback archives of the class were removed; release again to write them without this student"
    yield "the roster, the course system, and files that were uploaded or sent"
    notebook = str(submission.path.resolve()) if submission else ""
    for folder in sorted(RUNS.glob("*")) if notebook else ():
        if (source := read_owner(folder)) is not None and source.of == notebook:
            yield f"{folder}: a separate run of the same file"


def export_anonymous(out: Path, to: Path) -> tuple[Path, ...]:
    """Writes the class's page and gradebook into a new folder, with numbers for names and in random order.

    Left out: names, ids, addresses, file names, code, messages, remarks, reasons of overrides, times and devices. In a
    small class, points alone may identify a student.

    Raises:
        GraderError: if no class was graded there, or the folder exists.
    """
    manifest = read_manifest(out)
    rubric, _ = load_rubric(manifest.rubric)
    if to.exists():
        raise GraderError(f"{short_path(to)}: expected a new folder, but it exists; choose another name")
    with locked(out):
        rows = list(read_rows(out, manifest))
    images = pictures(rows)
    secrets.SystemRandom().shuffle(rows)
    width = len(str(len(rows)))
    keys = {row.key: f"s{number:0{width}}" for number, row in enumerate(rows, 1)}
    bare_rows = [_bare(row, keys[row.key]) for row in rows]
    to.mkdir(parents=True)
    files = plain_gradebook.files(bare_rows, rubric, manifest.gradebook)
    pictures_of = {keys[key]: image for key, image in images.items()}
    page = class_page(
        bare_rows, rubric, manifest.title, (), pictures_of, {name: has_rows(data) for name, data in files.items()}
    )
    for name, content in {**files, PAGE: page.encode()}.items():
        write_atomically(to / name, content)
    return tuple(sorted(to.iterdir()))


def _bare(row: GradebookRow, key: str) -> GradebookRow:
    report = None if row.report is None else _report(row.report)
    return GradebookRow(key, row.state, report=report, excused=row.excused)


def _report(report: GradeReport) -> GradeReport:
    late = None if report.late is None else replace(report.late, handed_in="", deadline="", note="")
    return replace(
        report,
        submission="",
        device="",
        remarks=(),
        events=(),
        seed="",
        checksums={},
        created="",
        wall_s=0.0,
        template="",
        items=_items(report.items),
        late=late,
    )


def _items(items: Sequence[ItemVerdict]) -> tuple[ItemVerdict, ...]:
    """The items with points, outcomes and the reasons for skipped checks; of an override, only that there is one."""
    bare = []
    for item in items:
        checks = tuple(
            replace(check, message=_message(check), hint="", measured={}, level=None) for check in item.checks
        )
        override = None if item.override is None else replace(item.override, reason="", by="", when="")
        bare.append(replace(item, checks=checks, override=override))
    return tuple(bare)


def _message(check: CheckVerdict) -> str:
    return check.message if check.outcome is Outcome.SKIPPED else ""
