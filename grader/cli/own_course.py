"""The commands for your own course: its files to change, a practice class, another exercise."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from grader.cli import completion
from grader.cli.exit_codes import NOT_GRADED
from grader.cli.options import INSTALLED
from grader.errors import GraderError

Folder = Annotated[Path, typer.Argument(help="the folder to write into", metavar="DIR")]


def init(folder: Folder) -> None:
    """Copies the rubric, reference and template into a folder, for you to change.

    Every command uses the changed rubric with --rubric, or by default when run in that folder.

    Examples:
      python -m grader init course
      python -m grader grade submission.ipynb --rubric course/rubric.yaml
    """
    from grader.store.course import RUBRIC, write_course

    with _one_line_where_not_written():
        for path in write_course(folder):
            typer.echo(path)
    typer.echo(f"Try it: {_called()} grade {folder / 'reference' / 'vae_mnist.ipynb'} --rubric {folder / RUBRIC}")


def practice(
    folder: Folder,
    names: Annotated[
        list[str] | None,
        typer.Argument(
            help="solutions of the corpus (default: the practice class)",
            metavar="[NAME]...",
            autocompletion=completion.solutions,
        ),
    ] = None,
) -> None:
    """Writes a practice class: correct, wrong and unfinished notebooks, and a file that is not a notebook.

    Examples:
      python -m grader practice practice
      python -m grader practice build/two kl_without_log deep_and_narrow
    """
    from grader.audit.practice import write_class, write_solutions

    with _one_line_where_not_written():
        for path in write_solutions(folder, names) if names else write_class(folder):
            typer.echo(path)


def new_exercise(
    name: Annotated[str, typer.Argument(help="the name of the package, e.g. two_numbers", metavar="NAME")],
    into: Annotated[Path, typer.Option(help="the folder to write into (default: this one)", metavar="DIR")] = Path(),
) -> None:
    """Writes a new exercise that works, for you to change: code, rubric, reference and template.

    In the project's folder, the code is written to grader/exercises/NAME/, and the other files to exercises/NAME/.
    In any other folder, NAME/ holds all of them, with the code in NAME/NAME/ and the limits of a run in limits.yaml.

    Examples:
      python -m grader new-exercise two_numbers
      python -m grader new-exercise two_numbers --into course
    """
    from grader.skeleton.write import write_skeleton

    with _one_line_where_not_written():
        paths = write_skeleton(into, name)
    for path in paths:
        typer.echo(path)
    course = paths[0].parent
    typer.echo(f"Try it: {_called()} grade {course / 'reference.ipynb'} --rubric {course / 'rubric.yaml'}")


@contextlib.contextmanager
def _one_line_where_not_written() -> Iterator[None]:
    try:
        yield
    except GraderError as error:
        print(f"not written: {error}", file=sys.stderr)
        raise typer.Exit(NOT_GRADED) from None
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        print(f"not written: {where}{error.strerror or error}", file=sys.stderr)
        raise typer.Exit(NOT_GRADED) from None


def _called() -> str:
    """The command as the user typed it."""
    return INSTALLED if Path(sys.argv[0]).name == INSTALLED else ".venv/bin/python -m grader"
