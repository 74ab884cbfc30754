"""Where the command line starts and ends: whatever goes wrong becomes one line and exit code 2."""

from __future__ import annotations

import atexit
import contextlib
import os
import sys
from pathlib import Path
from typing import NoReturn

from grader.errors import GraderError

NOT_GRADED = 2
INTERRUPTED = 130  # what typer makes of Ctrl-C
INSTALLED = "vae-grader"  # what installing the package puts on the PATH; shells complete commands, not modules
MODULE = "python -m grader"


def main() -> None:
    """Runs the command line and exits."""
    try:
        code = _run(sys.argv[1:])
    except GraderError as error:
        _not_graded(str(error))
    except KeyboardInterrupt:
        _not_graded("interrupted; what was finished is kept, and the same command goes on from there")
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        _not_graded(f"{where}{error.strerror or error}; no points were given; make room or rights, and grade again")
    except Exception as error:  # whatever it is, exit code 1 would say that there is a grade
        if os.environ.get("VAE_GRADER_TRACEBACK"):
            raise
        what = f"{type(error).__name__}: {error}"
        _not_graded(f"a fault of the grader's own, not the submission's: {what}; VAE_GRADER_TRACEBACK=1 shows where")
    if code == INTERRUPTED:
        _not_graded("interrupted; what was finished is kept, and the same command goes on from there")
    sys.exit(code)


def program() -> None:
    """Runs the command line and ends the process, without a moment spent on taking large libraries apart.

    Raises:
        SystemExit: where none is loaded, or nobody listens any more: the interpreter says so in its own way.
    """
    try:
        main()
    except SystemExit as ended:
        if "numpy" in sys.modules and isinstance(ended.code, int):
            atexit._run_exitfuncs()
            with contextlib.suppress(OSError):
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(ended.code)
        raise


def _run(given: list[str]) -> int:
    """The verb has run; returns the exit code.

    Raises:
        GraderError: for a line that cannot be understood, and whatever the verb raises.
    """
    import typer

    from grader.cli.app import command
    from grader.cli.refusals import usage_line
    from grader.cli.screen import help_in_colours

    arguments = [*given[1:], "--help"] if given[:1] == ["help"] else given or ["--help"]
    try:
        ended = command().main(arguments, _called(given), standalone_mode=False, color=help_in_colours())
    except typer.TyperException as error:
        raise GraderError(usage_line(error)) from None
    if not given:
        return NOT_GRADED  # a script whose variable was empty has graded nothing
    return ended if isinstance(ended, int) else 0


def _called(given: list[str]) -> str:
    """The command as the user calls it, for help; where completion is set up, the one that shells can complete."""
    wants_completion = any(argument.endswith("-completion") for argument in given[:1])
    return INSTALLED if wants_completion or Path(sys.argv[0]).name == INSTALLED else MODULE


def _not_graded(reason: str) -> NoReturn:
    from grader.report.text import plain

    with contextlib.suppress(OSError):
        print(f"not graded: {plain(reason, 600)}", file=sys.stderr)
    sys.exit(NOT_GRADED)
