"""The verbs for where grading happens: doctor for this machine, gradescope for the platform."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from grader.cli import options, outcome
from grader.cli.options import ON_GRADESCOPE, Isolation, Json, Quiet
from grader.cli.outcome import GRADED, NOT_GRADED
from grader.cli.refusals import isolation_of
from grader.cli.screen import Screen

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
    from grader.doctor.promises import State, show, verdict

    found = examine(rubric, isolation, screen.say)
    screen.result(lambda: outcome.doctor_values(found), lambda console: show(found, console), lambda: verdict(found))
    raise typer.Exit(NOT_GRADED if any(one.state is State.BROKEN for one in found) else GRADED)


def gradescope(
    rubric: options.Rubric = Path("rubric.yaml"),
    out: Annotated[Path, typer.Option(help="the zip to upload", metavar="PATH")] = Path(
        "runs/gradescope/autograder.zip"
    ),
    isolation: Annotated[str, _isolation] = "bubblewrap",
    pip_options: Annotated[
        str, typer.Option(help="for pip at set-up, for instance where a CPU build lies", metavar="TEXT")
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

    bundle = write_bundle(rubric, out, isolation=isolation, pip_options=pip_options, say=screen.say)
    typer.echo(f"{bundle.path}: {bundle.size / 1e6:.1f} MB, {len(bundle.files)} files")
