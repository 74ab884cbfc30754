"""The options that several verbs share, what they accept, and what is refused before anything is loaded.

An unknown name or a missing file is refused with the nearest that there is.
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
INSTALLED = "vae-grader"  # what installing the package puts on the PATH; shells complete commands, not modules
EXECUTORS = ("local", "slurm")
ON_GRADESCOPE = ("bubblewrap", "user", "none")
OUTPUT = "Output"  # the heading of the options that say what is shown
GRADEBOOK = "Gradebooks (kept for later runs of the same class)"
WHO_GETS = "Who gets points in gradebooks (kept, too)"

MOST = 5000  # names of a folder that are looked at
LONGEST = 160  # characters of a hint; a longer one would be a whole folder
_TRY = "python -m grader regrade DIR --dry-run --set CHANGE"
MOVED = {"--what-if": _TRY, "--graded": _TRY}  # options that were, and what is said instead


def one_of(what: str, name: str, names: Collection[str]) -> str:
    """The name.

    Raises:
        GraderError: where it is none of the names, with the nearest that is.
    """
    if name not in names:
        raise GraderError(f"{what} {name[:40]!r}: unknown{nearest(name, names)}")
    return name


def isolation_of(name: str, names: Collection[str]) -> str:
    """The name of an isolation, as `one_of` does; `none` is never suggested as a correction of a misspelt name."""
    if name not in names and "did you mean" in (hint := nearest(name, set(names) - {"none"})):
        raise GraderError(f"--isolation {name[:40]!r}: unknown{hint}")
    if name not in names:
        raise GraderError(f"--isolation {name[:40]!r}: unknown; expected one of {', '.join(names)}")
    return name


def existing(path: Path | None) -> Path | None:
    """The path, or None where none was given; for `rubric.yaml`, where there is none, the course's own.

    Raises:
        GraderError: where nothing lies there, with the nearest name in the last of its folders that exists.
    """
    if path is None or path.exists():
        return path
    if path == Path(RUBRIC) and (usual := usual_rubric()).exists():  # an installed grader brings the course along
        return usual
    missing = path
    while not missing.parent.exists() and missing != missing.parent:
        missing = missing.parent
    what = "file" if missing == path else f"folder as {missing}"
    raise GraderError(f"{path}: no such {what}{_in_folder(missing)}")


def seed_of(text: str | None) -> str | None:
    """The seed, or None where none was given.

    Raises:
        GraderError: for something else than 32 hexadecimal digits.
    """
    if text is not None and (len(text) != 32 or any(digit not in "0123456789abcdef" for digit in text)):
        raise GraderError(f"--seed: expected the 32 hexadecimal digits of a report's seed, got {text[:40]!r}")
    return text


def usage_line(error: Any) -> str:
    """What typer says of a line that it cannot read, as one of ours. Its own types are not public, hence `Any`."""
    context = getattr(error, "ctx", None)
    path = context.command_path if context is not None else "python -m grader"
    option = getattr(error, "option_name", None)
    if option is not None and hasattr(error, "possibilities") and context is not None:
        if option in MOVED:
            return f"{option}: no such option any more; say {MOVED[option]}"
        return f"{option}: no such option of {path}{_nearest_option(option, context.command)}"
    message = error.format_message().strip().rstrip(".")
    return f"{message[:1].lower()}{message[1:]}; see {path} --help"


def _nearest_option(option: str, command: Any) -> str:
    """A hint: the nearest option of the verb; before a verb, where the option belongs."""
    options = [name for param in command.params for name in (*param.opts, *param.secondary_opts) if name[:1] == "-"]
    for name, verb in getattr(command, "commands", {}).items():
        if any(option in param.opts for param in verb.params):
            return f"; it goes after the verb, for instance after {name}"
    return nearest(option, [*options, "--help"])


def _in_folder(missing: Path) -> str:
    """A hint: the name beside the missing one that is most like it, or all of a few."""
    try:
        neighbours = sorted(entry.name for entry in islice(missing.parent.iterdir(), MOST) if entry.name[:1] != ".")
    except OSError:
        return ""
    hint = nearest(missing.name, neighbours) if neighbours else "; the folder is empty"
    return hint if len(hint) <= LONGEST else ""


_isolation = typer.Option(
    help="bubblewrap, container, user (where namespaces are forbidden), or none: student code then runs as you",
    metavar="NAME",
    callback=lambda name: isolation_of(name, ISOLATIONS),
    autocompletion=lambda: list(ISOLATIONS),
)
Rubric = Annotated[Path, typer.Option(help="the rubric", metavar="PATH", callback=existing)]
OtherRubric = Annotated[
    Path | None,
    typer.Option("--rubric", help="the rubric; the one of the grading if not given", metavar="PATH", callback=existing),
]
ClassRubric = Annotated[
    Path | None,
    typer.Option(
        "--rubric",
        help="the rubric; that of the class's last grading or regrade, else rubric.yaml",
        metavar="PATH",
        callback=existing,
    ),
]
Isolation = Annotated[str, _isolation]
Seed = Annotated[
    str | None,
    typer.Option(help="a run's seed from its report, to repeat its questions", metavar="HEX", callback=seed_of),
]
Parts = Annotated[
    list[str] | None,
    typer.Option(
        help="a part to train, for instance vae; may be repeated; all if not given",
        metavar="PART",
        autocompletion=completion.parts_of,
    ),
]
ComponentsOnly = Annotated[bool, typer.Option("--components-only", help="no training: code alone, as check does")]
Replace = Annotated[
    bool, typer.Option("--replace", help="let this run take the place of a stronger one, or of another notebook's")
]
Jobs = Annotated[int, typer.Option(min=1, help="processes at once", metavar="N")]
Quiet = Annotated[
    bool, typer.Option("--quiet", "-q", help="only the last line, and what went wrong", rich_help_panel=OUTPUT)
]
Json = Annotated[
    bool, typer.Option("--json", help="the result as JSON on standard output, alone", rich_help_panel=OUTPUT)
]
Assignment = Annotated[
    str | None,
    typer.Option(
        help="its name in the course's system; the rubric's title if empty", metavar="NAME", rich_help_panel=GRADEBOOK
    ),
]
CanvasId = Annotated[
    str | None,
    typer.Option(
        "--canvas-assignment-id",
        help="the number at the end of its address in Canvas",
        metavar="N",
        rich_help_panel=GRADEBOOK,
    ),
]
MissingIsZero = Annotated[
    bool | None,
    typer.Option(
        "--missing-is-zero/--missing-is-empty",
        help="what somebody gets who handed in nothing: 0, or no entry (at first)",
        rich_help_panel=WHO_GETS,
    ),
]
HoldProvisional = Annotated[
    bool | None,
    typer.Option(
        "--hold-provisional/--show-provisional",
        help="leave out points that a person must still look at, or give them out (at first)",
        rich_help_panel=WHO_GETS,
    ),
]
UploadPartial = Annotated[
    bool | None,
    typer.Option(
        "--upload-partial/--no-upload-partial",
        help="of a class that was not graded in full, also write the files for Canvas, Moodle and the others",
        rich_help_panel=WHO_GETS,
    ),
]


def parts_to_train(parts: list[str] | None, *, components_only: bool) -> tuple[str, ...] | None:
    """The parts to train; None: all of them, (): none.

    Raises:
        GraderError: where both are asked for.
    """
    if parts and components_only:
        raise GraderError("--parts: names parts to train, but --components-only trains none; give one of them")
    return () if components_only else tuple(dict.fromkeys(parts)) if parts else None
