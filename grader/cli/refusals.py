"""What the command line refuses before it loads anything: unknown names and missing files, each with the nearest."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from itertools import islice
from pathlib import Path
from typing import Any

from grader.errors import GraderError

MOST = 5000  # names of a folder that are looked at
LONGEST = 160  # characters of a hint; a longer one would be a whole folder
RUBRIC = "rubric.yaml"
_TRY = "python -m grader regrade DIR --dry-run --set CHANGE"
MOVED = {"--what-if": _TRY, "--graded": _TRY}  # options that were, and what is said instead


def one_of(what: str, name: str, known: Collection[str]) -> str:
    """The name.

    Raises:
        GraderError: where it is not known, with the nearest that is.
    """
    if name not in known:
        raise GraderError(f"{what} {name[:40]!r}: unknown{_nearest(name, known)}")
    return name


def isolation_of(name: str, known: Collection[str]) -> str:
    """The name, likewise; `none` is named only among all, for nobody should come to it by a slip of the pen."""
    if name not in known and "did you mean" in (hint := _nearest(name, set(known) - {"none"})):
        raise GraderError(f"--isolation {name[:40]!r}: unknown{hint}")
    if name not in known:
        raise GraderError(f"--isolation {name[:40]!r}: unknown; expected one of {', '.join(known)}")
    return name


def existing(path: Path | None) -> Path | None:
    """The path, or None where none was given.

    Raises:
        GraderError: where nothing lies there, with the nearest name in the last of its folders that exists.
    """
    if path is None or path.exists():
        return path
    if path == Path(RUBRIC):
        raise GraderError(f"{RUBRIC}: no such file; run this in the folder that holds it, or give --rubric PATH")
    lost = path
    while not lost.parent.exists() and lost != lost.parent:
        lost = lost.parent
    what = "file" if lost == path else f"folder as {lost}"
    raise GraderError(f"{path}: no such {what}{_in_folder(lost)}")


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
    told = error.format_message().strip().rstrip(".")
    return f"{told[:1].lower()}{told[1:]}; see {path} --help"


def _nearest_option(option: str, command: Any) -> str:
    """A hint: the nearest option of the verb; before a verb, where the option belongs."""
    known = [name for param in command.params for name in (*param.opts, *param.secondary_opts) if name[:1] == "-"]
    for name, verb in getattr(command, "commands", {}).items():
        if any(option in param.opts for param in verb.params):
            return f"; it goes after the verb, for instance after {name}"
    return _nearest(option, [*known, "--help"])


def _in_folder(lost: Path) -> str:
    """A hint: the name beside the lost one that is most like it, or all of a few."""
    try:
        beside = sorted(entry.name for entry in islice(lost.parent.iterdir(), MOST) if entry.name[:1] != ".")
    except OSError:
        return ""
    hint = _nearest(lost.name, beside) if beside else "; the folder is empty"
    return hint if len(hint) <= LONGEST else ""


def _nearest(name: str, known: Iterable[str]) -> str:
    from grader.errors import nearest  # its package loads much; only a refusal needs it

    return nearest(name, known)
