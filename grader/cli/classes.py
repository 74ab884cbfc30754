"""The commands for a class: grade, regrade, release, history, prune, forget and export."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from grader.cli import completion, json_output, options
from grader.cli.exit_codes import GRADED, LOOK
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
from grader.cli.screen import Screen, with_remarks
from grader.errors import GraderError

if TYPE_CHECKING:
    from rich.console import Console

    from grader.batch.plan import ClassPlan


_executor = typer.Option(
    help="where to run: local (this machine) or slurm",
    envvar="EXECUTOR",
    metavar="NAME",
    callback=lambda name: one_of("--executor", name, EXECUTORS),
    autocompletion=lambda: list(EXECUTORS),
)


def grade_class(
    submissions: Annotated[
        Path,
        typer.Argument(
            help="a folder or zip: notebooks, one folder per student, or a course system's download",
            callback=existing,
        ),
    ],
    rubric: options.ClassRubric = None,
    out: Annotated[
        Path | None,
        typer.Option(help="the folder for results (default: runs/ and the submissions' name)", metavar="PATH"),
    ] = None,
    roster: Annotated[
        Path | None,
        typer.Option(
            help="a CSV of the students, e.g. a gradebook export (default: the one of the class's last run)",
            metavar="PATH",
            callback=existing,
        ),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="number of submissions graded at a time (default: as many as memory and cores allow)",
            metavar="N",
        ),
    ] = None,
    executor: Annotated[str, _executor] = "local",
    cluster: Annotated[
        Path | None,
        typer.Option(
            help="for slurm: partition, time, memory per task (default: slurm.yaml)", metavar="PATH", callback=existing
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
            help="grade only part I of N, e.g. 2/8, into its own folder; all parts need the same --seed",
            metavar="I/N",
        ),
    ] = None,
    collect: Annotated[
        list[Path] | None,
        typer.Option(
            help="collect the results of a part from this folder instead of running; repeatable",
            metavar="PATH",
        ),
    ] = None,
    plan: Annotated[
        bool,
        typer.Option("--plan", help="show which student each file belongs to and what would be graded; run nothing"),
    ] = False,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Grades a class; a repeated run grades only what is new or changed.

    A submission that fails does not stop the others. If the command is interrupted, run it again: it continues, and
    loses only the submissions that were being graded.

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
    screen.say(f"{submissions}: searching for submissions")
    from grader.batch.class_grading import ClassOptions, grade_class, plan_class
    from grader.batch.class_records import STATE_WORDS, StudentState
    from grader.batch.gradebooks import GradebookOptions
    from grader.batch.tables import class_table

    gradebook = GradebookOptions(assignment, canvas_assignment_id, missing_is_zero, hold_provisional, upload_partial)
    config = cluster or Path("slurm.yaml")
    from grader.batch.shards import shard_of

    if shard and (collect or executor != "local"):
        raise GraderError("--shard: expected a part graded on this machine; remove --collect and --executor")
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
        }:  # else the progress lines have shown it
            screen.error(f"{STATE_WORDS[row.state]}: {row.key}: {row.reason}")
    where = _where(result.out)

    def show(console: Console) -> None:
        console.print(class_table(result.rows))
        with_remarks(result.remarks, _places(result.out) + where)(console)

    screen.result(lambda: json_output.class_values(result), show, lambda: where)
    submitted_rows = [row for row in result.rows if row.state is not StudentState.MISSING]
    if submitted_rows and all(row.state is StudentState.FAILED for row in submitted_rows):
        raise GraderError(f"{submissions}: no submission could be graded: {submitted_rows[0].reason}")
    raise typer.Exit(GRADED if result.all_sure else LOOK)


def regrade(
    out: Annotated[
        Path,
        typer.Argument(
            help="the folder of a class or a run; with --dry-run also a folder of several", callback=existing
        ),
    ],
    rubric: options.OtherRubric = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="show who would gain or lose points; write nothing")
    ] = False,
    numbers: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            help="with --dry-run, try another number: <item>.<check>.<number>=<value>; repeatable",
            metavar="CHANGE",
            autocompletion=completion.numbers,
        ),
    ] = None,
    reason: Annotated[str, typer.Option(help="the reason, for the history", metavar="TEXT")] = "",
    lower: Annotated[
        bool, typer.Option("--lower", help="allow points below the released ones; needs --reason")
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
    """Re-grades from stored evidence, without running notebooks.

    Uses the current rubric and the class's overrides.yaml, and shows who gains or loses points. --dry-run writes
    nothing, and --set tries the rubric with another number.

    Examples:
      python -m grader regrade runs/submissions --reason "question 3 was unclear"
      python -m grader regrade runs/submissions --dry-run
      python -m grader regrade runs --dry-run --set vae.loss.parts_add_up.tolerance=0.01
      python -m grader regrade runs/submissions --missing-is-zero
      python -m grader regrade runs/vae_mnist
    """
    screen = Screen(quiet, json)
    settings = (assignment, canvas_assignment_id, missing_is_zero, hold_provisional, upload_partial)
    screen.say(f"{out}: re-grading")
    if dry_run:
        _dry_run(out, rubric, numbers or [], workers, screen)
    if numbers:
        raise GraderError("--set: works only with --dry-run; add it, or change the number in the rubric")
    if not (out / "class.json").exists():
        if lower or any(value is not None for value in settings):
            raise GraderError(f"{out}: expected the folder of a class, got a single run, which has no gradebook")
        _regrade_one(out, rubric, screen)
    from grader.batch.gradebooks import GradebookOptions
    from grader.batch.regrading import regrade_class
    from grader.batch.released_points import WouldLower
    from grader.batch.tables import moves_table
    from grader.report.text import points_text

    try:
        result = regrade_class(out, rubric, reason, workers, screen.say, GradebookOptions(*settings), lower=lower)
    except WouldLower as error:
        for fall in error.falls:
            points = (
                f"{points_text(fall.released_milli)} points were released, {points_text(fall.now_milli)} would be left"
            )
            screen.error(f"{fall.key}: {points}")
        raise
    for line in result.failures:
        screen.error(line)
    where = _where(out)

    def show(console: Console) -> None:
        if result.events:
            console.print(moves_table(f"{len(result.rows)} submissions, {len(result.events)} changed", result.events))
        else:
            print(f"{len(result.rows)} submissions, 0 changed")
        with_remarks(result.remarks, where)(console)

    last = f"{len(result.rows)} submissions, {len(result.events)} changed: {where}"
    screen.result(lambda: json_output.regrade_values(out, result), show, lambda: last)
    raise typer.Exit(GRADED if result.all_sure else LOOK)


def release(
    out: Annotated[Path, typer.Argument(help="a class's folder", callback=existing)],
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Records the points as released to students, and packs their feedback.

    From then on, regrade lowers points only with --lower and a reason. Writes feedback archives for Moodle and Canvas,
    and one with a folder per submission.

    Examples:
      python -m grader release runs/submissions
    """
    screen = Screen(quiet, json)
    screen.say(f"{out}: packing the feedback")
    from grader.batch.release import release_class

    result = release_class(out)
    last = f"{len(result.released)} released, {len(result.new)} of them new or with changed points"

    def show(_: Console) -> None:
        for heading, rows in (("held back", result.held), ("not released", result.left_out)):
            for row in rows:
                print(f"{heading}: {plain(row.key, 60)}: {plain(row.reason or STATE_WORDS[row.state], 300)}")
        for remark in result.remarks:
            print(f"remark: {plain(remark, 300)}")
        for path in result.files:
            print(path)
        print(last)

    from grader.batch.class_records import STATE_WORDS
    from grader.report.text import plain

    screen.result(lambda: json_output.release_values(out, result), show, lambda: last)
    raise typer.Exit(LOOK if result.held else GRADED)


def history(
    out: Annotated[Path, typer.Argument(help="a class's folder", callback=existing)],
    student: Annotated[
        str | None,
        typer.Option(
            help="show only this submission, by its key or student id",
            metavar="KEY",
            autocompletion=completion.submissions,
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Shows each change of points: when, by whom and why.

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

    Screen(json=json).result(lambda: json_output.history_values(events), show, str)


def _regrade_one(folder: Path, rubric: Path | None, screen: Screen) -> None:
    """Re-grades a single run; ends the command."""
    from grader.batch.released_points import NAME as RELEASED
    from grader.grading.folder_choice import class_above, rubric_of
    from grader.grading.regrade import regrade
    from grader.grading.stored_run import stored_report
    from grader.report.report_json import report_json
    from grader.report.terminal import print_report
    from grader.report.words import graded_points
    from grader.store.files import locked

    if (of_class := class_above(folder)) is not None and (of_class / RELEASED).exists():
        raise GraderError(f"{folder}: belongs to a class whose points were released; regrade {of_class} instead")
    if not (folder / ".ready").exists():
        stored_report(folder)  # refuses a folder that holds no run
    path = existing(rubric or rubric_of(folder) or Path("rubric.yaml")) or Path("rubric.yaml")
    with locked(folder):
        report = regrade(folder, path)
    screen.result(
        lambda: report_json(report),
        lambda console: print_report(report, console, folder),
        lambda: graded_points(report),
    )
    raise typer.Exit(LOOK if report.needs_person else GRADED)


def _dry_run(out: Path, rubric: Path | None, numbers: list[str], workers: int, screen: Screen) -> None:
    """Shows what re-grading would change; ends the command."""
    from grader.batch.dry_run import dry_run, summary
    from grader.batch.manifest import read_manifest
    from grader.batch.tables import moves_table
    from grader.grading.folder_choice import rubric_of

    of_class = read_manifest(out).rubric if (out / "class.json").exists() else None
    path = existing(rubric or of_class or rubric_of(out) or Path("rubric.yaml")) or Path("rubric.yaml")
    result = dry_run(out, path, numbers, workers, screen.say)
    for line in result.failures:
        screen.error(line)

    def show(console: Console) -> None:
        if result.changes:
            print(f"With {', '.join(map(str, result.changes))}:")
        if result.events:
            title = f"{len(result.shifts)} submissions, {len(result.events)} would change"
            console.print(moves_table(title, result.events))
        with_remarks(result.remarks, summary(result.shifts))(console)

    screen.result(lambda: json_output.dry_run_values(out, result), show, lambda: summary(result.shifts))
    raise typer.Exit(LOOK if result.failures else GRADED)


def _show_plan(plan: ClassPlan, screen: Screen) -> None:
    """Shows the plan; ends the command."""
    from grader.batch.plan import missing_line, summary, table

    def show(console: Console) -> None:
        console.print(table(plan.submissions))
        if plan.missing:
            print(missing_line(plan.missing))
        with_remarks(plan.remarks, summary(plan))(console)

    screen.result(lambda: json_output.plan_values(plan), show, lambda: summary(plan))
    raise typer.Exit(GRADED)


def _where(out: Path) -> str:
    return f"{out}/class.html, gradebook.csv"


def _places(out: Path) -> str:
    """Where the other results of a class are, one kind per line; gradebooks without a student's row are left out."""
    from grader.batch.gradebooks import FOR_SCRIPTS, has_rows

    books = sorted(path.name for path in out.glob("gradebook-*.csv") if has_rows(path.read_bytes()))
    stems = tuple(system.NAME.removesuffix(".csv") for system in FOR_SCRIPTS)
    of_scripts = [name for name in books if name.startswith(stems)]
    to_import = [name for name in books if name not in of_scripts]
    lines = [f"gradebooks to import into course systems: {', '.join(to_import)}"] if to_import else []
    lines += [f"gradebooks for your own scripts: {', '.join(of_scripts)}"] if of_scripts else []
    lines += ["each submission: submissions/<student>/report.html (staff), feedback.html (student)", "log: grading.log"]
    return "".join(f"{line}\n" for line in [f"in {out}/", *(f"  {line}" for line in lines)])


Out = Annotated[Path, typer.Argument(help="a class's folder", callback=existing)]


def prune(out: Out, quiet: Quiet = False, json: Json = False) -> None:
    """Removes the evidence of a class, 90 % of its disk space; points and pages stay.

    The class can still be re-graded with other points and quality thresholds. Checks that need the evidence say so.

    Examples:
      python -m grader prune runs/submissions
    """
    screen = Screen(quiet, json)
    from grader.batch.retention import prune_class

    result = prune_class(out, screen.say)
    for line in result.left:
        screen.error(line)
    last = f"{result.count} runs pruned, {result.freed_bytes / 1e6:.0f} MB freed"
    screen.result(lambda: json_output.prune_values(out, result), lambda _: print(last), lambda: last)
    raise typer.Exit(LOOK if result.left else GRADED)


def forget(
    out: Out,
    student: Annotated[
        str,
        typer.Argument(
            help="the submission's key or the student's id", metavar="STUDENT", autocompletion=completion.submissions
        ),
    ],
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Removes a student from a class: runs, files and rows, also in later runs.

    The history keeps the points under a pseudonym. The command lists what you must remove yourself.

    Examples:
      python -m grader forget runs/submissions ada
    """
    screen = Screen(quiet, json)
    from grader.batch.retention import forget as forget_student

    result = forget_student(out, student)
    last = f"removed; the history now says {result.pseudonym}"

    def show(_: Console) -> None:
        from grader.report.text import plain

        for line in result.left:
            print(f"still there: {plain(line, 300)}")
        print(last)

    values = {"out": str(out), "pseudonym": result.pseudonym, "left": list(result.left)}
    screen.result(lambda: values, show, lambda: last)


def export(
    out: Out,
    to: Annotated[Path, typer.Argument(help="a new folder to write into", metavar="TO")],
    anonymous: Annotated[bool, typer.Option("--anonymous", help="required: replaces names by numbers")] = False,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Writes an anonymous copy of a class: its page and gradebook with numbers for names.

    Leaves out code, messages, remarks and overrides. In a small class, points alone may identify a student.

    Examples:
      python -m grader export runs/submissions build/shown --anonymous
    """
    from grader.batch.retention import export_anonymous
    from grader.errors import GraderError

    if not anonymous:
        raise GraderError("export: add --anonymous; for results with names, use the class's folder itself")
    files = [str(path) for path in export_anonymous(out, to)]
    Screen(quiet, json).result(
        lambda: {"files": files}, lambda _: print("\n".join(files)), lambda: f"{len(files)} files in {to}"
    )
