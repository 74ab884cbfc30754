"""A class in shards: each shard is graded on any machine, and the results are collected at the end.

A shard has a class folder like any other, with fewer submissions. The submissions of a shard depend only on their keys,
so every machine with the same submissions and roster chooses the same ones. Users read "part" for a shard.
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
from grader.batch.work import failed_try, has_matching_run, store_failed_try, stored_result
from grader.errors import GraderError, one_line, short_path
from grader.grading.folder_choice import earlier_report, is_weaker
from grader.grading.grade import kept_name
from grader.grading.run_files import files_of_run, finish_swap, new_run_folder, put_in_place
from grader.grading.stored_run import write_owner
from grader.report.words import graded_points
from grader.store.files import locked

NOT_THERE = "not found in any of the parts"
MOST = 10_000


@dataclass(frozen=True, slots=True)
class Shard:
    """Shard `number` of `of` shards of a class, counted from 1."""

    number: int
    of: int

    def __str__(self) -> str:
        return f"part-{self.number}-of-{self.of}"

    def select(self, submissions: Sequence[ClassSubmission]) -> tuple[ClassSubmission, ...]:
        """The submissions of this shard: every n-th by key, so that all shards have about the same size."""
        return tuple(sorted(submissions, key=lambda submission: submission.key)[self.number - 1 :: self.of])


def shard_of(text: str) -> Shard:
    """The shard of a text such as "2/8".

    Raises:
        GraderError: if it is not of this form.
    """
    match = re.fullmatch(r"([0-9]{1,5})/([0-9]{1,5})", text.strip())
    number, of = (int(match[1]), int(match[2])) if match else (0, 0)
    if not 1 <= number <= of <= MOST:
        raise GraderError(f"--shard: expected part/parts such as 2/8, got {text[:40]!r}")
    return Shard(number, of)


def refuse_no_seed() -> GraderError:
    """The error for a shard without a seed, since each shard would use other test inputs."""
    seed = secrets.token_hex(16)
    return GraderError(
        f"--shard: all parts need the same seed, so that all students get the same test inputs; add --seed {seed}"
    )


def seed_of_shards(shards: Sequence[Path]) -> str:
    """The seed of all shards, given by their folders.

    Raises:
        GraderError: if a folder holds no class, or the shards have different seeds.
    """
    seeds = {read_manifest(shard).seed: shard for shard in shards}
    if len(seeds) > 1:
        first, second, *_ = seeds.values()
        raise GraderError(
            f"--collect: expected parts with the same seed, got different ones in {short_path(first)} and "
            f"{short_path(second)}; grade one of them again"
        )
    return next(iter(seeds))


class CollectExecutor:
    """Collects the results of the shards, and runs nothing; see `grader.batch.class_records.Executor`."""

    def __init__(self, shards: Sequence[Path]) -> None:
        self._shards = tuple(shards)

    def run(self, jobs: Sequence[Job], started: Callable[[str], None], ended: Callable[[JobResult], None]) -> None:
        """Copies the run of each job from a shard, if it has the notebook and the settings of the job."""
        with _locks(self._shards):
            for job in jobs:
                started(job.key)
                ended(self._collected(job))

    def _collected(self, job: Job) -> JobResult:
        folders = [folder_of(shard, job.key) for shard in self._shards]
        for folder in folders:
            if folder.is_dir():
                finish_swap(folder)
        try:
            if source := next((folder for folder in folders if has_matching_run(replace(job, folder=folder))), None):
                _take(source, job)
                return stored_result(job) or JobResult(
                    job.key, StudentState.FAILED, f"{short_path(source)}: cannot be read"
                )
            for folder in folders:
                if (failure := failed_try(folder)) is not None:
                    store_failed_try(job.folder, failure)
                    return JobResult(job.key, failure.state, failure.reason)
        except (GraderError, OSError) as error:
            return JobResult(job.key, StudentState.FAILED, one_line(str(error), 300))
        return JobResult(job.key, StudentState.WAITING, NOT_THERE)


def _take(source: Path, job: Job) -> None:
    """Copies the run into the job's folder, as if it had been graded there.

    Raises:
        GraderError: if the folder's own run is more complete.
    """
    with new_run_folder(job.folder) as finished:
        for path in files_of_run(source):
            if not path.is_symlink():
                shutil.copyfile(path, finished / path.name)
        new, old = earlier_report(finished), earlier_report(job.folder)
        if new is None:
            raise GraderError(f"{short_path(source)}: its report cannot be read")
        weaker = is_weaker(new, old) if old is not None else ""
        if old is not None and weaker and not job.replace:
            raise GraderError(f"{short_path(job.folder)}: the earlier run was kept, {graded_points(old)}: {weaker}")
        same_text = old is not None and old.checksums.get("notebook") == new.checksums.get("notebook")
        write_owner(job.folder, job.notebook, job.rubric)
        put_in_place(job.folder, finished, keep_as=kept_name(job.folder, old) if weaker or not same_text else "")


@contextlib.contextmanager
def _locks(shards: Sequence[Path]) -> Iterator[None]:
    with contextlib.ExitStack() as stack:
        for shard in shards:
            stack.enter_context(locked(shard))
        yield


def in_shard(manifest: Manifest, shard: Shard | None) -> Manifest:
    """The class, or only this shard. A shard has no missing students: another shard may have their submissions."""
    return manifest if shard is None else replace(manifest, handed_in=shard.select(manifest.handed_in), missing=())
