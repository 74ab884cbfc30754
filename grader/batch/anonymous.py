"""A class that may be shown: points and pictures under numbers, and nothing that a student wrote or is called."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from grader.batch.gradebooks import plain
from grader.batch.manifest import read_manifest
from grader.batch.page import class_page
from grader.batch.records import Row
from grader.batch.results import PAGE, pictures, read_rows
from grader.errors import GraderError, one_line
from grader.records import GradeReport, ItemVerdict
from grader.rubric import load_rubric
from grader.store.files import write_atomically
from grader.store.lock import locked


def export_anonymous(out: Path, to: Path) -> tuple[Path, ...]:
    """A new folder holds the class's page and gradebook with numbers for names, in an order drawn anew each time.

    Left out: names, ids, addresses, file names, code, messages, remarks, what persons decided and why, times and
    devices. A class's points may tell who somebody is to those who know them.

    Raises:
        GraderError: no class was graded there, or something lies where the folder is to be.
    """
    manifest = read_manifest(out)
    rubric, _ = load_rubric(manifest.rubric)
    if to.exists():
        raise GraderError(f"{one_line(str(to), 120)}: exists already; name a new folder")
    with locked(out):
        rows = list(read_rows(out, manifest))
    drawn = pictures(rows)
    secrets.SystemRandom().shuffle(rows)
    width = len(str(len(rows)))
    keys = {row.key: f"s{number:0{width}}" for number, row in enumerate(rows, 1)}
    made = [_bare(row, keys[row.key]) for row in rows]
    to.mkdir(parents=True)
    files = plain.files(made, rubric, manifest.gradebook)
    page = class_page(made, rubric, manifest.title, (), {keys[key]: image for key, image in drawn.items()})
    for name, content in {**files, PAGE: page.encode()}.items():
        write_atomically(to / name, content)
    return tuple(sorted(to.iterdir()))


def _bare(row: Row, key: str) -> Row:
    report = None if row.report is None else _report(row.report)
    return Row(key, row.state, report=report, excused=row.excused)


def _report(report: GradeReport) -> GradeReport:
    late = None if report.late is None else replace(report.late, handed_in="", deadline="", note="")
    return replace(
        report,
        submission="",
        device="",
        remarks=(),
        events=(),
        seed="",
        checksums={},
        created="",
        wall_s=0.0,
        template="",
        items=_items(report.items),
        late=late,
    )


def _items(items: Sequence[ItemVerdict]) -> tuple[ItemVerdict, ...]:
    """Points and outcomes; a person's decision is only marked as one."""
    bare = []
    for item in items:
        checks = tuple(replace(check, message="", hint="", measured={}, level=None) for check in item.checks)
        override = None if item.override is None else replace(item.override, reason="", by="", when="")
        bare.append(replace(item, checks=checks, override=override))
    return tuple(bare)
