"""The verbs for one submission: grade and check."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from grader.cli import options
from grader.cli.options import ComponentsOnly, Isolation, Json, Parts, Quiet, Replace, Seed
from grader.cli.outcome import GRADED, LOOK
from grader.cli.refusals import existing
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
    wanted = options.parts_wanted(parts, components_only=components_only)
    _grade(submission, rubric, out, Screen(quiet, json), seed=seed, parts=wanted, isolation=isolation, replace=replace)


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

    report, folder = grade(submission, rubric, out, Options(**how), screen.say)
    screen.result(
        lambda: report_json(report),
        lambda console: print_report(report, console, folder),
        lambda: judged_points(report),
    )
    raise typer.Exit(LOOK if report.needs_person else GRADED)
