"""The student's feedback as plain text, the same as on the feedback page, and as `results.json` for Gradescope.

That file contains no measured number, seed, path or threshold. Its format:
https://gradescope-autograders.readthedocs.io/en/latest/specs/
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from typing import Any

from grader.records import CheckVerdict, GradeReport, ItemVerdict, Outcome, Status
from grader.report.lost_points import (
    LostPoints,
    cause_elsewhere,
    cause_sentence,
    failed_cell,
    hint_on,
    is_affected,
    item_losses,
    not_written_anywhere,
    place_of,
    unwritten_name,
)
from grader.report.notebook_view import NotebookView
from grader.report.text import of_points, plain, points_number, without_paths
from grader.report.totals import is_complete, is_left_out, isolated, undecided_milli
from grader.report.tracebacks import Place
from grader.report.words import (
    LONGEST,
    NO_ISOLATION,
    OUTCOME_MARKS,
    STATUS_WORDS,
    by_part,
    graded_points,
    item_points,
    item_remarks,
    late_sentence,
    not_isolated,
    student_remarks,
    summary,
)

PERSON = "The course staff will review this submission; the points may still change."
NOT_FINAL = "These points are not final: the notebook was run {}."
UNDECIDED = "This could not be graded automatically. The course staff will review it, and the points may rise."
_MOST_TROUBLES = 12
_OF_A_DOWNLOAD = re.compile(r".*?_(?:late_)?\d{3,}_\d{3,}_(?P<name>[^_].*?)(?:-\d{1,2})?", re.IGNORECASE | re.DOTALL)


def feedback_text(report: GradeReport, view: NotebookView | None = None) -> str:
    """The whole feedback for systems that show only text; the `view` of the notebook adds the lines of errors."""
    lines = [f"{student_line(report.submission, 'name')}: {graded_points(report)}", ""]
    lines += [*overview(report, view), ""]
    if view is not None and view.troubles:
        lines += [*_troubles(view), ""]
    for part, points, items in by_part(report.items):
        lines += [f"{student_line(part, 'id')}: {points}", ""] if part else []
        for _, item in items:
            lines.append(f"{student_line(item.title, 'title')}: {item_points(item)}")
            lines += [f"  {line}" for line in item_lines(item, report.items, view)]
            lines.append("")
    return "\n".join(lines)


def graded_so_far(report: GradeReport) -> str:
    """The sentence that is shown instead of a score if something was left out."""
    points, _, of = graded_points(report).partition(" / ")
    return f"No score yet: {points} of {of} points so far; the rest was not graded in this run."


def overview(report: GradeReport, view: NotebookView | None = None) -> Iterator[str]:
    """Yields a few sentences on the whole report."""
    if told_open := open_box(report):
        yield told_open
    yield summary(report)
    if unwritten := not_written_anywhere(report.items, view):
        yield student_line(unwritten)
    if report.status is not Status.OK:
        yield f"The notebook {STATUS_WORDS[report.status]}."
    if report.needs_person or any(undecided_milli(item) for item in report.items):
        yield PERSON
    if late := late_sentence(report):
        yield student_line(late)
    yield from student_remarks(report)
    if report.device:
        yield f"Graded on a {'GPU' if report.device.startswith('cuda') else 'CPU'}."


def open_box(report: GradeReport) -> str:
    """A warning for the student if the notebook ran with little or no isolation; else empty."""
    words = not_isolated(report.isolation)
    protected = "unprotected" if words == NO_ISOLATION else "with little protection"
    return f"{words.upper()}. {NOT_FINAL.format(protected)}" if words else ""


def item_lines(item: ItemVerdict, items: Sequence[ItemVerdict], view: NotebookView | None = None) -> Iterator[str]:
    """Yields the checks of an item with points, reasons and hints; those that one mistake cost are listed below it."""
    if undecided_milli(item):
        yield UNDECIDED
    for remark in item_remarks(item, items):
        yield student_line(remark)
    failed = failed_cell(item, view)
    stopped = failed is not None and unwritten_name(failed.error) is None
    if failed is not None and failed.place is not None and stopped:
        yield from _error_lines(failed.error, failed.place)
    if view is not None and (cell := cause_elsewhere(item, items, view)) is not None:
        yield student_line(cause_sentence(cell, view))
    lost: set[str] = set()
    repeated: set[str] = set()  # the reason is at the first check of the loss
    for loss in item_losses(item, view):
        if is_affected(loss, item, view):
            repeated |= {check.id for check in loss.checks}
            continue
        if loss.is_one_mistake:
            lost |= {check.id for check in loss.checks}
            yield from _loss_lines(loss, view)
        else:
            repeated |= {check.id for check in loss.checks[1:]} - {loss.checks[0].id}
    for check in item.checks:
        if check.id not in lost:
            yield from _check_lines(check, with_reason=check.id not in repeated)


def notebook_name(submission: str) -> str:
    """The notebook's own name, without the student's name and the numbers that a download puts before it.

    >>> notebook_name("lovelaceada_12345_678901_vae_mnist-1"), notebook_name("vae_mnist")
    ('vae_mnist', 'vae_mnist')
    """
    match = _OF_A_DOWNLOAD.fullmatch(submission)
    return match["name"] if match else submission


def student_line(text: str, kind: str = "message") -> str:
    """The text as one safe line without paths."""
    limit = LONGEST[kind]
    return plain(without_paths(plain(text, 4 * limit)), limit)  # paths first: a cut must not leave half of one


def _troubles(view: NotebookView) -> Iterator[str]:
    """The cells that did not run to their end, with the line of the error and a hint."""
    yield "Cells that did not run to their end (counted from the top, text cells included):"
    own = {index: trouble for index, trouble in view.troubles.items() if trouble.after is None}
    for index, trouble in list(own.items())[:_MOST_TROUBLES]:
        if (name := unwritten_name(trouble.error)) is not None:
            yield f"  Cell {index + 1} needs {student_line(name or 'code')}, which is not written yet."
        elif trouble.error and trouble.place is not None:
            raised_in = f"In cell {index + 1}, " if trouble.place.cell != index else ""
            for line in _error_lines(trouble.error, trouble.place, raised_in):
                yield f"  {line}"
        else:
            yield f"  Cell {index + 1}: {student_line(trouble.message)}"
    if len(own) > _MOST_TROUBLES:
        yield f"  and {len(own) - _MOST_TROUBLES} more"
    if affected := [str(index + 1) for index in view.troubles if index not in own]:
        cells = f"cell{'s' if len(affected) > 1 else ''} {', '.join(affected)}"
        yield f"  Because of this, {cells} stopped, too."


def _error_lines(error: str, place: Place, running: str = "") -> Iterator[str]:
    yield f"{OUTCOME_MARKS[Outcome.FAILED]} {running}{student_line(error)}"
    yield f"    Cell {place.cell + 1}, line {place.line}: {student_line(place.source, 'title')}"
    if unwritten_name(error) is None:
        yield f"    Hint: {hint_on(error)}"


def _loss_lines(loss: LostPoints, view: NotebookView | None) -> Iterator[str]:
    """The mistake, its line and a hint, then the checks that it cost."""
    sign = f"{OUTCOME_MARKS[Outcome.FAILED]} " if loss.raised else ""
    count = f"{len(loss.checks)} {'check' if len(loss.checks) == 1 else 'checks'}"
    more = f" ({count}, {loss.points})" if loss.unwritten else ""
    yield f"{sign}{student_line(loss.message)}{more}"
    place = place_of(loss, view.written) if view is not None else None
    if place is not None:
        yield f"    Cell {place.cell + 1}, line {place.line}: {student_line(place.source, 'title')}"
    elif loss.raised is not None and loss.raised.line:
        yield f"    Your line: {student_line(loss.raised.line, 'title')}"
    if loss.hint:
        yield f"    Hint: {student_line(loss.hint)}"
    count = f"{len(loss.checks)} {'check' if len(loss.checks) == 1 else 'checks'}"
    if loss.unwritten:
        return
    yield f"    {count} could not be met because of this ({loss.points}):"
    for check in loss.checks:
        yield f"    - {student_line(check.title or check.id, 'title')} ({_points_of(check)})"


def _check_lines(check: CheckVerdict, *, with_reason: bool) -> Iterator[str]:
    yield f"{OUTCOME_MARKS[check.outcome]} {student_line(check.title or check.id, 'title')} ({_points_of(check)})"
    if check.outcome is Outcome.PASSED or not with_reason:
        return
    if check.message and not is_left_out(check):
        yield f"    {student_line(check.message)}"
    if check.hint:
        yield f"    Hint: {student_line(check.hint)}"


def _points_of(check: CheckVerdict) -> str:
    if is_left_out(check):
        return "not graded"
    undecided = check.outcome is Outcome.NEEDS_REVIEW
    return "undecided" if undecided else of_points(check.points_milli, check.max_points_milli)


def results_json(report: GradeReport, view: NotebookView | None = None) -> dict[str, Any]:
    """The report as Gradescope's values: one test per item, the checks' messages inside.

    There are scores only if nothing was left out, because the points so far would be taken for the grade.
    """
    complete = is_complete(report)
    return {
        **({"score": points_number(report.points_milli)} if complete else {}),
        "execution_time": math.ceil(report.wall_s),
        "output": "\n".join([*([] if complete else [graded_so_far(report)]), *overview(report, view)]),
        "output_format": "text",
        "test_output_format": "text",
        "test_name_format": "text",
        "visibility": "visible",
        "stdout_visibility": "hidden",
        "tests": [_test(number, report, view) for number in range(1, len(report.items) + 1)],
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


def _test(number: int, report: GradeReport, view: NotebookView | None) -> dict[str, Any]:
    """One of Gradescope's tests: an item; without scores and status if the report is not complete."""
    item, complete = report.items[number - 1], is_complete(report)
    passed = item.outcome is Outcome.PASSED and item.points_milli >= item.max_points_milli
    numbers = {
        "score": points_number(item.points_milli),
        "max_score": points_number(item.max_points_milli),
        "status": "passed" if passed else "failed",
    }
    lines = item_lines(item, report.items, view)
    return {
        "name": f"{student_line(item.title, 'title')} ({student_line(item.id, 'id')})",
        "name_format": "text",
        "number": str(number),
        **(numbers if complete else {}),
        "output": "\n".join(lines if complete else (item_points(item), *lines)),
        "output_format": "text",
        "visibility": "visible",
    }
