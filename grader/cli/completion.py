"""Shell completion: names are read from files as text, since loading the grader would take too long for a key press.

A wrong or missing file gives no completions; the command itself reports the error.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import typer

from grader.store.course import course_folder

CORPUS = course_folder() / "corpus"
KINDS = ("honest", "wrong")  # the solutions of an audit, beside the reference
_ENTRY = re.compile(r"^([a-z][a-z0-9_]*):", re.MULTILINE)
_EXTENDS = re.compile(r"^extends:[ \t]*[\"']?([^\"'#\n]+?)[\"']?[ \t]*(?:#.*)?$", re.MULTILINE)
_POINTS = re.compile(r"^points:[ \t]*\{([^}\n]*)\}", re.MULTILINE)


def parts_of(context: typer.Context) -> list[str]:
    """The parts of the exercise, from the rubric of this command line."""
    points = _POINTS.search(rubric_text(Path(context.params.get("rubric") or "rubric.yaml")))
    return [part.partition(":")[0].strip() for part in points[1].split(",")] if points else []


def rubric_text(path: Path) -> str:
    """The text of the rubric and of the rubric that it extends; empty if it cannot be read."""
    try:
        other = extended(path)
        return path.read_text(encoding="utf-8") + (other.read_text(encoding="utf-8") if other else "")
    except (OSError, UnicodeDecodeError):
        return ""


def extended(path: Path) -> Path | None:
    """The rubric that this one extends.

    Raises:
        OSError: if the file cannot be read.
    """
    line = _EXTENDS.search(path.read_text(encoding="utf-8", errors="replace"))
    return path.parent / line[1].strip() if line else None


def solutions() -> list[tuple[str, str]]:
    """The values of `audit --only`, each with its description."""
    return [("reference", "the reference itself"), *_entries()]


def numbers(context: typer.Context) -> list[tuple[str, str]]:
    """The values of `regrade --set`: each number of a check in the rubric of this command line, with its value."""
    import yaml  # takes milliseconds, and only for this option: anchors and blocks need a parser

    try:
        path = Path(context.params.get("rubric") or "rubric.yaml")
        rubrics = [yaml.safe_load(file.read_bytes()) for file in (path, extended(path)) if file]
        items = next(rubric["items"] for rubric in rubrics if "items" in rubric)
        return [
            (f"{item['id']}.{check}.{name}=", f"now {value}")
            for item in items
            for check, entry in item["checks"].items()
            for name, value in entry.items()
            if name != "points" and isinstance(value, int | float)
        ]
    except (OSError, StopIteration, KeyError, TypeError, AttributeError, yaml.YAMLError):
        return []


def submissions(context: typer.Context) -> list[str]:
    """The submissions of the class on this command line."""
    folder = context.params.get("out") or next(iter(context.args), "")  # not parsed yet while an option lacks its value
    try:
        return sorted(entry.name for entry in (Path(folder) / "submissions").iterdir() if entry.is_dir())
    except OSError:
        return []


def _entries() -> Iterator[tuple[str, str]]:
    for path in sorted(path for kind in KINDS for path in (CORPUS / kind).glob("*.yaml")):
        text = path.read_text(encoding="utf-8")
        for entry in _ENTRY.finditer(text):
            story = re.compile(r"\s*story: *(.*)").match(text, entry.end())
            yield entry[1], story[1] if story else ""
