"""`results.json` as Gradescope's autograder specification describes it; a student reads it.

Source of the format: https://gradescope-autograders.readthedocs.io/en/latest/specs/
No measured number, seed, path or threshold leaves through this file.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from grader.records import GradeReport, ItemVerdict, Outcome
from grader.report.points import points_number
from grader.report.student_text import item_lines, judged_so_far, overview, told
from grader.report.words import is_complete, isolated, item_points


def results_json(report: GradeReport) -> dict[str, Any]:
    """The report as Gradescope's values: one test per item, the checks' messages inside.

    There are numbers only where nothing was left out: points of a part would be taken for the grade.
    """
    complete = is_complete(report)
    return {
        **({"score": points_number(report.points_milli)} if complete else {}),
        "execution_time": math.ceil(report.wall_s),
        "output": "\n".join(overview(report) if complete else (judged_so_far(report), *overview(report))),
        "output_format": "text",
        "test_output_format": "text",
        "test_name_format": "text",
        "visibility": "visible",
        "stdout_visibility": "hidden",
        "tests": [_test(number, item, report.items, complete) for number, item in enumerate(report.items, start=1)],
        "extra_data": {
            "created": report.created,
            "isolated": isolated(report.isolation),
            "grader": report.versions.get("grader", ""),
            "max_score": points_number(report.max_points_milli) if complete else None,
            "needs_person": report.needs_person,
            "notebook": report.checksums.get("notebook", ""),
            "status": str(report.status),
        },
    }


def _test(number: int, item: ItemVerdict, items: Sequence[ItemVerdict], complete: bool) -> dict[str, Any]:
    """A test; without numbers and without a mark of its own where the report is not complete."""
    passed = item.outcome is Outcome.PASSED and item.points_milli >= item.max_points_milli
    numbers = {
        "score": points_number(item.points_milli),
        "max_score": points_number(item.max_points_milli),
        "status": "passed" if passed else "failed",
    }
    lines = item_lines(item, items)
    return {
        "name": f"{told(item.title, 'title')} ({told(item.id, 'id')})",
        "name_format": "text",
        "number": str(number),
        **(numbers if complete else {}),
        "output": "\n".join(lines if complete else (item_points(item), *lines)),
        "output_format": "text",
        "visibility": "visible",
    }
