"""`results.json` as Gradescope's autograder specification describes it; a student reads it.

Source of the format: https://gradescope-autograders.readthedocs.io/en/latest/specs/
No measured number, seed, path or threshold leaves through this file.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

from grader.records import CheckVerdict, GradeReport, ItemVerdict, Outcome, Status
from grader.report.plain import plain, without_paths
from grader.report.points import of_points, points_number
from grader.report.words import (
    LONGEST,
    NO_ISOLATION,
    OUTCOME_MARKS,
    STATUS_WORDS,
    follow_notes,
    isolated,
    summary,
    told_student,
    undecided_milli,
)

_PERSON = "A person will look at this submission; the points may still change."
_OPEN = f"{NO_ISOLATION.upper()}. These points are not final: the grader was told to run the notebook unprotected."
_UNDECIDED = "The grader could not decide this by itself: a person will look, and the points may rise."


def results_json(report: GradeReport) -> dict[str, Any]:
    """The report as Gradescope's values: one test an item, the checks' messages inside."""
    return {
        "score": points_number(report.points_milli),
        "execution_time": math.ceil(report.wall_s),
        "output": "\n".join(_overview(report)),
        "output_format": "text",
        "test_output_format": "text",
        "test_name_format": "text",
        "visibility": "visible",
        "stdout_visibility": "hidden",
        "tests": [_test(number, item, report.items) for number, item in enumerate(report.items, start=1)],
        "extra_data": {
            "created": report.created,
            "isolated": isolated(report.isolation),
            "grader": report.versions.get("grader", ""),
            "max_score": points_number(report.max_points_milli),
            "needs_person": report.needs_person,
            "notebook": report.checksums.get("notebook", ""),
            "status": str(report.status),
        },
    }


def _overview(report: GradeReport) -> Iterator[str]:
    if not isolated(report.isolation):
        yield _OPEN
    yield summary(report)
    if report.status is not Status.OK:
        yield f"The notebook {STATUS_WORDS[report.status]}."
    if report.needs_person or any(undecided_milli(item) for item in report.items):
        yield _PERSON
    yield from told_student(report)
    if report.device:
        yield f"Run on {_told(report.device, 'title')}."


def _test(number: int, item: ItemVerdict, items: Sequence[ItemVerdict]) -> dict[str, Any]:
    passed = item.outcome is Outcome.PASSED and item.points_milli >= item.max_points_milli
    notes = [_UNDECIDED] if undecided_milli(item) else []
    notes += [_told(note, "message") for note in follow_notes(item, items)]
    return {
        "name": f"{_told(item.title, 'title')} ({_told(item.id, 'id')})",
        "name_format": "text",
        "number": str(number),
        "score": points_number(item.points_milli),
        "max_score": points_number(item.max_points_milli),
        "status": "passed" if passed else "failed",
        "output": "\n".join([*notes, *(line for check in item.checks for line in _lines(check))]),
        "output_format": "text",
        "visibility": "visible",
    }


def _lines(check: CheckVerdict) -> Iterator[str]:
    points = of_points(check.points_milli, check.max_points_milli)
    if check.outcome is Outcome.NEEDS_REVIEW:
        points = "undecided"
    yield f"{OUTCOME_MARKS[check.outcome]} {_told(check.title or check.id, 'title')} ({points})"
    if check.message:
        yield f"    {_told(check.message, 'message')}"
    if check.hint and check.outcome is not Outcome.PASSED:
        yield f"    Hint: {_told(check.hint, 'message')}"


def _told(text: str, kind: str) -> str:
    # Paths go first, over more than is shown: a cut must not leave half of one.
    limit = LONGEST[kind]
    return plain(without_paths(plain(text, 4 * limit)), limit)
