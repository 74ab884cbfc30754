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
    except SystemExit as stop:
        if "numpy" in sys.modules and isinstance(stop.code, int):
            atexit._run_exitfuncs()
            with contextlib.suppress(OSError):
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(stop.code)
        raise


def _run(line: list[str]) -> int:
    """The verb has run; returns the exit code.

    Raises:
        GraderError: for a line that cannot be understood, and whatever the verb raises.
    """
    import typer

    from grader.cli.app import command
    from grader.cli.options import one_of, usage_line

    arguments = [*line[1:], "--help"] if line[:1] == ["help"] else line or ["--help"]
    name = _called(line)
    verbs = command(name)
    if not arguments[0].startswith("-"):
        one_of("verb", arguments[0], verbs.commands)
    try:
        code = verbs.main(arguments, name, standalone_mode=False)
    except typer.TyperException as error:
        raise GraderError(usage_line(error)) from None
    if not line:
        return NOT_GRADED  # a script whose variable was empty has graded nothing
    return code if isinstance(code, int) else 0


def _called(line: list[str]) -> str:
    """The command as the user calls it, for help; where completion is set up, the one that shells can complete."""
    from grader.cli.app import MODULE
    from grader.cli.options import INSTALLED

    sets_completion = any(argument.endswith("-completion") for argument in line[:1])
    return INSTALLED if sets_completion or Path(sys.argv[0]).name == INSTALLED else MODULE


def _not_graded(reason: str) -> NoReturn:
    from grader.report.text import plain

    with contextlib.suppress(OSError):
        print(f"not graded: {plain(reason, 600)}", file=sys.stderr)
    sys.exit(NOT_GRADED)
