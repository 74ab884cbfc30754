"""The verbs that put the rubric on trial: audit and calibrate."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from grader.cli import completion, options, outcome
from grader.cli.options import Jobs, Json, Quiet
from grader.cli.outcome import GRADED, LOOK
from grader.cli.refusals import existing
from grader.cli.screen import Screen

if TYPE_CHECKING:
    from rich.console import Console

RUNS = Path("runs")


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
    what_if: Annotated[
        list[str] | None,
        typer.Option(help="<item>.<check>.<number>=<value>: who would gain or lose; may be repeated", metavar="CHANGE"),
    ] = None,
    graded: Annotated[
        Path, typer.Option(help="with --what-if: the folder of graded submissions", metavar="PATH")
    ] = RUNS,
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
    is trained. With --what-if nothing is tried: graded submissions are judged again with other numbers, from stored
    evidence.

    Examples:

      python -m grader audit --only uniform_prior

      python -m grader audit --full --jobs 8

      python -m grader audit --what-if vae.loss.kl_matches_closed_form.min_cosine=0.99 --graded runs/submissions
    """
    screen = Screen(quiet, json)
    if what_if:
        _what_if(what_if, graded, rubric, out, screen)
        return
    screen.say("the solutions of corpus/ are read")
    from grader.audit import command, table
    from grader.audit.records import summary

    if seeds:
        again = command.audit_seeds(only or [], seeds, rubric, out, jobs, screen.say, full=full)
        count = (again.faults, len(again.found), seeds)
        screen.result(
            lambda: outcome.seeds_values(again),
            lambda console: table.print_seeds(*count, console, again.table),
            lambda: table.seeds_line(*count),
        )
        raise typer.Exit(LOOK if again.faults else GRADED)
    names = command.drawn_pairs(pairs) if pairs else only or []
    tried = command.audit_corpus(names, rubric, out, jobs, screen.say, full=full)
    screen.result(
        lambda: outcome.audit_values(tried),
        lambda console: table.print_audit(tried.audit, console, tried.files),
        lambda: summary(tried.audit),
    )
    raise typer.Exit(GRADED if tried.audit.sound else LOOK)


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


def _what_if(texts: list[str], graded: Path, rubric: Path, out: Path, screen: Screen) -> None:
    """It was shown who would gain or lose what."""
    if graded != RUNS:
        existing(graded)
    screen.say(f"{graded}: looking for graded submissions")
    from grader.audit import command, table

    supposed = command.ask_what_if(texts, graded, rubric, out, screen.say)

    def show(console: Console) -> None:
        table.print_shifts(supposed.shifts, supposed.changes, console)
        console.print(f"File: {supposed.table}", soft_wrap=True, markup=False, highlight=False)

    screen.result(lambda: outcome.what_if_values(supposed), show, lambda: table.shifts_line(supposed.shifts))
