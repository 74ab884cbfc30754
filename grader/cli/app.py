"""The verbs, in the order and under the headings in which help shows them."""

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
    "What is kept of a class": {"prune": classes.prune, "forget": classes.forget, "export": classes.export},
    "This machine and others": {"doctor": commands.doctor, "gradescope": commands.gradescope},
    "A course of your own": {
        "init": own_course.init,
        "practice": own_course.practice,
        "new-exercise": own_course.new_exercise,
    },
    "The rubric on trial": {"audit": commands.audit, "calibrate": commands.calibrate},
}
SETTINGS = {"help_option_names": ["-h", "--help"]}
EPILOG = """Exit codes:
  0  graded
  1  graded, but a person must look
  2  not graded, with one line that says why
  make turns both 1 and 2 into its own 2

Tab completion:
  .venv/bin/python -m pip install --no-deps -e .
     puts the command vae-grader into .venv/bin
  .venv/bin/vae-grader --install-completion
     teaches your shell its verbs, options and names

Colours:
  none with NO_COLOR=1, in a pipe or with TERM=dumb; always with FORCE_COLOR=1"""


def command(name: str = MODULE) -> Any:
    """The whole command line, as typer's own kind of command, whose type is not public; `name` is what calls it."""
    app = typer.Typer(rich_markup_mode="rich", pretty_exceptions_enable=False, context_settings=SETTINGS)
    app.callback(subcommand_metavar="VERB ...", epilog=EPILOG)(_grader)
    for heading, verbs in VERBS.items():
        for verb, run in verbs.items():
            text = _help_of(run).replace(MODULE, name)
            app.command(verb, help=text, rich_help_panel=heading, context_settings=SETTINGS)(run)
    group: Any = typer.main.get_command(app)
    for verb in (group, *group.commands.values()):
        for param in verb.params:
            if getattr(param, "is_flag", False):
                param.metavar = ""  # help would name a value that no flag takes
    return group


def _help_of(run: Callable[..., None]) -> str:
    """The docstring; a paragraph is one line, to be wrapped where it is shown, but examples stay as they are typed."""
    paragraphs = inspect.cleandoc(run.__doc__ or "").split("\n\n")
    return "\n\n".join(text if "\n  " in text else text.replace("\n", " ") for text in paragraphs)


def _version(asked: bool) -> None:
    """Says what must be the same for two grades to be comparable: versions, then the checksums as a report has them."""
    if asked:
        from grader.store.versions import grader_checksum, versions

        rows = {**versions(), "grader's files": grader_checksum(), RUBRIC: _rubric_checksum(usual_rubric())}
        width = max(map(len, rows))
        for name, value in rows.items():
            typer.echo(f"{name:{width}}  {value}")
        raise typer.Exit


def _rubric_checksum(path: Path) -> str:
    """SHA-256 over the rubric and the one that it extends, as `grader.rubric` counts it, without its imports."""
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
            "--version", help="the versions and checksums that matter for a grade", is_eager=True, callback=_version
        ),
    ] = False,
) -> None:
    """Grades notebooks, keeping student code away from the code that grades it. Each verb's --help has examples."""
