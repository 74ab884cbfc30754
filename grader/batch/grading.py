"""The story of a class: find, grade what is missing or changed, and put everybody's points where they are wanted."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console

from grader.batch.executor import Executor
from grader.batch.finding import Found, find
from grader.batch.gradebooks import GradebookSettings, GradebookWishes
from grader.batch.history import append, changes, standings
from grader.batch.local import LocalExecutor
from grader.batch.lock import locked
from grader.batch.machine import slots
from grader.batch.manifest import Manifest, read_manifest, write_manifest
from grader.batch.progress import Progress
from grader.batch.records import Job, Row, State
from grader.batch.results import apply_decisions, decisions_of, each_row, read_rows, write_results
from grader.batch.roster import read_roster
from grader.batch.work import ENDED, folder_of, is_current
from grader.box.backend import backend_named
from grader.errors import GraderError
from grader.files import write_atomically
from grader.notebook.read import safe_name
from grader.pipeline import refuse_unknown_parts
from grader.records import Rubric
from grader.report.report_json import dump_json
from grader.rubric import load_rubric
from grader.run_folder import REPORT

LOG = "grading.log"
WORKERS_LOG = "workers.log"
Say = Callable[[str], None]


@dataclass(frozen=True)
class Wishes:
    """How to grade a class, beside what the rubric says."""

    rubric: Path = Path("rubric.yaml")
    out: Path | None = None  # runs/<name of the submissions' folder> if not given
    roster: Path | None = None
    workers: int | None = None  # as many as fit the machine if not given
    isolation: str = "bubblewrap"
    parts: tuple[str, ...] | None = None  # as of `Options`
    seed: str | None = None  # of everybody's questions; a fresh one for a new class if not given
    executor: str = "local"
    cluster: Path = Path("slurm.yaml")  # what a Slurm cluster is to give each task
    gradebook: GradebookWishes = field(default_factory=GradebookWishes)


@dataclass(frozen=True)
class Graded:
    """What came of a class."""

    out: Path
    rows: tuple[Row, ...]
    remarks: tuple[str, ...]

    @property
    def all_sure(self) -> bool:
        """Whether everybody who handed something in has points that no person must look at."""
        return all(row.state in {State.GRADED, State.MISSING} for row in self.rows)


def grade_class(submissions: Path, wishes: Wishes, console: Console, say: Say) -> Graded:
    """Every submission has been tried, and gradebooks, page and history are written.

    Raises:
        GraderError: where nothing could be started: no submissions, a wrong rubric or roster, another grader at work.
    """
    backend_named(wishes.isolation)  # a machine that cannot isolate is told before anything is prepared
    rubric, exercise = load_rubric(wishes.rubric)
    refuse_unknown_parts(wishes.parts, exercise)
    out = wishes.out or Path("runs") / safe_name(submissions.resolve())
    with locked(out):
        earlier = _earlier(out)
        before = standings(each_row(out, earlier)) if earlier else {}
        manifest = _found(submissions, out, wishes, rubric, earlier)
        write_manifest(out, manifest)
        decisions_of(out, manifest, rubric)  # a mistake in them is told before anything runs
        jobs = _jobs(out, manifest)
        exercise.prepare(say)
        todo = [job for job in jobs if not is_current(job)]
        executor, at_once = _executor(wishes, out, rubric)
        with Progress(len(todo), at_once, console, out / LOG, before=len(jobs) - len(todo)) as progress:
            executor.run(todo, progress.started, progress.ended)
        apply_decisions(out, manifest, rubric, exercise)
        rows = read_rows(out, manifest)
        say("gradebooks and the page of the class")
        append(out, changes(before, rows, ""))
        remarks = (*manifest.remarks, *write_results(out, manifest, rows, rubric, exercise))
    return Graded(out, rows, remarks)


def _found(submissions: Path, out: Path, wishes: Wishes, rubric: Rubric, earlier: Manifest | None) -> Manifest:
    """The class as it lies there now, with the secret and the gradebooks' settings of its earlier run."""
    gradebook = wishes.gradebook.over(earlier.gradebook if earlier else GradebookSettings())
    roster = read_roster(wishes.roster) if wishes.roster else None
    found: Found = find(submissions, out / "unpacked", roster, max_mb=rubric.limits.notebook_mb)
    return Manifest(
        title=rubric.title,
        submissions=submissions,
        rubric=wishes.rubric,
        seed=wishes.seed or (earlier.seed if earlier else secrets.token_hex(16)),
        isolation=wishes.isolation,
        parts=wishes.parts,
        layout=found.layout,
        handed_in=found.handed_in,
        missing=found.missing,
        remarks=found.remarks,
        gradebook=gradebook,
    )


def _earlier(out: Path) -> Manifest | None:
    try:
        return read_manifest(out)
    except GraderError:
        return None


def _jobs(out: Path, manifest: Manifest) -> list[Job]:
    """What can be graded; the folder of what cannot says why."""
    jobs = []
    for handed_in in manifest.handed_in:
        folder = folder_of(out, handed_in.key)
        if handed_in.refused:
            folder.mkdir(parents=True, exist_ok=True)
            (folder / REPORT).unlink(missing_ok=True)
            refused = {"state": str(State.REFUSED), "reason": handed_in.refused}
            write_atomically(folder / ENDED, dump_json(refused))
            continue
        jobs.append(
            Job(
                key=handed_in.key,
                notebook=handed_in.path,
                folder=folder,
                rubric=manifest.rubric,
                isolation=manifest.isolation,
                parts=manifest.parts,
                seed=manifest.seed,
                remarks=handed_in.remarks,
            )
        )
    return jobs


def _executor(wishes: Wishes, out: Path, rubric: Rubric) -> tuple[Executor, int]:
    """Who does the work, and how many submissions at once."""
    if wishes.executor == "slurm":
        from grader.batch.slurm import SlurmExecutor, read_config

        cluster = SlurmExecutor(out, read_config(wishes.cluster))
        return cluster, cluster.at_once
    if wishes.executor != "local":
        raise GraderError(f"executor {wishes.executor[:40]!r}: expected local or slurm")
    cores: Sequence[frozenset[int]] = slots(wishes.workers, rubric.limits)
    return LocalExecutor(cores, out / WORKERS_LOG), len(cores)
