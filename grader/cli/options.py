"""Options that several commands share, and the checks on them that run before anything is loaded.

The refusal of an unknown name or a missing file suggests the nearest existing one.
"""

from __future__ import annotations

from collections.abc import Collection
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

import typer

from grader.cli import completion
from grader.errors import GraderError, nearest
from grader.store.course import RUBRIC, usual_rubric

ISOLATIONS = ("bubblewrap", "container", "user", "none")  # those of `grader.sandbox.isolation.backend_named`
INSTALLED = "vae-grader"  # the installed command; shells complete commands, not modules
EXECUTORS = ("local", "slurm")
OUTPUT = "Output"  # the heading of the options for the output
GRADEBOOK = "Gradebooks (remembered for later runs of the class)"
WHO_GETS = "Points in gradebooks (remembered too)"

MOST = 5000  # names in a folder that are compared with a missing one
LONGEST = 160  # characters of a hint; a longer one would list a whole folder
_TRY = "python -m grader regrade DIR --dry-run --set CHANGE"
MOVED = {"--what-if": _TRY, "--graded": _TRY}  # removed options, and what replaces them


def one_of(what: str, name: str, names: Collection[str]) -> str:
    """Returns the name.

    Raises:
        GraderError: if it is not one of the names; the message suggests the nearest.
    """
    if name not in names:
        raise GraderError(f"{what} {name[:40]!r}: unknown{nearest(name, names)}")
    return name


def isolation_of(name: str, names: Collection[str]) -> str:
    """Returns the name of an isolation, as `one_of` does; `none` is never suggested for a misspelt name."""
    if name not in names and "did you mean" in (hint := nearest(name, set(names) - {"none"})):
        raise GraderError(f"--isolation {name[:40]!r}: unknown{hint}")
    if name not in names:
        raise GraderError(f"--isolation {name[:40]!r}: unknown; expected one of {', '.join(names)}")
    return name


def existing(path: Path | None) -> Path | None:
    """Returns the path, or None if none was given; for a missing `rubric.yaml`, the course's own rubric.

    Raises:
        GraderError: if the path does not exist; the message suggests the nearest name that does.
    """
    if path is None or path.exists():
        return path
    if path == Path(RUBRIC) and (usual := usual_rubric()).exists():  # an installed grader includes the course
        return usual
    missing = path
    while not missing.parent.exists() and missing != missing.parent:
        missing = missing.parent
    what = "file" if missing == path else f"folder as {missing}"
    raise GraderError(f"{path}: no such {what}{_in_folder(missing)}")


def seed_of(text: str | None) -> str | None:
    """Returns the seed, or None if none was given.

    Raises:
        GraderError: if it is not 32 hexadecimal digits.
    """
    if text is not None and (len(text) != 32 or any(digit not in "0123456789abcdef" for digit in text)):
        raise GraderError(f"--seed: expected the 32 hexadecimal digits from a report, got {text[:40]!r}")
    return text


def usage_line(error: Any) -> str:
    """Typer's message about a wrong command line, in our form. Typer's own types are not public, hence `Any`."""
    context = getattr(error, "ctx", None)
    path = context.command_path if context is not None else "python -m grader"
    option = getattr(error, "option_name", None)
    if option is not None and hasattr(error, "possibilities") and context is not None:
        if option in MOVED:
            return f"{option}: was removed; use {MOVED[option]}"
        return f"{option}: no such option of {path}{_nearest_option(option, context.command)}"
    message = error.format_message().strip().rstrip(".")
    return f"{message[:1].lower()}{message[1:]}; see {path} --help"


def _nearest_option(option: str, command: Any) -> str:
    """A hint: the nearest option of the command, or where an option before the command belongs."""
    options = [name for param in command.params for name in (*param.opts, *param.secondary_opts) if name[:1] == "-"]
    for name, verb in getattr(command, "commands", {}).items():
        if any(option in param.opts for param in verb.params):
            return f"; put it after the command, e.g. after {name}"
    return nearest(option, [*options, "--help"])


def _in_folder(missing: Path) -> str:
    """A hint: the most similar name in the folder, or all names if there are few."""
    try:
        neighbours = sorted(entry.name for entry in islice(missing.parent.iterdir(), MOST) if entry.name[:1] != ".")
    except OSError:
        return ""
    hint = nearest(missing.name, neighbours) if neighbours else "; the folder is empty"
    return hint if len(hint) <= LONGEST else ""


_isolation = typer.Option(
    help="how student code is isolated: bubblewrap, container, user (if namespaces are forbidden), or none",
    metavar="NAME",
    callback=lambda name: isolation_of(name, ISOLATIONS),
    autocompletion=lambda: list(ISOLATIONS),
)
Rubric = Annotated[Path, typer.Option(help="the rubric", metavar="PATH", callback=existing)]
OtherRubric = Annotated[
    Path | None,
    typer.Option(
        "--rubric", help="the rubric (default: the one of the last grading)", metavar="PATH", callback=existing
    ),
]
ClassRubric = Annotated[
    Path | None,
    typer.Option(
        "--rubric",
        help="the rubric (default: the one of the class's last grading, else rubric.yaml)",
        metavar="PATH",
        callback=existing,
    ),
]
Isolation = Annotated[str, _isolation]
Seed = Annotated[
    str | None,
    typer.Option(
        help="32 hexadecimal digits from a report, to repeat its test inputs (default: random)",
        metavar="HEX",
        callback=seed_of,
    ),
]
Parts = Annotated[
    list[str] | None,
    typer.Option(
        help="a part to train, e.g. vae; repeatable (default: all)",
        metavar="PART",
        autocompletion=completion.parts_of,
    ),
]
ComponentsOnly = Annotated[bool, typer.Option("--components-only", help="grade without training, as check does")]
Replace = Annotated[
    bool, typer.Option("--replace", help="allow replacing a more complete run, or the run of another notebook")
]
Jobs = Annotated[int, typer.Option(min=1, help="number of processes", metavar="N")]
Quiet = Annotated[
    bool, typer.Option("--quiet", "-q", help="print only the last line and errors", rich_help_panel=OUTPUT)
]
Json = Annotated[
    bool, typer.Option("--json", help="print only the result, as JSON, to standard output", rich_help_panel=OUTPUT)
]
Assignment = Annotated[
    str | None,
    typer.Option(
        help="the exercise's name in the course system (default: the rubric's title)",
        metavar="NAME",
        rich_help_panel=GRADEBOOK,
    ),
]
CanvasId = Annotated[
    str | None,
    typer.Option(
        "--canvas-assignment-id",
        help="the number at the end of the exercise's address in Canvas (default: from the roster)",
        metavar="N",
        rich_help_panel=GRADEBOOK,
    ),
]
MissingIsZero = Annotated[
    bool | None,
    typer.Option(
        "--missing-is-zero/--missing-is-empty",
        help="students without a submission: 0 points, or none, which means no row in the Canvas and Moodle files and"
        " an empty cell in the others (default: none)",
        rich_help_panel=WHO_GETS,
    ),
]
HoldProvisional = Annotated[
    bool | None,
    typer.Option(
        "--hold-provisional/--show-provisional",
        help="points that need manual review: leave out or include (default: include)",
        rich_help_panel=WHO_GETS,
    ),
]
UploadPartial = Annotated[
    bool | None,
    typer.Option(
        "--upload-partial/--no-upload-partial",
        help="also write the files for Canvas, Moodle etc. if the class was not graded in full (default: no)",
        rich_help_panel=WHO_GETS,
    ),
]


def parts_to_train(parts: list[str] | None, *, components_only: bool) -> tuple[str, ...] | None:
    """The parts to train; None: all of them, (): none.

    Raises:
        GraderError: if both options are given.
    """
    if parts and components_only:
        raise GraderError("--parts: cannot be combined with --components-only, which trains nothing; remove one")
    return () if components_only else tuple(dict.fromkeys(parts)) if parts else None
