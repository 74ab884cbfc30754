"""The grader's own exceptions: one line each, saying what, where, what was expected and what to do."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from pathlib import Path

_READ_AHEAD = 8  # a text is first cut to this many times its limit, which bounds the work


class GraderError(Exception):
    """The base of all errors that the command line prints as one line, with exit code 2."""


class SubmissionError(GraderError):
    """The submission cannot be read as a notebook; nothing was run."""


class RubricError(GraderError):
    """`rubric.yaml` is wrong; nothing was run."""


class ExerciseError(GraderError):
    """An exercise's own package is wrong, for instance one of its checks; nothing was run."""


class BoxError(GraderError):
    """The box could not be built or started, which is never the student's fault."""


class EvidenceError(GraderError):
    """Stored evidence is missing or not what this grader wrote; the notebook must be graded again."""


def one_line(text: str, limit: int = 60) -> str:
    """The text on one printable line of at most `limit` characters."""
    head = text[: _READ_AHEAD * limit]
    line = " ".join("".join(character if character.isprintable() else " " for character in head).split())
    return line if len(line) <= limit and len(head) == len(text) else line[: limit - 3].rstrip() + "..."


def short_path(path: Path, limit: int = 120) -> str:
    """The path for an error message: one printable line of at most `limit` characters."""
    return one_line(str(path), limit)


def nearest(name: str, known: Iterable[str]) -> str:
    """Returns the end of an error message: the most similar known name, or all of them."""
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f"; did you mean {close[0]!r}?" if close else f"; expected one of {', '.join(sorted(known))}"
