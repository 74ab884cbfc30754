"""Reads a rubric's YAML as data of the right shape; the meaning of its names is checked elsewhere.

`extends: <path>` takes the keys of another rubric; a key of this file replaces the other's value entirely. The other
rubric must not extend a third one.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from grader.errors import RubricError, nearest, one_line
from grader.store.value_problems import place_text, problem_text
from grader.store.yaml_files import UniqueKeyLoader

MAX_BYTES = 1_000_000


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class FileItem(_Strict):
    """One item of the file."""

    id: str = Field(pattern=r"^[a-z][a-z0-9_]*\.[a-z][a-z0-9_]*$")
    title: str
    points: float = Field(gt=0)
    checks: dict[str, dict[str, Any]]


class FileFollowThrough(_Strict):
    """The section `follow_through`."""

    enabled: bool
    max_replaced: int = Field(ge=1)
    share: float = Field(gt=0, le=1)
    min_cost: float = Field(default=0, ge=0)
    min_earned: dict[str, float] = {}


class RubricFile(_Strict):
    """The whole file; `template` and `reference` are relative to its folder."""

    title: str
    exercise: str
    template: str
    earlier_templates: dict[str, dict[str, dict[str, dict[str, Any]]]] = {}  # path -> item -> check -> numbers
    reference: str = ""
    packages: list[str] = []
    points: dict[str, float]
    points_step: float
    limits: dict[str, float]
    sizes: dict[str, int]
    interface: dict[str, Any] = {}
    follow_through: FileFollowThrough | None = None
    items: list[FileItem]


def read_file(path: Path) -> tuple[RubricFile, str]:
    """The file, joined with the one it extends, and a checksum of both.

    Raises:
        RubricError: one line that begins with the name of the file.
    """
    data, content = _parse(path)
    if isinstance(content, dict) and "extends" in content:
        extended, extended_data, base = _read_extended(path, content.pop("extends"))
        if "template" in content:  # another notebook, which has no earlier versions
            base.pop("earlier_templates", None)
        for key in {"template", "reference", "earlier_templates"} - content.keys():  # relative to its own folder
            if isinstance(entry := base.get(key), str):
                content[key] = os.path.relpath(extended.parent / entry, path.parent)
            elif isinstance(entry, dict):
                folder = extended.parent
                content[key] = {
                    os.path.relpath(folder / str(name), path.parent): value for name, value in entry.items()
                }
        if "items" in content and isinstance(section := base.get("follow_through"), dict):
            section.pop("min_earned", None)  # it is about the other rubric's items
        content = {**base, **content}
        data += b"\0" + extended_data
    try:
        return RubricFile.model_validate(content), hashlib.sha256(data).hexdigest()
    except ValidationError as error:
        raise RubricError(f"{path.name}: {_first_problem(error)}") from None


def rubric_files(path: Path) -> tuple[Path, ...]:
    """The file, and the one that it extends.

    Raises:
        RubricError: the file is not readable as YAML.
    """
    _, content = _parse(path)
    extended = content.get("extends") if isinstance(content, dict) else None
    return (path, path.parent / extended) if isinstance(extended, str) else (path,)


def _read_extended(path: Path, reference: object) -> tuple[Path, bytes, dict[str, Any]]:
    """The path, the bytes and the content of the rubric that this one extends."""
    where = f"{path.name}: extends"
    if not isinstance(reference, str) or not reference.endswith(".yaml") or Path(reference).is_absolute():
        raise RubricError(f"{where}: expected another rubric's path relative to this one, got {reference!r:.60}")
    extended = path.parent / reference
    try:
        data, content = _parse(extended)
    except RubricError as error:
        raise RubricError(f"{where}: {error}") from None
    if not isinstance(content, dict):
        raise RubricError(f"{where}: {reference}: expected a rubric, a table of keys")
    if "extends" in content:
        raise RubricError(f"{where}: {reference} extends {content['extends']!r:.60} itself; extend that one instead")
    return extended, data, content


def _parse(path: Path) -> tuple[bytes, Any]:
    try:
        if (size := path.stat().st_size) > MAX_BYTES:
            raise RubricError(
                f"{path.name}: expected at most {MAX_BYTES // 1000} kB, got {size // 1000} kB; is this the rubric?"
            )
        data = path.read_bytes()
        return data, yaml.load(data, Loader=UniqueKeyLoader)
    except OSError as error:
        raise RubricError(f"{path}: cannot be read ({error.strerror}); give the path of a rubric") from None
    except yaml.YAMLError as error:
        mark, problem = getattr(error, "problem_mark", None), getattr(error, "problem", "")
        where = f", line {mark.line + 1}" if mark else ""
        raise RubricError(f"{path.name}{where}: not valid YAML ({one_line(str(problem or error), 100)})") from None


def _first_problem(error: ValidationError) -> str:
    problems = error.errors()
    # a misspelt key is also missing
    problem = next((p for p in problems if p["type"] == "extra_forbidden"), problems[0])
    where = place_text(problem["loc"]) or "the file"
    if problem["type"] == "extra_forbidden":
        nested: dict[str, type[BaseModel]] = {"items": FileItem, "follow_through": FileFollowThrough}
        shape = nested.get(str(problem["loc"][0]), RubricFile) if len(problem["loc"]) > 1 else RubricFile
        return f"{where}: unknown key{nearest(str(problem['loc'][-1]), shape.model_fields)}"
    if problem["type"] == "string_pattern_mismatch":
        return f"{where}: expected an id such as 'vae.loss', lower-case part and name, got {problem['input']!r:.60}"
    return f"{where}: {problem_text(problem)}"
