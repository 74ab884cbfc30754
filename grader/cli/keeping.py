"""The verbs for what is kept of a class: prune, forget and export."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from grader.cli import completion, outcome
from grader.cli.options import Json, Quiet
from grader.cli.outcome import GRADED, LOOK
from grader.cli.refusals import existing
from grader.cli.screen import Screen

if TYPE_CHECKING:
    from rich.console import Console

Out = Annotated[Path, typer.Argument(help="a class's folder", callback=existing)]


def prune(out: Out, quiet: Quiet = False, json: Json = False) -> None:
    """Removes the evidence of a class, nine tenths of what it takes on the disk; points and pages stay.

    It can still be judged again under other points and thresholds of quality; what would need the evidence says so.

    Examples:

      python -m grader prune runs/submissions
    """
    screen = Screen(quiet, json)
    from grader.batch.prune import prune_class

    made = prune_class(out, screen.say)
    for line in made.left:
        screen.wrong(line)
    last = f"{made.count} runs pruned, {made.freed_bytes / 1e6:.0f} MB freed"
    screen.result(lambda: outcome.prune_values(out, made), lambda _: print(last), lambda: last)
    raise typer.Exit(LOOK if made.left else GRADED)


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
    from grader.batch.forget import forget as forgotten

    made = forgotten(out, student)
    last = f"forgotten; the history says {made.pseudonym}"

    def show(_: Console) -> None:
        from grader.report.plain import plain

        for line in made.left:
            print(f"still there: {plain(line, 300)}")
        print(last)

    values = {"out": str(out), "pseudonym": made.pseudonym, "left": list(made.left)}
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
    from grader.batch.anonymous import export_anonymous
    from grader.errors import GraderError

    if not anonymous:
        raise GraderError("export: say --anonymous; with names, the class's folder itself is what there is")
    files = [str(path) for path in export_anonymous(out, to)]
    Screen(quiet, json).result(
        lambda: {"files": files}, lambda _: print("\n".join(files)), lambda: f"{len(files)} files in {to}"
    )
