"""What a student reads, in words alone: the feedback page says the same, and `results.json` for Gradescope holds it.

No measured number, seed, path or threshold leaves through that file. Its format:
https://gradescope-autograders.readthedocs.io/en/latest/specs/
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

from grader.records import CheckVerdict, GradeReport, ItemVerdict, Outcome, Status
from grader.report.text import of_points, plain, points_number, without_paths
from grader.report.words import (
    LONGEST,
    NO_ISOLATION,
    OUTCOME_MARKS,
    STATUS_WORDS,
    by_part,
    follow_notes,
    is_complete,
    is_left_out,
    isolated,
    item_points,
    judged_points,
    late_sentence,
    not_isolated,
    student_notes,
    summary,
    undecided_milli,
)

PERSON = "A person will look at this submission; the points may still change."
NOT_FINAL = "These points are not final: the grader was told to run the notebook {}."
UNDECIDED = "The grader could not decide this by itself: a person will look, and the points may rise."


def feedback_text(report: GradeReport) -> str:
    """The whole feedback for systems that show only text."""
    lines = [f"{student_line(report.submission, 'name')}: {judged_points(report)}", ""]
    lines += [*overview(report), ""]
    for part, points, items in by_part(report.items):
        lines += [f"{student_line(part, 'id')}: {points}", ""] if part else []
        for _, item in items:
            lines.append(f"{student_line(item.title, 'title')}: {item_points(item)}")
            lines += [f"  {line}" for line in item_lines(item, report.items)]
            lines.append("")
    return "\n".join(lines)


def judged_so_far(report: GradeReport) -> str:
    """What stands in the place of a score where something was left out."""
    points, _, of = judged_points(report).partition(" / ")
    return f"No score yet: {points} of {of} points so far; the rest was not graded in this run."


def overview(report: GradeReport) -> Iterator[str]:
    """A few sentences on the whole."""
    if told_open := open_box(report):
        yield told_open
    yield summary(report)
    if report.status is not Status.OK:
        yield f"The notebook {STATUS_WORDS[report.status]}."
    if report.needs_person or any(undecided_milli(item) for item in report.items):
        yield PERSON
    if late := late_sentence(report):
        yield student_line(late)
    yield from student_notes(report)
    if report.device:
        yield f"Run on a {'GPU' if report.device.startswith('cuda') else 'CPU'}."


def open_box(report: GradeReport) -> str:
    """What a student reads where the box did not keep the notebook in; empty where it did."""
    words = not_isolated(report.isolation)
    protected = "unprotected" if words == NO_ISOLATION else "with little protection"
    return f"{words.upper()}. {NOT_FINAL.format(protected)}" if words else ""


def item_lines(item: ItemVerdict, items: Sequence[ItemVerdict]) -> Iterator[str]:
    """An item's checks, each with its points, its reason and where to look."""
    if undecided_milli(item):
        yield UNDECIDED
    for note in follow_notes(item, items):
        yield student_line(note)
    for check in item.checks:
        yield from _check_lines(check)


def student_line(text: str, kind: str = "message") -> str:
    """The text as one safe line without paths."""
    limit = LONGEST[kind]
    return plain(without_paths(plain(text, 4 * limit)), limit)  # paths first: a cut must not leave half of one


def _check_lines(check: CheckVerdict) -> Iterator[str]:
    unsure = "undecided" if check.outcome is Outcome.NEEDS_REVIEW else ""
    judged = unsure or of_points(check.points_milli, check.max_points_milli)
    points = "not judged" if is_left_out(check) else judged
    yield f"{OUTCOME_MARKS[check.outcome]} {student_line(check.title or check.id, 'title')} ({points})"
    if check.message:
        yield f"    {student_line(check.message)}"
    if check.hint and check.outcome is not Outcome.PASSED:
        yield f"    Hint: {student_line(check.hint)}"


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
        "name": f"{student_line(item.title, 'title')} ({student_line(item.id, 'id')})",
        "name_format": "text",
        "number": str(number),
        **(numbers if complete else {}),
        "output": "\n".join(lines if complete else (item_points(item), *lines)),
        "output_format": "text",
        "visibility": "visible",
    }
