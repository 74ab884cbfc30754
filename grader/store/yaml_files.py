"""A file that a person writes for the grader to read: YAML within bounds, and refusals that say what and where."""

from __future__ import annotations

import datetime
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import yaml

from grader.errors import GraderError, nearest, one_line
from grader.store.bounded import Unreadable, file_bytes

MAX_BYTES = 5_000_000
MAX_REASON = 500


class _Loader(yaml.SafeLoader):
    """PyYAML's own, which builds nothing but plain values, and takes the last of two entries of one name in silence."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """The table.

        Raises:
            YAMLError: two entries have one name.
        """
        keys: set[str] = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                continue
            if key.value in keys:
                problem = f"{key.value[:60]!r} stands there twice"
                raise yaml.MarkedYAMLError(problem=problem, problem_mark=key.start_mark)
            keys.add(key.value)
        return super().construct_mapping(node, deep)


def read_yaml(path: Path) -> dict[str, Any]:
    """The table in the file; empty where there is no such file, or nothing in it.

    Raises:
        GraderError: one line: it is no YAML, no table or too large.
    """
    if not path.exists() and not path.is_symlink():
        return {}
    path_text = one_line(str(path), 120)
    try:
        content = yaml.load(file_bytes(path, MAX_BYTES).decode(), Loader=_Loader)  # a SafeLoader
    except Unreadable as reason:
        if "0 bytes" in str(reason):
            return {}
        raise GraderError(f"{path_text}: {reason}") from None
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError, ValueError) as error:
        mark, problem = getattr(error, "problem_mark", None), getattr(error, "problem", "") or ""
        where = f"line {mark.line + 1}: " if mark else ""
        what = one_line(problem, 120) if "stands there twice" in problem else "not YAML; quote a text that holds ': '"
        raise GraderError(f"{path_text}: {where}{what}") from None
    return table(content or {}, path_text)


def table(value: object, where: str, fields: Collection[str] = ()) -> dict[str, Any]:
    """The value as a table, with no other fields than these, if any are given.

    Raises:
        GraderError: it is none, or has another field, with the nearest right name.
    """
    if not isinstance(value, dict):
        raise GraderError(f"{where}: expected a table, got {type(value).__name__}")
    entries = {str(key): entry for key, entry in value.items()}
    if unknown := [field for field in entries if fields and field not in fields]:
        raise GraderError(f"{where}: unknown field {unknown[0][:40]!r}{nearest(unknown[0], fields)}")
    return entries


def reason_and_author(fields: Mapping[str, Any], where: str) -> tuple[str, str]:
    """Why something was decided, and by whom.

    Raises:
        GraderError: one of them is missing.
    """
    for needed in ("reason", "by"):
        if not isinstance(fields.get(needed), str) or not fields[needed].strip():
            raise GraderError(f"{where}: expected {needed}, a text; a decision without it cannot be answered for")
    return one_line(fields["reason"].strip(), MAX_REASON), one_line(fields["by"].strip(), 100)


def decision_date(fields: Mapping[str, Any], where: str) -> str:
    """When it was decided, if that is said.

    Raises:
        GraderError: it is neither a date nor a text.
    """
    when = fields.get("when", "")
    if not isinstance(when, str | datetime.date):
        raise GraderError(f"{where}: when: expected a date, for instance 2026-11-23")
    return one_line(str(when), 40)
