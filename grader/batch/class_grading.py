"""Grades a class: finds the submissions, grades those that are new or changed, and writes page and gradebooks."""

from __future__ import annotations

import os
import secrets
import shutil
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console

from grader.batch.class_folder import class_folder, lost_parts, refuse_run, unclaim
from grader.batch.class_records import ClassSubmission, Executor, GradebookRow, Job, StudentState
from grader.batch.gradebooks import GradebookOptions, GradebookSettings, other_points
from grader.batch.history import begin, record
from grader.batch.local import LocalExecutor, reason_for_one, slots_within, too_many
from grader.batch.manifest import Manifest, folder_of, read_manifest, write_manifest
from grader.batch.plan import ClassPlan, missing_line, summary, table
from grader.batch.progress import Progress
from grader.batch.results import apply_rulings, each_row, read_rows, rulings_of, write_results
from grader.batch.retention import without
from grader.batch.shards import CollectExecutor, Shard, in_shard, refuse_no_seed, seed_of_shards
from grader.batch.students.discovery import Discovery, find
from grader.batch.students.roster import read_roster
from grader.batch.work import FailedTry, is_current, store_failed_try
from grader.errors import GraderError, short_path
from grader.exercise import Exercise, Say
from grader.grading.folder_choice import REPLACE, parts_text
from grader.grading.grade import refuse_unknown_parts
from grader.records import Rubric
from grader.report.text import plain
from grader.report.totals import trained_parts
from grader.rubric import load_rubric
from grader.sandbox.isolation import backend_named
from grader.store.course import usual_rubric
from grader.store.files import locked
from grader.store.versions import missing_packages

LOG = "grading.log"
WORKERS_LOG = "workers.log"
MB_PER_RUN = 50  # disk space per run; 49 MB for the reference, nearly all of it evidence
LEAST_FREE_MB = 200


@dataclass(frozen=True)
class ClassOptions:
    """The options for grading a class."""

    rubric: Path | None = None  # None: that of the class's last run, or else rubric.yaml
    out: Path | None = None  # None: in runs/, with the name of the submissions' folder
    roster: Path | None = None  # None: that of the class's last run
    workers: int | None = None  # None: as many as this machine allows
    isolation: str = "bubblewrap"
    parts: tuple[str, ...] | None = None  # as in `grader.grading.grade.Options`
    seed: str | None = None  # for all students' test inputs; None: that of the last run, or else random
    executor: str = "local"
    cluster: Path = Path("slurm.yaml")  # the resources of each task on a Slurm cluster
    gradebook: GradebookOptions = field(default_factory=GradebookOptions)
    replace: bool = False  # less complete runs may replace more complete ones
    shard: Shard | None = None  # grade only this shard, into its own folder
    collect: tuple[Path, ...] = ()  # folders of shards whose results are collected; nothing is run


@dataclass(frozen=True)
class ClassResult:
    """The results of a class."""

    out: Path
    rows: tuple[GradebookRow, ...]
    remarks: tuple[str, ...]

    @property
    def all_sure(self) -> bool:
        """Whether every submission has points and none needs manual review."""
        return all(row.state in {StudentState.GRADED, StudentState.MISSING} for row in self.rows)


def grade_class(submissions: Path, options: ClassOptions, console: Console, say: Say) -> ClassResult:
    """Grades every new or changed submission, and writes gradebooks, page and history.

    Raises:
        GraderError: if grading cannot start: no submissions, an invalid rubric or roster, or another running grader.
    """
    backend_named(options.isolation)  # refuses a machine without isolation before anything else
    out = options.out or class_folder(submissions, options.parts, str(options.shard or ""))
    try:
        return _grade_into(out, submissions, options, console, say)
    except GraderError:
        if options.out is None:
            unclaim(out)
        raise


def plan_class(submissions: Path, options: ClassOptions, say: Say) -> ClassPlan:
    """What `grade_class` would do with the same options; runs nothing, and writes only to a temporary folder.

    Raises:
        GraderError: as `grade_class`.
    """
    out = options.out or class_folder(submissions, options.parts, str(options.shard or ""))
    try:
        refuse_run(out)
        path = options.rubric or _rubric_of(out, say)
        rubric, exercise = load_rubric(path)
        refuse_unknown_parts(options.parts, exercise)
        earlier = _earlier(out)
        with tempfile.TemporaryDirectory() as unpacked:
            manifest = _manifest(submissions, Path(unpacked), options, path, rubric, earlier)
            if earlier and not options.replace:
                _refuse_another(out, earlier, manifest)
            manifest = in_shard(manifest, options.shard)
            jobs = [_job(out, manifest, submission) for submission in manifest.handed_in if not submission.refused]
            done = frozenset(job.key for job in jobs if earlier and is_current(job))
    finally:
        if options.out is None:
            unclaim(out)
    return ClassPlan(manifest.layout, manifest.handed_in, manifest.missing, done, manifest.remarks)


def _grade_into(out: Path, submissions: Path, options: ClassOptions, console: Console, say: Say) -> ClassResult:
    """Grades the class into the folder."""
    refuse_run(out)
    rubric_path = options.rubric or _rubric_of(out, say)
    rubric, exercise = load_rubric(rubric_path)
    refuse_unknown_parts(options.parts, exercise)
    if out.resolve().is_relative_to(submissions.resolve()):
        raise GraderError(f"{short_path(out)}: is inside the submissions' folder; choose another with --out")
    if options.shard and not options.seed and _earlier(out) is None:
        raise refuse_no_seed()
    with locked(out):
        earlier = _earlier(out)
        if earlier and not options.replace:
            _refuse_less(out, earlier, options, exercise)
        begin(out, each_row(out, earlier) if earlier else ())
        manifest = _manifest(submissions, out / "unpacked", options, rubric_path, rubric, earlier)
        manifest = in_shard(manifest, options.shard)
        if earlier and not options.replace:
            _refuse_another(out, earlier, manifest)
        rulings_of(out, manifest, rubric)  # raises for invalid overrides or deadlines before anything runs
        write_manifest(out, manifest)
        jobs = _jobs(out, manifest, replace=options.replace)
        exercise.prepare(_without_what_make_said(say))
        if missing := missing_packages(rubric.packages):
            say(missing)
        todo = [job for job in jobs if not is_current(job)]
        done = frozenset(job.key for job in jobs) - {job.key for job in todo}
        plan = ClassPlan(manifest.layout, manifest.handed_in, manifest.missing, done, manifest.remarks)
        _show_plan(plan, earlier, console, say)
        if todo:
            _look_at_disk(out, len(todo), say)
        executor, at_once, why = _executor(options, out, rubric, say)
        with Progress(len(todo), at_once, console, out / LOG, before=len(jobs) - len(todo), why=why) as progress:
            executor.run(todo, progress.started, progress.ended)
        apply_rulings(out, manifest, rubric, exercise)
        rows = read_rows(out, manifest)
        say("writing the gradebooks and the class page")
        record(out, rows, "")
        remarks = (*manifest.remarks, *write_results(out, manifest, rows, rubric, exercise))
    return ClassResult(out, rows, remarks)


def _without_what_make_said(say: Say) -> Say:
    """Returns `say`, but under make without the line that the data were found, which `make setup` has just printed."""
    if "MAKELEVEL" not in os.environ:
        return say
    return lambda text: None if ": found in " in text else say(text)


def _look_at_disk(out: Path, count: int, say: Say) -> None:
    """Checks for free disk space, and warns if it is too little for all runs.

    Raises:
        GraderError: if there is hardly any space.
    """
    free, needed = shutil.disk_usage(out).free, count * MB_PER_RUN * 1_000_000
    message = f"{short_path(out.resolve())}: {free / 1e9:.1f} GB of disk space free"
    if free < LEAST_FREE_MB * 1_000_000:
        raise GraderError(f"{message}, expected {LEAST_FREE_MB / 1000:g}; free some, or choose another disk with --out")
    if free < needed:
        say(
            f"{message}, but {count} runs need about {needed / 1e9:.1f} GB; "
            "`prune` frees most of the space of older classes"
        )


def _show_plan(plan: ClassPlan, earlier: Manifest | None, console: Console, say: Say) -> None:
    """Shows the plan before anything runs: all submissions in the first run, later only those that changed."""
    say(summary(plan))
    for remark in plan.remarks:
        console.print(f"remark: {plain(remark, 300)}", highlight=False, markup=False, soft_wrap=True)
    earlier_by_key = {submission.key: submission for submission in earlier.handed_in} if earlier else {}
    if new := [submission for submission in plan.submissions if submission != earlier_by_key.get(submission.key)]:
        console.print(table(new))
    if plan.missing and (not earlier or earlier.missing != plan.missing):
        console.print(missing_line(plan.missing), highlight=False, markup=False)


def _manifest(
    submissions: Path, unpacked: Path, options: ClassOptions, path: Path, rubric: Rubric, earlier: Manifest | None
) -> Manifest:
    """The class as it is on disk now, without the students who were removed by `forget`."""
    return without(_whole_manifest(submissions, unpacked, options, path, rubric, earlier))


def _whole_manifest(
    submissions: Path, unpacked: Path, options: ClassOptions, path: Path, rubric: Rubric, earlier: Manifest | None
) -> Manifest:
    """The class as it is on disk now, with the seed and the gradebook settings of its earlier run."""
    gradebook = options.gradebook.over(earlier.gradebook if earlier else GradebookSettings())
    roster_path = options.roster or _roster_of(earlier)
    roster = read_roster(roster_path) if roster_path else None
    remarks = other_points(roster, rubric, gradebook) if roster else ()
    template = path.parent / rubric.template
    seed = options.seed or (earlier.seed if earlier else "")
    if options.collect:
        shards_seed = seed_of_shards(options.collect)
        if seed and seed != shards_seed and not options.replace:
            raise GraderError(f"--collect: expected parts with the seed of the class, got another; {REPLACE}")
        seed = shards_seed
    discovery: Discovery = find(submissions, unpacked, roster, max_mb=rubric.limits.notebook_mb, template=template)
    return Manifest(
        title=rubric.title,
        submissions=submissions,
        rubric=path,
        seed=seed or secrets.token_hex(16),
        isolation=options.isolation,
        parts=options.parts,
        layout=discovery.layout,
        handed_in=discovery.submissions,
        missing=discovery.missing,
        remarks=(*remarks, *discovery.remarks),
        gradebook=gradebook,
        forgotten=earlier.forgotten if earlier else (),
        roster=roster_path,
    )


def _earlier(out: Path) -> Manifest | None:
    try:
        return read_manifest(out)
    except GraderError:
        return None


def _rubric_of(out: Path, say: Say) -> Path:
    """The rubric of the class's last grading or regrade; the project's own for a new class.

    Raises:
        GraderError: if that file no longer exists.
    """
    usual = usual_rubric()
    earlier = _earlier(out)
    if earlier is None or earlier.rubric.resolve() == usual.resolve():
        return usual
    if not earlier.rubric.exists():
        raise GraderError(
            f"{earlier.rubric}: no such file; the class was graded with it; give its rubric with --rubric"
        )
    say(f"rubric of this class: {earlier.rubric}")
    return earlier.rubric


def _roster_of(earlier: Manifest | None) -> Path | None:
    """The roster of the class's last run, if it had one.

    Raises:
        GraderError: if that file no longer exists: without it, every student would get another key and be graded again.
    """
    if earlier is None or earlier.roster is None or earlier.roster.exists():
        return earlier.roster if earlier else None
    path_text = short_path(earlier.roster)
    raise GraderError(f"{path_text}: no such file; the class was read with it; give its roster with --roster")


def _refuse_less(out: Path, earlier: Manifest, options: ClassOptions, exercise: Exercise) -> None:
    """Checks that the class was not graded to a greater extent before.

    Raises:
        GraderError: if it was, so that these runs would lose results.
    """
    parts = lost_parts(earlier.parts, options.parts, exercise.parts)
    reports = (row.report for row in each_row(out, earlier) if row.report is not None) if parts else ()
    if graded_parts := parts & frozenset[str]().union(*map(trained_parts, reports)):
        raise GraderError(
            f"{short_path(out)}: has results for the training of {parts_text(graded_parts)}, "
            f"which this run would drop; {REPLACE}"
        )


def _refuse_another(out: Path, earlier: Manifest, now: Manifest) -> None:
    """Checks that the folder belongs to this class: a later download has most of the earlier submissions.

    Raises:
        GraderError: if it belongs to another class.
    """
    if earlier.submissions.resolve() == now.submissions.resolve():
        return
    before = {submission.key for submission in earlier.handed_in}
    missing = before - {submission.key for submission in now.handed_in}
    if 2 * len(missing) > len(before):
        raise GraderError(
            f"{short_path(out)}: belongs to the class of {short_path(earlier.submissions, 200)}, and "
            f"{len(missing)} of its {len(before)} submissions are missing here; {REPLACE}"
        )


def _jobs(out: Path, manifest: Manifest, *, replace: bool) -> list[Job]:
    """Returns a job per gradable submission; for each refused one, writes the reason to its folder."""
    jobs = []
    for submission in manifest.handed_in:
        folder = folder_of(out, submission.key)
        if submission.refused:
            store_failed_try(folder, FailedTry(StudentState.REFUSED, submission.refused, ""))
            continue
        jobs.append(_job(out, manifest, submission, replace=replace))
    return jobs


def _job(out: Path, manifest: Manifest, submission: ClassSubmission, *, replace: bool = False) -> Job:
    return Job(
        key=submission.key,
        notebook=submission.path,
        folder=folder_of(out, submission.key),
        rubric=manifest.rubric,
        isolation=manifest.isolation,
        parts=manifest.parts,
        seed=manifest.seed,
        remarks=submission.remarks,
        replace=replace,
    )


def _executor(options: ClassOptions, out: Path, rubric: Rubric, say: Say) -> tuple[Executor, int, str]:
    """The executor, how many jobs it runs at a time, and the reason if that is only one."""
    if options.collect:
        return CollectExecutor(options.collect), 1, "collected from the parts"
    if options.executor == "slurm":
        from grader.batch.slurm import SlurmExecutor, read_config

        cluster = SlurmExecutor(out, read_config(options.cluster))
        return cluster, cluster.at_once, ""
    if options.executor != "local":
        raise GraderError(f"--executor: expected local or slurm, got {options.executor[:40]!r}")
    workers, bounds = slots_within(options.workers, rubric.limits)
    if warning := too_many(options.workers, bounds):
        say(warning)
    why = reason_for_one(options.workers, len(workers), bounds)
    return LocalExecutor(workers, out / WORKERS_LOG), len(workers), why
