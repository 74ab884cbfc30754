"""The options that several verbs share, with what they accept and what a shell completes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from grader.cli import completion
from grader.cli.refusals import existing, isolation_of, seed_of

ISOLATIONS = ("bubblewrap", "container", "user", "none")  # those of `grader.sandbox.isolation.backend_named`
EXECUTORS = ("local", "slurm")
ON_GRADESCOPE = ("bubblewrap", "user", "none")
OUTPUT = "Output"  # the heading of the options that say what is shown
GRADEBOOK = "Gradebooks (kept for later runs of the same class)"

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
        rich_help_panel=GRADEBOOK,
    ),
]
HoldProvisional = Annotated[
    bool | None,
    typer.Option(
        "--hold-provisional/--show-provisional",
        help="leave out points that a person must still look at, or give them out (at first)",
        rich_help_panel=GRADEBOOK,
    ),
]
UploadPartial = Annotated[
    bool | None,
    typer.Option(
        "--upload-partial/--no-upload-partial",
        help="of a class that was not graded in full, also write the files for Canvas, Moodle and the others",
        rich_help_panel=GRADEBOOK,
    ),
]


def parts_wanted(parts: list[str] | None, *, components_only: bool) -> tuple[str, ...] | None:
    """The parts to train; None: all of them, (): none.

    Raises:
        GraderError: where both are asked for.
    """
    from grader.errors import GraderError

    if parts and components_only:
        raise GraderError("--parts: names parts to train, but --components-only trains none; give one of them")
    return () if components_only else tuple(dict.fromkeys(parts)) if parts else None
