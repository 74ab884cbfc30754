"""The commands, in the order and under the headings in which help shows them."""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from grader.cli import classes, commands, completion, own_course
from grader.store.course import RUBRIC, usual_rubric

MODULE = "python -m grader"
VERBS: dict[str, dict[str, Callable[..., None]]] = {
    "One notebook": {"grade": commands.grade, "check": commands.check},
    "A class": {
        "grade-class": classes.grade_class,
        "regrade": classes.regrade,
        "release": classes.release,
        "history": classes.history,
    },
    "Stored data of a class": {"prune": classes.prune, "forget": classes.forget, "export": classes.export},
    "This machine and Gradescope": {"doctor": commands.doctor, "gradescope": commands.gradescope},
    "Your own course": {
        "init": own_course.init,
        "practice": own_course.practice,
        "new-exercise": own_course.new_exercise,
    },
    "Testing the rubric": {"audit": commands.audit, "calibrate": commands.calibrate},
}
SETTINGS = {"help_option_names": ["-h", "--help"]}
EXIT_CODES = """Exit codes:
  0  graded
  1  graded, but at least one submission needs your attention
  2  not graded; one line says why
  make exits with 2 for both 1 and 2"""
WITH_EXIT_CODES = {"grade", "check", "grade-class", "regrade"}
EPILOG = f"""{EXIT_CODES}

Tab completion:
  .venv/bin/python -m pip install --no-deps -e .
     installs the command vae-grader into .venv/bin
  .venv/bin/vae-grader --install-completion
     completes commands, options and names in your shell

Colours:
  off with NO_COLOR=1, TERM=dumb or in a pipe; always on with FORCE_COLOR=1"""


def command(name: str = MODULE) -> Any:
    """The command line as typer's own command object, whose type is not public; `name` is shown as the program."""
    app = typer.Typer(rich_markup_mode="rich", pretty_exceptions_enable=False, context_settings=SETTINGS)
    app.callback(subcommand_metavar="COMMAND ...", epilog=EPILOG)(_grader)
    for heading, verbs in VERBS.items():
        for verb, run in verbs.items():
            text = _help_of(run).replace(MODULE, name)
            epilog = EXIT_CODES if verb in WITH_EXIT_CODES else None
            app.command(verb, help=text, epilog=epilog, rich_help_panel=heading, context_settings=SETTINGS)(run)
    group: Any = typer.main.get_command(app)
    for verb in (group, *group.commands.values()):
        for param in verb.params:
            if getattr(param, "is_flag", False):
                param.metavar = ""  # else help shows a value, but flags take none
        verb.get_help_option(typer.Context(verb, help_option_names=SETTINGS["help_option_names"])).metavar = ""
    return group


def _help_of(run: Callable[..., None]) -> str:
    """The docstring with each paragraph on one line, to be wrapped when shown; examples keep their lines."""
    paragraphs = inspect.cleandoc(run.__doc__ or "").split("\n\n")
    return "\n\n".join(text if "\n  " in text else text.replace("\n", " ") for text in paragraphs)


def _version(asked: bool) -> None:
    """Prints the versions and checksums that must be equal for two grades to be comparable, as in reports."""
    if asked:
        from grader.store.versions import grader_checksum, versions

        rows = {**versions(), "grader's files": grader_checksum(), RUBRIC: _rubric_checksum(usual_rubric())}
        width = max(map(len, rows))
        for name, value in rows.items():
            typer.echo(f"{name:{width}}  {value}")
        raise typer.Exit


def _rubric_checksum(path: Path) -> str:
    """The SHA-256 of the rubric and the rubric that it extends, as in `grader.rubric`, without its imports."""
    try:
        data = path.read_bytes()
        other = completion.extended(path)
        return hashlib.sha256(data + b"\0" + other.read_bytes() if other else data).hexdigest()
    except OSError as error:
        return f"cannot be read here ({error.strerror})"


def _grader(
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            help="show the versions and checksums that a grade depends on",
            is_eager=True,
            callback=_version,
        ),
    ] = False,
) -> None:
    """Grades notebooks; student code runs isolated from the code that grades it.

    COMMAND --help shows the options and examples of a command.
    """
