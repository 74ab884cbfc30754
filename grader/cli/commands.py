"""The verbs for one submission, for this machine and the platform, and for the rubric on trial."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from grader.cli import completion, options, outcome
from grader.cli.options import (
    ON_GRADESCOPE,
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
from grader.cli.outcome import GRADED, LOOK, NOT_GRADED
from grader.cli.screen import Screen

Submission = Annotated[
    Path, typer.Argument(help="the notebook, for instance reference/vae_mnist.ipynb", callback=existing)
]
Out = Annotated[
    Path | None,
    typer.Option(help="the run's folder; below runs/, by the notebook's name, if not given", metavar="PATH"),
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

    Two minutes on two cores. The last line is the points; the run's folder has the report as a page and as report.json,
    and with --json standard output has the same JSON.

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
    """Tries one notebook's code alone, without training.

    Ten seconds. What needs training is left out of the points. The output is that of grade, in a folder of its own.

    Examples:
      python -m grader check x.ipynb
      python -m grader check x.ipynb --quiet
    """
    _grade(submission, rubric, out, Screen(quiet, json), seed=seed, parts=(), isolation=isolation, replace=replace)


def _grade(submission: Path, rubric: Path, out: Path | None, screen: Screen, **how: Any) -> None:
    """The notebook was graded; `how` are the options of `grader.grading.grade.Options`."""
    from grader.grading.grade import Options, grade
    from grader.report.report_json import report_json
    from grader.report.terminal import print_report
    from grader.report.words import judged_points

    report, folder = grade(submission, rubric, out, Options(**how), screen.say, screen.live)
    screen.result(
        lambda: report_json(report),
        lambda console: print_report(report, console, folder),
        lambda: judged_points(report),
    )
    raise typer.Exit(LOOK if report.needs_person else GRADED)


_isolation = typer.Option(
    help="bubblewrap, user where the platform forbids namespaces, or none",
    metavar="NAME",
    callback=lambda name: isolation_of(name, ON_GRADESCOPE),
    autocompletion=lambda: list(ON_GRADESCOPE),
)


def doctor(
    rubric: options.Rubric = Path("rubric.yaml"),
    isolation: Isolation = "bubblewrap",
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Says whether this machine can grade untrusted notebooks.

    Half a minute: it tries from inside real boxes. Exit code 2 where a promise is broken; each comes with its fix.

    Examples:
      python -m grader doctor
      python -m grader doctor --isolation container --quiet
    """
    screen = Screen(quiet, json)
    screen.say(f"{isolation}: each promise is tried")
    from grader.doctor.examination import examine
    from grader.doctor.promises import PromiseState, show, verdict

    promises = examine(rubric, isolation, screen.say)
    screen.result(
        lambda: outcome.doctor_values(promises), lambda console: show(promises, console), lambda: verdict(promises)
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
        typer.Option(help="of points and reasons: visible, hidden, after_due_date or after_published", metavar="NAME"),
    ] = "visible",
    pip_options: Annotated[
        str, typer.Option(help="for pip at set-up, for instance another index", metavar="TEXT")
    ] = "",
) -> None:
    """Writes the zip that Gradescope takes as an autograder.

    Examples:
      python -m grader gradescope
      python -m grader gradescope --isolation user --out autograder.zip
    """
    screen = Screen()
    screen.say(f"{rubric}: reading the course")
    from grader.gradescope.bundle import write_bundle

    chosen = {"isolation": isolation, "visibility": visibility, "pip_options": pip_options}
    bundle = write_bundle(rubric, out, **chosen, say=screen.say)
    typer.echo(f"{bundle.path}: {bundle.size / 1e6:.1f} MB, {len(bundle.files)} files")


def audit(
    only: Annotated[
        list[str] | None,
        typer.Option(
            help="a solution of corpus/; may be repeated", metavar="NAME", autocompletion=completion.solutions
        ),
    ] = None,
    out: Annotated[Path, typer.Option(help="the folder for the page and the tables", metavar="PATH")] = Path(
        "runs/audit"
    ),
    rubric: options.Rubric = Path("rubric.yaml"),
    jobs: Jobs = 2,
    full: Annotated[bool, typer.Option("--full", help="train every solution: hours the first time")] = False,
    seeds: Annotated[int, typer.Option(min=0, help="judge each solution with so many seeds instead", metavar="N")] = 0,
    pairs: Annotated[
        int,
        typer.Option(min=0, help="with --full: so many drawn pairs of wrong solutions instead", metavar="N"),
    ] = 0,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Tries the rubric on right and wrong solutions.

    Each wrong one must lose what it should and nothing else. Components alone, in minutes; with --full every solution
    is trained.

    Examples:
      python -m grader audit --only uniform_prior
      python -m grader audit --full --jobs 8
    """
    screen = Screen(quiet, json)
    screen.say("the solutions of corpus/ are read")
    from grader.audit import command, page
    from grader.audit.result import summary

    if seeds:
        comparison = command.audit_seeds(only or [], seeds, rubric, out, jobs, screen.say, full=full)
        count = (comparison.faults, len(comparison.solutions), seeds)
        screen.result(
            lambda: outcome.seeds_values(comparison),
            lambda console: page.print_seeds(*count, console, comparison.table),
            lambda: page.seeds_line(*count),
        )
        raise typer.Exit(LOOK if comparison.faults else GRADED)
    names = command.drawn_pairs(pairs) if pairs else only or []
    trial = command.audit_corpus(names, rubric, out, jobs, screen.say, full=full)
    screen.result(
        lambda: outcome.audit_values(trial),
        lambda console: page.print_audit(trial.audit, console, trial.files),
        lambda: summary(trial.audit),
    )
    raise typer.Exit(GRADED if trial.audit.sound else LOOK)


def calibrate(
    rubric: options.Rubric = Path("rubric.yaml"),
    jobs: Annotated[int, typer.Option(min=1, help="boxes at once, a core each", metavar="N")] = 2,
    stored: Annotated[bool, typer.Option("--stored", help="only models that were run before")] = False,
    to_sort: Annotated[
        Path | None, typer.Option(help="writes strips to be sorted by looking, no more", metavar="DIR")
    ] = None,
) -> None:
    """Measures honest and defective models.

    An hour or two the first time; writes docs/calibration*.

    Examples:
      python -m grader calibrate
      python -m grader calibrate --stored
    """
    screen = Screen()
    screen.say("the models of corpus/ are read")
    from grader.audit.calibrate import calibrate as measure
    from grader.audit.calibrate import sheets_to_sort

    if to_sort is not None:
        for path in sheets_to_sort(rubric, to_sort):
            typer.echo(path)
        return
    faults = measure(rubric, jobs, screen.say, stored=stored)
    for fault in faults:
        typer.echo(fault)
    typer.echo("docs/calibration.md")
    raise typer.Exit(LOOK if faults else GRADED)
