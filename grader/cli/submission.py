"""The verbs for one submission: grade and check."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from grader.cli import options
from grader.cli.options import ComponentsOnly, Isolation, Json, Parts, Quiet, Seed
from grader.cli.outcome import GRADED, LOOK
from grader.cli.refusals import existing
from grader.cli.screen import Screen

Submission = Annotated[
    Path, typer.Argument(help="the notebook, for instance reference/vae_mnist.ipynb", callback=existing)
]
Out = Annotated[
    Path | None, typer.Option(help="the run's folder; runs/<name of the notebook> if not given", metavar="PATH")
]


def grade(
    submission: Submission,
    rubric: options.Rubric = Path("rubric.yaml"),
    out: Out = None,
    seed: Seed = None,
    components_only: ComponentsOnly = False,
    parts: Parts = None,
    isolation: Isolation = "bubblewrap",
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
    _grade(submission, rubric, out, seed, wanted, isolation, Screen(quiet, json))


def check(
    submission: Submission,
    rubric: options.Rubric = Path("rubric.yaml"),
    out: Out = None,
    seed: Seed = None,
    isolation: Isolation = "bubblewrap",
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Tries one notebook's code alone, without training.

    Ten seconds. What needs training is left out of the points. The output is that of grade.

    Examples:

      python -m grader check x.ipynb

      python -m grader check x.ipynb --quiet
    """
    _grade(submission, rubric, out, seed, (), isolation, Screen(quiet, json))


def _grade(
    submission: Path,
    rubric: Path,
    out: Path | None,
    seed: str | None,
    parts: tuple[str, ...] | None,
    isolation: str,
    screen: Screen,
) -> None:
    from grader.pipeline import Options, grade
    from grader.report.points import of_points
    from grader.report.report_json import report_json
    from grader.report.terminal import print_report

    report, folder = grade(submission, rubric, out, Options(seed=seed, isolation=isolation, parts=parts), screen.say)
    screen.result(
        lambda: report_json(report),
        lambda console: print_report(report, console, folder),
        lambda: of_points(report.points_milli, report.max_points_milli),
    )
    raise typer.Exit(LOOK if report.needs_person else GRADED)
