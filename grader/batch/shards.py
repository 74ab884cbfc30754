"""A class in parts: each is graded anywhere, by whatever starts a command, and all are put together at the end.

A part is a class's folder like any other, with fewer submissions. Which ones follows from their keys alone, so every
machine that sees the same submissions and roster agrees.
"""

from __future__ import annotations

import contextlib
import re
import secrets
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from grader.batch.class_records import ClassSubmission, Job, JobResult, StudentState
from grader.batch.manifest import Manifest, folder_of, read_manifest
from grader.batch.work import failed_try, outcome, stands_for, store_failed_try
from grader.errors import GraderError, one_line
from grader.grading.grade import kept_name
from grader.grading.run_files import aside, put_in_place, settle, written
from grader.grading.run_folder import note_source
from grader.grading.run_place import earlier_report, is_weaker
from grader.report.words import judged_points
from grader.store.files import locked

NOT_THERE = "it is in none of the parts"
MOST = 10_000


@dataclass(frozen=True, slots=True)
class Shard:
    """The i-th of n parts of a class, from 1."""

    number: int
    of: int

    def __str__(self) -> str:
        return f"part-{self.number}-of-{self.of}"

    def part(self, handed_in: Sequence[ClassSubmission]) -> tuple[ClassSubmission, ...]:
        """Those of the class that are in this part: every n-th by key, so that parts are of a size."""
        return tuple(sorted(handed_in, key=lambda submission: submission.key)[self.number - 1 :: self.of])


def shard_of(text: str) -> Shard:
    """The part that the text names, "2/8".

    Raises:
        GraderError: it names none.
    """
    match = re.fullmatch(r"([0-9]{1,5})/([0-9]{1,5})", text.strip())
    number, of = (int(match[1]), int(match[2])) if match else (0, 0)
    if not 1 <= number <= of <= MOST:
        raise GraderError(f"--shard {text[:40]!r}: expected a number and how many, for instance 2/8")
    return Shard(number, of)


def refuse_no_seed() -> GraderError:
    """Why a part cannot begin: each would ask other questions."""
    seed = secrets.token_hex(16)
    return GraderError(
        f"--shard: all parts need one seed, so that nobody has harder questions: give each --seed {seed}"
    )


def seed_of_parts(parts: Sequence[Path]) -> str:
    """The seed with which all of the parts were graded.

    Raises:
        GraderError: one of them holds no class, or they were graded with different ones.
    """
    seeds = {read_manifest(part).seed: part for part in parts}
    if len(seeds) > 1:
        first, second, *_ = seeds.values()
        raise GraderError(f"--collect: {_path_text(first)} and {_path_text(second)} were graded with different seeds")
    return next(iter(seeds))


class CollectExecutor:
    """See `grader.batch.class_records.Executor`: takes what was graded in the parts, and runs nothing."""

    def __init__(self, parts: Sequence[Path]) -> None:
        self._parts = tuple(parts)

    def run(self, jobs: Sequence[Job], started: Callable[[str], None], ended: Callable[[JobResult], None]) -> None:
        """What lies in one of the parts as the job would grade it is in the job's folder."""
        with _locks(self._parts):
            for job in jobs:
                started(job.key)
                ended(self._collected(job))

    def _collected(self, job: Job) -> JobResult:
        folders = [folder_of(part, job.key) for part in self._parts]
        for folder in folders:
            if folder.is_dir():
                settle(folder)
        try:
            if source := next((folder for folder in folders if stands_for(replace(job, folder=folder))), None):
                _take(source, job)
                return outcome(job) or JobResult(job.key, StudentState.FAILED, f"{_path_text(source)}: cannot be read")
            for folder in folders:
                if (failure := failed_try(folder)) is not None:
                    store_failed_try(job.folder, failure)
                    return JobResult(job.key, failure.state, failure.reason)
        except (GraderError, OSError) as error:
            return JobResult(job.key, StudentState.FAILED, one_line(str(error), 300))
        return JobResult(job.key, StudentState.WAITING, NOT_THERE)


def _take(source: Path, job: Job) -> None:
    """The job's folder holds the run, as if it had been graded there; what a stronger run left stands.

    Raises:
        GraderError: the folder's own run is stronger.
    """
    with aside(job.folder) as finished:
        for path in written(source):
            if not path.is_symlink():
                shutil.copyfile(path, finished / path.name)
        new, old = earlier_report(finished), earlier_report(job.folder)
        if new is None:
            raise GraderError(f"{_path_text(source)}: its report cannot be read")
        weaker = is_weaker(new, old) if old is not None else ""
        if old is not None and weaker and not job.replace:
            raise GraderError(f"{_path_text(job.folder)}: the earlier run stands, {judged_points(old)}: {weaker}")
        same_text = old is not None and old.checksums.get("notebook") == new.checksums.get("notebook")
        note_source(job.folder, job.notebook, job.rubric)
        put_in_place(job.folder, finished, keep_as=kept_name(job.folder, old) if weaker or not same_text else "")


@contextlib.contextmanager
def _locks(parts: Sequence[Path]) -> Iterator[None]:
    with contextlib.ExitStack() as stack:
        for part in parts:
            stack.enter_context(locked(part))
        yield


def _path_text(path: Path) -> str:
    return one_line(str(path), 120)


def in_part(manifest: Manifest, shard: Shard | None) -> Manifest:
    """The class, or only this part of it. A part has no missing students: another part may have their work."""
    return manifest if shard is None else replace(manifest, handed_in=shard.part(manifest.handed_in), missing=())
