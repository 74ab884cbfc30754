"""YAML files that instructors write for the grader: read within limits, and refused in one line that says where."""

from __future__ import annotations

import datetime
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import yaml

from grader.errors import GraderError, nearest, one_line, short_path
from grader.store.bounded import Reason, Unreadable, file_bytes
from grader.store.value_problems import value_text

MAX_BYTES = 5_000_000
MAX_REASON = 500
_MEANING = {"reason": "why", "by": "your name"}


class RepeatedKeyError(yaml.MarkedYAMLError):
    """A table has a key twice; the text names the key and says what to do."""


class UniqueKeyLoader(yaml.SafeLoader):
    """PyYAML's safe loader, which builds only plain values; refuses a repeated key, so that none is lost."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Returns the table.

        Raises:
            YAMLError: two keys are the same, or a key is not text.
        """
        keys: set[str] = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise yaml.MarkedYAMLError(problem="a key is not text", problem_mark=key.start_mark)
            if key.value in keys:
                problem = f"{key.value[:60]!r} is given twice; remove one"
                raise RepeatedKeyError(problem=problem, problem_mark=key.start_mark)
            keys.add(key.value)
        return super().construct_mapping(node, deep)


def read_yaml(path: Path) -> dict[str, Any]:
    """The table in the file; empty if the file is missing or empty.

    Raises:
        GraderError: one line: not YAML, not a table, or too large.
    """
    if not path.exists() and not path.is_symlink():
        return {}
    path_text = short_path(path)
    try:
        content = yaml.load(file_bytes(path, MAX_BYTES).decode(), Loader=UniqueKeyLoader)  # a SafeLoader
    except Unreadable as error:
        if error.reason is Reason.EMPTY:
            return {}
        raise GraderError(f"{path_text}: {error}") from None
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError, ValueError) as error:
        mark, problem = getattr(error, "problem_mark", None), getattr(error, "problem", "") or ""
        where = f"line {mark.line + 1}: " if mark else ""
        what = (
            one_line(problem, 120)
            if isinstance(error, RepeatedKeyError)
            else "not valid YAML; put quotes around text that contains ': '"
        )
        raise GraderError(f"{path_text}: {where}{what}") from None
    return as_table(content or {}, path_text)


def as_table(value: object, where: str, fields: Collection[str] = ()) -> dict[str, Any]:
    """Returns the value as a table; refuses fields other than these, if any are given.

    Raises:
        GraderError: not a table, or an unknown field, with the nearest known name.
    """
    if not isinstance(value, dict):
        form = f"{{{', '.join(f'{field}: …' for field in fields)}}}" if fields else "a table of `name: value`"
        raise GraderError(f"{where}: expected {form}, got {value_text(value)}")
    entries = {str(key): entry for key, entry in value.items()}
    if unknown := [field for field in entries if fields and field not in fields]:
        raise GraderError(f"{where}: unknown field {unknown[0][:40]!r}{nearest(unknown[0], fields)}")
    return entries


def reason_and_author(fields: Mapping[str, Any], where: str) -> tuple[str, str]:
    """The reason for a decision, and who made it.

    Raises:
        GraderError: one of them is missing.
    """
    for needed in ("reason", "by"):
        if not isinstance(fields.get(needed), str) or not fields[needed].strip():
            raise GraderError(f"{where}: {needed} is missing; add `{needed}: <{_MEANING[needed]}>`")
    return one_line(fields["reason"].strip(), MAX_REASON), one_line(fields["by"].strip(), 100)


def decision_date(fields: Mapping[str, Any], where: str) -> str:
    """The date of the decision; empty if none is given.

    Raises:
        GraderError: neither a date nor text.
    """
    when = fields.get("when", "")
    if not isinstance(when, str | datetime.date):
        raise GraderError(f"{where}: when: expected a date such as 2026-11-23, got {value_text(when)}")
    return one_line(str(when), 40)
