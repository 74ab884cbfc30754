"""The commands for one notebook, for this machine and Gradescope, and for testing the rubric."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from grader.cli import completion, json_output, options
from grader.cli.exit_codes import GRADED, LOOK, NOT_GRADED
from grader.cli.options import (
    ComponentsOnly,
    Isolation,
    Jobs,
    Json,
    Parts,
    Quiet,
    Replace,
    Seed,
    existing,
    isolation_of,
)
from grader.cli.screen import Screen
from grader.gradescope import ISOLATIONS

Submission = Annotated[Path, typer.Argument(help="the notebook, e.g. reference/vae_mnist.ipynb", callback=existing)]
Out = Annotated[
    Path | None,
    typer.Option(help="the folder for results (default: runs/ and the notebook's name)", metavar="PATH"),
]


def grade(
    submission: Submission,
    rubric: options.Rubric = Path("rubric.yaml"),
    out: Out = None,
    seed: Seed = None,
    components_only: ComponentsOnly = False,
    parts: Parts = None,
    isolation: Isolation = "bubblewrap",
    replace: Replace = False,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Grades one notebook, training included.

    Takes about two minutes on two cores. The last line shows the points. The run's folder has report.html and
    report.json; --json prints the latter.

    Examples:
      python -m grader grade reference/vae_mnist.ipynb
      python -m grader grade x.ipynb --out runs/x-again --seed 0123456789abcdef0123456789abcdef
      python -m grader grade x.ipynb --json | jq .points
    """
    trained_parts = options.parts_to_train(parts, components_only=components_only)
    _grade(
        submission,
        rubric,
        out,
        Screen(quiet, json),
        seed=seed,
        parts=trained_parts,
        isolation=isolation,
        replace=replace,
    )


def check(
    submission: Submission,
    rubric: options.Rubric = Path("rubric.yaml"),
    out: Out = None,
    seed: Seed = None,
    isolation: Isolation = "bubblewrap",
    replace: Replace = False,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Grades one notebook without training.

    Takes about ten seconds. Items that need training are left out of the points. Writes the same files as grade, into
    a separate folder.

    Examples:
      python -m grader check x.ipynb
      python -m grader check x.ipynb --quiet
    """
    _grade(submission, rubric, out, Screen(quiet, json), seed=seed, parts=(), isolation=isolation, replace=replace)


def _grade(submission: Path, rubric: Path, out: Path | None, screen: Screen, **how: Any) -> None:
    """Grades the notebook; `how` are the fields of `grader.grading.grade.Options`; ends the command."""
    from grader.grading.grade import Options, grade
    from grader.report.report_json import report_json
    from grader.report.terminal import print_report
    from grader.report.words import graded_points

    report, folder = grade(submission, rubric, out, Options(**how), screen.say, screen.live)
    screen.result(
        lambda: report_json(report),
        lambda console: print_report(report, console, folder),
        lambda: graded_points(report),
    )
    raise typer.Exit(LOOK if report.needs_person else GRADED)


_isolation = typer.Option(
    help="how student code is isolated: bubblewrap, user (if namespaces are forbidden) or none",
    metavar="NAME",
    callback=lambda name: isolation_of(name, ISOLATIONS),
    autocompletion=lambda: list(ISOLATIONS),
)


def doctor(
    rubric: options.Rubric = Path("rubric.yaml"),
    isolation: Isolation = "bubblewrap",
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Checks whether this machine can grade untrusted notebooks.

    Takes half a minute: tests each promise from inside real sandboxes, and says what to do where one does not hold.
    Exit code 2 if a promise is broken.

    Examples:
      python -m grader doctor
      python -m grader doctor --isolation container --quiet
    """
    screen = Screen(quiet, json)
    screen.say(f"testing isolation {isolation}")
    from grader.doctor.examination import examine
    from grader.doctor.promises import PromiseState, conclusion, show

    promises = examine(rubric, isolation, screen.say)
    screen.result(
        lambda: json_output.doctor_values(promises),
        lambda console: show(promises, console),
        lambda: conclusion(promises),
    )
    raise typer.Exit(NOT_GRADED if any(promise.state is PromiseState.BROKEN for promise in promises) else GRADED)


def gradescope(
    rubric: options.Rubric = Path("rubric.yaml"),
    out: Annotated[Path, typer.Option(help="the zip to upload", metavar="PATH")] = Path(
        "runs/gradescope/autograder.zip"
    ),
    isolation: Annotated[str, _isolation] = "bubblewrap",
    visibility: Annotated[
        str,
        typer.Option(
            help="when students see points and reasons: visible, hidden, after_due_date or after_published",
            metavar="NAME",
        ),
    ] = "visible",
    pip_options: Annotated[
        str, typer.Option(help="extra options for pip at set-up, e.g. another index (default: none)", metavar="TEXT")
    ] = "",
) -> None:
    """Writes the autograder zip for Gradescope.

    Examples:
      python -m grader gradescope
      python -m grader gradescope --isolation user --out autograder.zip
    """
    screen = Screen()
    screen.say(f"{rubric}: reading the course")
    from grader.gradescope.bundle import write_bundle

    chosen = {"isolation": isolation, "visibility": visibility, "pip_options": pip_options}
    bundle = write_bundle(rubric, out, **chosen, say=screen.say)
    typer.echo(
        f"{bundle.path}: {bundle.size / 1e6:.1f} MB, {len(bundle.files)} files; upload it under Configure Autograder"
    )


def audit(
    only: Annotated[
        list[str] | None,
        typer.Option(
            help="a solution of corpus/; repeatable (default: all)", metavar="NAME", autocompletion=completion.solutions
        ),
    ] = None,
    out: Annotated[Path, typer.Option(help="the folder for the page and the tables", metavar="PATH")] = Path(
        "runs/audit"
    ),
    rubric: options.Rubric = Path("rubric.yaml"),
    jobs: Jobs = 2,
    full: Annotated[bool, typer.Option("--full", help="train every solution; takes hours the first time")] = False,
    seeds: Annotated[
        int, typer.Option(min=0, help="instead, grade each solution with this number of seeds", metavar="N")
    ] = 0,
    pairs: Annotated[
        int,
        typer.Option(
            min=0, help="instead, with --full: test this number of random pairs of wrong solutions", metavar="N"
        ),
    ] = 0,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Tests the rubric against correct and wrong solutions.

    Each wrong solution must lose points on the expected items only, and each correct one none. Grades components
    without training, in minutes; --full trains every solution.

    Examples:
      python -m grader audit --only uniform_prior
      python -m grader audit --full --jobs 8
    """
    screen = Screen(quiet, json)
    screen.say("reading the solutions in corpus/")
    from grader.audit import command, page
    from grader.audit.result import summary

    if seeds:
        comparison = command.audit_seeds(only or [], seeds, rubric, out, jobs, screen.say, full=full)
        count = (comparison.faults, len(comparison.solutions), seeds)
        screen.result(
            lambda: json_output.seeds_values(comparison),
            lambda console: page.print_seeds(*count, console, comparison.table),
            lambda: page.seeds_line(*count),
        )
        raise typer.Exit(LOOK if comparison.faults else GRADED)
    names = command.drawn_pairs(pairs) if pairs else only or []
    trial = command.audit_corpus(names, rubric, out, jobs, screen.say, full=full)
    screen.result(
        lambda: json_output.audit_values(trial),
        lambda console: page.print_audit(trial.audit, console, trial.files),
        lambda: summary(trial.audit),
    )
    raise typer.Exit(GRADED if trial.audit.has_no_problems else LOOK)


def calibrate(
    rubric: options.Rubric = Path("rubric.yaml"),
    jobs: Annotated[int, typer.Option(min=1, help="number of sandboxes at a time, one core each", metavar="N")] = 2,
    stored: Annotated[bool, typer.Option("--stored", help="use only models that were run before")] = False,
    redraw: Annotated[
        bool, typer.Option("--redraw", help="run nothing; make the page again from docs/calibration*.csv")
    ] = False,
    to_sort: Annotated[
        Path | None, typer.Option(help="only write sheets of pictures for viewers to sort", metavar="DIR")
    ] = None,
) -> None:
    """Measures correct and defective models against the quality thresholds.

    Takes one to two hours the first time. Writes docs/calibration*.

    Examples:
      python -m grader calibrate
      python -m grader calibrate --redraw
    """
    screen = Screen()
    screen.say("reading the models in corpus/")
    from grader.audit.calibrate import calibrate as measure
    from grader.audit.calibrate import redraw as made_again
    from grader.audit.calibrate import sheets_to_sort

    if to_sort is not None:
        for path in sheets_to_sort(rubric, to_sort):
            typer.echo(path)
        return
    faults = made_again(rubric) if redraw else measure(rubric, jobs, screen.say, stored=stored)
    for fault in faults:
        typer.echo(f"- {fault}")
    typer.echo("Page: docs/calibration.md")
    typer.echo(f"Problems: {len(faults)}" if faults else "No problems found: every threshold keeps its margin.")
    raise typer.Exit(LOOK if faults else GRADED)
