"""Decisions of an instructor that replace the grader's verdicts: `overrides.yaml`, which the grader only reads.

student0003:
  vae.loss: {points: 5, reason: the loss returns a vector whose mean is right, by: A. Lovelace, when: 2026-11-23}
  looked_at: {reason: the changed cell only adds a print, by: A. Lovelace}
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from grader.errors import GraderError, nearest, one_line, short_path
from grader.records import GradeReport, ItemVerdict, Outcome, Override, Remark, Rubric, Submission
from grader.report.text import milli_of, points_text
from grader.report.totals import LOOKED_AT, with_items
from grader.store.yaml_files import as_table, decision_date, read_yaml, reason_and_author

OVERRIDES = "overrides.yaml"
_LOOKED_BY = "looked at by "
LONGEST_LIST = 200  # characters
FIELDS = ("points", "reason", "by", "when")


@dataclass(frozen=True)
class Decisions:
    """What an instructor decided about one submission."""

    items: Mapping[str, Override]
    looked_at: Override | None = None  # its points mean nothing


def read_overrides(path: Path, rubric: Rubric, submissions: Mapping[str, str]) -> dict[str, Decisions]:
    """Submission -> decisions; empty where there is no such file.

    `submissions` are the names that the file may use, a key or a student's id, and the key of each.

    Raises:
        GraderError: one line says where, what was expected, what was there, and the nearest known name.
    """
    path_text = short_path(path)
    decisions_by_key: dict[str, Decisions] = {}
    for name, entries in read_yaml(path).items():
        if name not in submissions:
            suggestion = nearest(name, submissions)
            suggestion = suggestion if len(suggestion) < LONGEST_LIST else "; gradebook.csv lists all names"
            raise GraderError(f"{path_text}: {one_line(name, 60)}: unknown submission{suggestion}")
        where = f"{path_text}: {one_line(name, 60)}"
        decisions_by_key[submissions[name]] = _decisions(as_table(entries, where), where, rubric)
    return decisions_by_key


def decisions_on(
    folder: Path, submission: Submission, rubric: Rubric, old: GradeReport | None, *, in_class: bool
) -> Decisions | None:
    """The decisions on this notebook: those in the folder's own file, else those in the earlier report, if any.

    `in_class`: the folder belongs to a class, whose file counts.

    Raises:
        GraderError: the file is wrong.
    """
    if (folder / OVERRIDES).exists() and not in_class:
        return decisions_of_folder(folder, submission.name, rubric)
    return None if old is None else decisions_in(old)


def decisions_of_folder(folder: Path, name: str, rubric: Rubric) -> Decisions | None:
    """The decisions in the folder's own file on the submission of this name; None where there are none.

    Raises:
        GraderError: the file is wrong.
    """
    return read_overrides(folder / OVERRIDES, rubric, {name: name, folder.name: name}).get(name)


def with_overrides(report: GradeReport, decisions: Decisions | None) -> GradeReport:
    """Returns the report with these decisions and no earlier ones; totals change, and the grader's points are kept."""
    in_force = decisions or Decisions({})
    items = tuple(_with_override(_without_override(item), in_force.items.get(item.id)) for item in report.items)
    remarks = tuple(remark for remark in report.remarks if remark.kind != LOOKED_AT)
    if in_force.looked_at is not None:
        remarks += (Remark(LOOKED_AT, f"{_LOOKED_BY}{in_force.looked_at.by}: {in_force.looked_at.reason}"),)
    return with_items(report, items, remarks)


def decisions_in(report: GradeReport) -> Decisions:
    """The decisions that a report was made with."""
    items = {item.id: item.override for item in report.items if item.override is not None}
    look = next((remark for remark in report.remarks if remark.kind == LOOKED_AT), None)
    by, _, reason = look.message.removeprefix(_LOOKED_BY).partition(": ") if look else ("", "", "")
    return Decisions(items, Override(0, reason, by) if look else None)


def _without_override(item: ItemVerdict) -> ItemVerdict:
    """The item as the grader left it."""
    override = item.override
    if override is None:
        return item
    return replace(item, points_milli=override.was_milli, outcome=Outcome(override.was_outcome), override=None)


def _with_override(item: ItemVerdict, override: Override | None) -> ItemVerdict:
    if override is None:
        return item
    outcome = Outcome.of_points(override.points_milli, item.max_points_milli)
    completed = replace(override, was_milli=item.points_milli, was_outcome=str(item.outcome))
    return replace(item, points_milli=override.points_milli, outcome=outcome, override=completed)


def _decisions(entries: Mapping[str, Any], where: str, rubric: Rubric) -> Decisions:
    items_by_id = {item.id: item for item in rubric.items}
    overrides: dict[str, Override] = {}
    look = None
    for name, entry in entries.items():
        at = f"{where}: {one_line(name, 60)}"
        fields = as_table(entry, at, FIELDS)
        if name == LOOKED_AT:
            look = Override(0, *reason_and_author(fields, at), decision_date(fields, at))
            continue
        if name not in items_by_id:
            raise GraderError(f"{at}: unknown item{nearest(name, [*items_by_id, LOOKED_AT])}")
        max_milli = items_by_id[name].points_milli
        points = _points(fields, at)
        if not 0 <= points <= max_milli:
            raise GraderError(f"{at}: points: expected 0 to {points_text(max_milli)}, got {points_text(points)}")
        overrides[name] = Override(points, *reason_and_author(fields, at), decision_date(fields, at))
    return Decisions(overrides, look)


def _points(fields: Mapping[str, Any], at: str) -> int:
    if "points" not in fields:
        raise GraderError(f"{at}: points is missing; add `points: <number>`")
    try:
        return milli_of(fields["points"])
    except GraderError as error:
        raise GraderError(f"{at}: {error}") from None


def names_of(keys: Mapping[str, Sequence[str]], also: Collection[str] = ()) -> dict[str, str]:
    """Every name by which a decision can refer to a submission: its key, and the ids of students with no other one."""
    count = Counter(student for students in keys.values() for student in students)
    ids = {student: key for key, students in keys.items() for student in students if count[student] == 1}
    return ids | {key: key for key in (*keys, *also)}
