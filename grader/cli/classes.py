"""The verbs for a class: grade-class, regrade and history."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from grader.cli import completion, options, outcome
from grader.cli.options import (
    EXECUTORS,
    Assignment,
    CanvasId,
    ComponentsOnly,
    HoldProvisional,
    Isolation,
    Jobs,
    Json,
    MissingIsZero,
    Parts,
    Quiet,
    Replace,
    Seed,
    UploadPartial,
    existing,
    one_of,
)
from grader.cli.outcome import GRADED, LOOK
from grader.cli.screen import Screen, notes
from grader.errors import GraderError

if TYPE_CHECKING:
    from rich.console import Console

    from grader.batch.plan import Plan


_executor = typer.Option(
    help="local or slurm",
    envvar="EXECUTOR",
    metavar="NAME",
    callback=lambda name: one_of("--executor", name, EXECUTORS),
    autocompletion=lambda: list(EXECUTORS),
)


def grade_class(
    submissions: Annotated[
        Path, typer.Argument(help="a folder or a zip: flat, one folder per student, or a download", callback=existing)
    ],
    rubric: options.ClassRubric = None,
    out: Annotated[
        Path | None, typer.Option(help="the class's folder; below runs/, by the submissions' name", metavar="PATH")
    ] = None,
    roster: Annotated[
        Path | None,
        typer.Option(
            help="a CSV of the students, for instance a gradebook's export; that of the class's last run if not given",
            metavar="PATH",
            callback=existing,
        ),
    ] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="submissions at once; as many as fit if not given", metavar="N")
    ] = None,
    executor: Annotated[str, _executor] = "local",
    cluster: Annotated[
        Path | None,
        typer.Option(
            help="with slurm: partition, time, memory; slurm.yaml if not given", metavar="PATH", callback=existing
        ),
    ] = None,
    seed: Seed = None,
    components_only: ComponentsOnly = False,
    parts: Parts = None,
    isolation: Isolation = "bubblewrap",
    replace: Replace = False,
    assignment: Assignment = None,
    canvas_assignment_id: CanvasId = None,
    missing_is_zero: MissingIsZero = None,
    hold_provisional: HoldProvisional = None,
    upload_partial: UploadPartial = None,
    shard: Annotated[
        str | None,
        typer.Option(
            help="grade only this part, for instance 2/8, into a folder of its own; all parts need one --seed",
            metavar="I/N",
        ),
    ] = None,
    collect: Annotated[
        list[Path] | None,
        typer.Option(
            help="put together what was graded in this folder of a part, and run nothing; may be repeated",
            metavar="PATH",
        ),
    ] = None,
    plan: Annotated[
        bool, typer.Option("--plan", help="show whose each file is and which would be graded, and run nothing")
    ] = False,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Grades a class; run again, only what is missing or changed.

    Several submissions at once, as many as fit the machine. One bad submission stops nobody, and killing the command
    loses only what was in flight.

    Examples:
      python -m grader grade-class submissions --roster students.csv --plan
      python -m grader grade-class submissions --roster students.csv
      python -m grader grade-class moodle.zip --out runs/week3 --missing-is-zero
      EXECUTOR=slurm python -m grader grade-class submissions --cluster slurm.yaml
      python -m grader grade-class submissions --shard 2/8 --seed 5f3c...
      python -m grader grade-class submissions --collect runs/part-1 --collect ...
    """
    screen = Screen(quiet, json)
    trained_parts = options.parts_to_train(parts, components_only=components_only)
    screen.say(f"{submissions}: looking for submissions")
    from grader.batch.class_records import StudentState
    from grader.batch.gradebooks import GradebookOptions
    from grader.batch.grading import ClassOptions, grade_class, plan_class
    from grader.batch.progress import class_table

    gradebook = GradebookOptions(assignment, canvas_assignment_id, missing_is_zero, hold_provisional, upload_partial)
    config = cluster or Path("slurm.yaml")
    from grader.batch.shards import shard_of

    if shard and (collect or executor != "local"):
        raise GraderError("--shard: a part is graded on this machine; leave out --collect and the executor")
    class_options = ClassOptions(
        rubric=rubric,
        out=out,
        roster=roster,
        workers=workers,
        isolation=isolation,
        parts=trained_parts,
        seed=seed,
        executor=executor,
        cluster=config,
        gradebook=gradebook,
        replace=replace,
        shard=shard_of(shard) if shard else None,
        collect=tuple(path for path in map(existing, collect or ()) if path),
    )
    if plan:
        _show_plan(plan_class(submissions, class_options, screen.say), screen)
    result = grade_class(submissions, class_options, screen.errors(), screen.say)
    for row in result.rows:
        if quiet and row.state in {
            StudentState.FAILED,
            StudentState.REFUSED,
        }:  # else the lines of progress have said it
            screen.wrong(f"{row.state}: {row.key}: {row.reason}")
    where = _where(result.out)

    def show(console: Console) -> None:
        console.print(class_table(result.rows))
        notes(result.remarks, where)(console)

    screen.result(lambda: outcome.class_values(result), show, lambda: where)
    handed_in = [row for row in result.rows if row.state is not StudentState.MISSING]
    if handed_in and all(row.state is StudentState.FAILED for row in handed_in):
        raise GraderError(f"{submissions}: no submission could be graded: {handed_in[0].reason}")
    raise typer.Exit(GRADED if result.all_sure else LOOK)


def regrade(
    out: Annotated[
        Path, typer.Argument(help="a class's folder or a run's; with --dry-run, one of several, too", callback=existing)
    ],
    rubric: options.OtherRubric = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="show who would gain or lose what, and write nothing")
    ] = False,
    numbers: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            help="with --dry-run, another number: <item>.<check>.<number>=<value>; may be repeated",
            metavar="CHANGE",
            autocompletion=completion.numbers,
        ),
    ] = None,
    reason: Annotated[str, typer.Option(help="why, for the history", metavar="TEXT")] = "",
    lower: Annotated[
        bool, typer.Option("--lower", help="let points fall below what was released; needs a --reason")
    ] = False,
    workers: Jobs = 2,
    assignment: Assignment = None,
    canvas_assignment_id: CanvasId = None,
    missing_is_zero: MissingIsZero = None,
    hold_provisional: HoldProvisional = None,
    upload_partial: UploadPartial = None,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Judges again from stored evidence, running nothing.

    It shows who gains or loses what. A class is judged under the rubric as it is now and the decisions in its
    overrides.yaml. With --dry-run nothing is written, and with --set the rubric is tried with another number.

    Examples:
      python -m grader regrade runs/submissions --reason "question 3 was unclear"
      python -m grader regrade runs/submissions --dry-run
      python -m grader regrade runs --dry-run --set vae.loss.parts_add_up.tolerance=0.01
      python -m grader regrade runs/submissions --missing-is-zero
      python -m grader regrade runs/vae_mnist
    """
    screen = Screen(quiet, json)
    settings = (assignment, canvas_assignment_id, missing_is_zero, hold_provisional, upload_partial)
    screen.say(f"{out}: to be judged again")
    if dry_run:
        _dry_run(out, rubric, numbers or [], workers, screen)
    if numbers:
        raise GraderError("--set: only tries a number; add --dry-run, or change the number in the rubric")
    if not (out / "class.json").exists():
        if lower or any(value is not None for value in settings):
            raise GraderError(f"{out}: a single run has no gradebook; give the folder of a class")
        _regrade_one(out, rubric, screen)
    from grader.batch.gradebooks import GradebookOptions
    from grader.batch.regrading import moves_table, regrade_class
    from grader.batch.released_points import WouldLower
    from grader.report.text import points_text

    try:
        result = regrade_class(out, rubric, reason, workers, screen.say, GradebookOptions(*settings), lower=lower)
    except WouldLower as error:
        for fall in error.falls:
            points = (
                f"{points_text(fall.released_milli)} points were released, {points_text(fall.now_milli)} would be left"
            )
            screen.wrong(f"{fall.key}: {points}")
        raise
    for line in result.wrong:
        screen.wrong(line)
    where = _where(out)

    def show(console: Console) -> None:
        if result.events:
            console.print(moves_table(f"{len(result.rows)} submissions, {len(result.events)} changed", result.events))
        else:
            print(f"{len(result.rows)} submissions, 0 changed")
        notes(result.remarks, where)(console)

    last = f"{len(result.rows)} submissions, {len(result.events)} changed: {where}"
    screen.result(lambda: outcome.regrade_values(out, result), show, lambda: last)
    raise typer.Exit(GRADED if result.all_sure else LOOK)


def release(
    out: Annotated[Path, typer.Argument(help="a class's folder", callback=existing)],
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Notes the points as shown to students, and packs their feedback.

    From then on no regrade lowers anybody's points without --lower and a reason. The archives are for Moodle, for
    Canvas, and one with a folder for each submission.

    Examples:
      python -m grader release runs/submissions
    """
    screen = Screen(quiet, json)
    screen.say(f"{out}: feedback is packed")
    from grader.batch.release import release_class

    result = release_class(out)
    last = f"{len(result.released)} released, {len(result.new)} of them new or with other points than before"

    def show(_: Console) -> None:
        for heading, rows in (("held back", result.held), ("not released", result.left_out)):
            for row in rows:
                print(f"{heading}: {plain(row.key, 60)}: {plain(row.reason or str(row.state), 300)}")
        for remark in result.remarks:
            print(f"note: {plain(remark, 300)}")
        for path in result.files:
            print(path)
        print(last)

    from grader.report.text import plain

    screen.result(lambda: outcome.release_values(out, result), show, lambda: last)
    raise typer.Exit(LOOK if result.held else GRADED)


def history(
    out: Annotated[Path, typer.Argument(help="a class's folder", callback=existing)],
    student: Annotated[
        str | None,
        typer.Option(
            help="only one submission's, by its key or its student's id",
            metavar="KEY",
            autocompletion=completion.submissions,
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Shows whose points changed, when, by whom and why.

    Oldest first.

    Examples:
      python -m grader history runs/submissions
      python -m grader history runs/submissions --student ada
    """
    from grader.batch.history import event_line, events_of

    events = events_of(out, student)

    def show(_: Console) -> None:
        from grader.report.text import plain

        for event in events:
            print(plain(event_line(event), 1000))
        print(f"{len(events)} changes")

    Screen(json=json).result(lambda: outcome.history_values(events), show, str)


def _regrade_one(folder: Path, rubric: Path | None, screen: Screen) -> None:
    """A single run was judged again; ends the verb."""
    from grader.batch.released_points import NAME as RELEASED
    from grader.grading.regrade import regrade
    from grader.grading.run_folder import stored_report
    from grader.grading.run_place import class_above, rubric_of
    from grader.report.report_json import report_json
    from grader.report.terminal import print_report
    from grader.report.words import judged_points
    from grader.store.files import locked

    if (of_class := class_above(folder)) is not None and (of_class / RELEASED).exists():
        raise GraderError(f"{folder}: this run belongs to a class whose points were released; regrade {of_class}")
    if not (folder / ".ready").exists():
        stored_report(folder)  # a folder that holds no run is not touched
    path = existing(rubric or rubric_of(folder) or Path("rubric.yaml")) or Path("rubric.yaml")
    with locked(folder):
        report = regrade(folder, path)
    screen.result(
        lambda: report_json(report),
        lambda console: print_report(report, console, folder),
        lambda: judged_points(report),
    )
    raise typer.Exit(LOOK if report.needs_person else GRADED)


def _dry_run(out: Path, rubric: Path | None, numbers: list[str], workers: int, screen: Screen) -> None:
    """It was shown what judging again would change; ends the verb."""
    from grader.batch.dry_run import dry_run, summary
    from grader.batch.manifest import read_manifest
    from grader.batch.regrading import moves_table
    from grader.grading.run_place import rubric_of

    of_class = read_manifest(out).rubric if (out / "class.json").exists() else None
    path = existing(rubric or of_class or rubric_of(out) or Path("rubric.yaml")) or Path("rubric.yaml")
    result = dry_run(out, path, numbers, workers, screen.say)
    for line in result.failures:
        screen.wrong(line)

    def show(console: Console) -> None:
        if result.changes:
            print(f"With {', '.join(map(str, result.changes))}:")
        if result.events:
            title = f"{len(result.shifts)} submissions, {len(result.events)} would change"
            console.print(moves_table(title, result.events))
        notes(result.remarks, summary(result.shifts))(console)

    screen.result(lambda: outcome.dry_run_values(out, result), show, lambda: summary(result.shifts))
    raise typer.Exit(LOOK if result.failures else GRADED)


def _show_plan(plan: Plan, screen: Screen) -> None:
    """The plan is shown; ends the verb."""
    from grader.batch.plan import missing_line, summary, table

    def show(console: Console) -> None:
        console.print(table(plan.handed_in))
        if plan.missing:
            print(missing_line(plan.missing))
        notes(plan.remarks, summary(plan))(console)

    screen.result(lambda: outcome.plan_values(plan), show, lambda: summary(plan))
    raise typer.Exit(GRADED)


def _where(out: Path) -> str:
    return f"{out}/class.html, gradebook.csv"


Out = Annotated[Path, typer.Argument(help="a class's folder", callback=existing)]


def prune(out: Out, quiet: Quiet = False, json: Json = False) -> None:
    """Removes the evidence of a class, nine tenths of what it takes on the disk; points and pages stay.

    It can still be judged again under other points and thresholds of quality; what would need the evidence says so.

    Examples:
      python -m grader prune runs/submissions
    """
    screen = Screen(quiet, json)
    from grader.batch.retention import prune_class

    result = prune_class(out, screen.say)
    for line in result.left:
        screen.wrong(line)
    last = f"{result.count} runs pruned, {result.freed_bytes / 1e6:.0f} MB freed"
    screen.result(lambda: outcome.prune_values(out, result), lambda _: print(last), lambda: last)
    raise typer.Exit(LOOK if result.left else GRADED)


def forget(
    out: Out,
    student: Annotated[
        str,
        typer.Argument(
            help="a submission's key, or a student's id", metavar="STUDENT", autocompletion=completion.submissions
        ),
    ],
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Removes a person from a class: runs, files and rows, also from later runs of the same submissions.

    The history keeps their points under a pseudonym. What the grader does not own is named, for you to remove.

    Examples:
      python -m grader forget runs/submissions ada
    """
    screen = Screen(quiet, json)
    from grader.batch.retention import forget as forget_student

    result = forget_student(out, student)
    last = f"forgotten; the history says {result.pseudonym}"

    def show(_: Console) -> None:
        from grader.report.text import plain

        for line in result.left:
            print(f"still there: {plain(line, 300)}")
        print(last)

    values = {"out": str(out), "pseudonym": result.pseudonym, "left": list(result.left)}
    screen.result(lambda: values, show, lambda: last)


def export(
    out: Out,
    to: Annotated[Path, typer.Argument(help="a folder that is not there yet", metavar="TO")],
    anonymous: Annotated[bool, typer.Option("--anonymous", help="the only form there is: numbers for names")] = False,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Writes a class that may be shown: its page and gradebook with numbers for names.

    Without what anybody wrote: code, messages, remarks, decisions. Points may still tell who somebody is.

    Examples:
      python -m grader export runs/submissions build/shown --anonymous
    """
    from grader.batch.retention import export_anonymous
    from grader.errors import GraderError

    if not anonymous:
        raise GraderError("export: say --anonymous; with names, the class's folder itself is what there is")
    files = [str(path) for path in export_anonymous(out, to)]
    Screen(quiet, json).result(
        lambda: {"files": files}, lambda _: print("\n".join(files)), lambda: f"{len(files)} files in {to}"
    )
