"""Runs the command line and turns every error into one line and exit code 2."""

from __future__ import annotations

import atexit
import contextlib
import os
import sys
from pathlib import Path
from typing import NoReturn

from grader.cli.exit_codes import NOT_GRADED
from grader.errors import GraderError

WRITING = {"init", "practice", "new-exercise"}  # commands that grade nothing: without their files, they say so
INTERRUPTED = 130  # typer's exit code for Ctrl-C
_STOPPED = "interrupted; finished work is kept, and the same command continues from there"


def main() -> None:
    """Runs the command line and exits."""
    try:
        code = _run(sys.argv[1:])
    except GraderError as error:
        _not_graded(str(error))
    except KeyboardInterrupt:
        _not_graded(_STOPPED)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        _not_graded(f"{where}{error.strerror or error}; free disk space or fix the permissions, and run it again")
    except Exception as error:  # Python's own exit code would be 1, which means graded
        if os.environ.get("VAE_GRADER_TRACEBACK"):
            raise
        what = f"{type(error).__name__}: {error}"
        _not_graded(f"grader fault, not the submission's: {what}; set VAE_GRADER_TRACEBACK=1 to see where")
    if code == INTERRUPTED:
        _not_graded(_STOPPED)
    sys.exit(code)


def program() -> None:
    """Runs the command line and ends the process without the slow clean-up of large libraries.

    Raises:
        SystemExit: if no large library is loaded, or the output cannot be flushed; Python then ends as usual.
    """
    try:
        main()
    except SystemExit as stop:
        if "numpy" in sys.modules and isinstance(stop.code, int):
            atexit._run_exitfuncs()
            with contextlib.suppress(OSError):
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(stop.code)
        raise


def _run(line: list[str]) -> int:
    """Runs the command and returns its exit code.

    Raises:
        GraderError: for a command line that cannot be parsed, or from the command.
    """
    import typer

    from grader.cli.app import command
    from grader.cli.options import one_of, usage_line

    arguments = [*line[1:], "--help"] if line[:1] == ["help"] else line or ["--help"]
    name = _called(line)
    verbs = command(name)
    if not arguments[0].startswith("-"):
        one_of("command", arguments[0], verbs.commands)
    try:
        code = verbs.main(arguments, name, standalone_mode=False)
    except typer.TyperException as error:
        raise GraderError(usage_line(error)) from None
    if not line:
        return NOT_GRADED  # a script may have called it with an empty variable
    return code if isinstance(code, int) else 0


def _called(line: list[str]) -> str:
    """The program's name as the user typed it; for setting up completion, the installed command."""
    from grader.cli.app import MODULE
    from grader.cli.options import INSTALLED

    sets_completion = any(argument.endswith("-completion") for argument in line[:1])
    return INSTALLED if sets_completion or Path(sys.argv[0]).name == INSTALLED else MODULE


def _not_graded(reason: str) -> NoReturn:
    from grader.report.text import plain

    outcome = "not written" if WRITING.intersection(sys.argv[1:2]) else "not graded"
    with contextlib.suppress(OSError):
        print(f"{outcome}: {plain(reason, 600)}", file=sys.stderr)
    sys.exit(NOT_GRADED)
