"""`gradebook.csv`: all data on every student, for staff; no course system reads it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal

from grader.batch.class_records import STATE_WORDS, GradebookRow, StudentState
from grader.batch.gradebooks.entries import GradebookSettings, csv_file, out_of, points
from grader.records import GradeReport, Remark, Rubric
from grader.report.text import cell, points_text
from grader.report.totals import counted_milli, is_graded, penalty_milli
from grader.report.words import reasons_for_person

NAME = "gradebook.csv"
OF_THE_FILE = ("late", "other_notebook")  # kinds of remarks that have their own column, "file remarks"
WHO = ["key", "student id", "name", "email", "team", "state", "points", "max", "percent"]
LATE = ["submitted", "days late", "late penalty", "points after penalty"]
WHAT = ["reason", "remarks", "overrides", "overridden items", "file remarks", "file"]
HOW = ["device", "notebook run time (s)", "graded at", "rubric", "grader"]
SHORT = 12  # digits of a checksum


def files(rows: Sequence[GradebookRow], rubric: Rubric, settings: GradebookSettings) -> dict[str, bytes]:
    """One row per student. Text is quoted and numbers are not, so that an id such as 007 can stay text."""
    items = [item.id for item in rubric.items]
    most = out_of(rows, rubric)
    table: list[list[str | Decimal]] = [[*WHO, *LATE, *items, *WHAT, *HOW]]
    for row in rows:
        cells = [*_who(row, most, settings), *_late(row, settings), *_earned(row, items)]
        table.append([*cells, *_what(row), *_how(row.report)])
    return {NAME: csv_file(table, quoted=True)}


def _number(text: str) -> str | Decimal:
    return Decimal(text) if text else ""


def _who(row: GradebookRow, most_of_class: int, settings: GradebookSettings) -> list[str | Decimal]:
    """The student, the state, and the points with the maximum of what was graded so far."""
    student = [row.student.id, row.student.name, row.student.email] if row.student else ["", "", ""]
    most = row.graded_milli if row.report else most_of_class
    got = points_text(row.report.points_milli) if row.report and most else points(row, settings)
    percent = f"{100 * Decimal(got) * 1000 / most:.2f}" if got and most else ""
    numbers = (got, points_text(most or 0), percent)
    team = ", ".join(student.name or student.id for student in row.team)
    return [*map(cell, (row.key, *student, team)), STATE_WORDS[row.state], *map(_number, numbers)]


def _late(row: GradebookRow, settings: GradebookSettings) -> list[str | Decimal]:
    """The time of submission, if known, the days late, the penalty and the points after it."""
    late = row.report.late if row.report else None
    when = late.handed_in if late else row.submission.when.isoformat() if row.submission and row.submission.when else ""
    if row.report is None:
        return [cell(when), "", "", _number(points(row, settings))]
    numbers = (penalty_milli(row.report), counted_milli(row.report))
    return [cell(when), Decimal(late.days) if late else "", *(Decimal(points_text(milli)) for milli in numbers)]


def _earned(row: GradebookRow, items: Sequence[str]) -> list[str | Decimal]:
    """Each item's points; an empty cell for an item of which nothing was graded."""
    graded = filter(is_graded, row.report.items) if row.report else ()
    earned = {item.id: points_text(item.points_milli) for item in graded}
    return [_number(earned.get(item, "")) for item in items]


def _what(row: GradebookRow) -> list[str | Decimal]:
    """The reason of the state, the remarks, the overrides, and the file."""
    report = row.report
    remarks = (row.submission.remarks if row.submission else ()) + (report.remarks if report else ())
    of_review = reasons_for_person(report) if report and row.state is StudentState.LOOK else ()
    reasons = dict.fromkeys(filter(None, (row.reason, *of_review)))
    overridden = [item.id for item in report.items if item.override] if report else []
    return [
        cell("; ".join(reasons)),
        _joined(remark for remark in remarks if not remark.needs_person and remark.kind not in OF_THE_FILE),
        Decimal(len(overridden)) if report else "",
        cell(", ".join(overridden)),
        _joined(remark for remark in remarks if remark.kind in OF_THE_FILE),
        cell(row.submission.shown) if row.submission else "",
    ]


def _joined(remarks: Iterable[Remark]) -> str:
    return cell("; ".join(dict.fromkeys(remark.message for remark in remarks)))


def _how(report: GradeReport | None) -> list[str | Decimal]:
    if report is None:
        return [""] * 5
    checksums = [cell(report.checksums.get(of, ""))[:SHORT] for of in ("rubric", "grader")]
    return [cell(report.device, 80), Decimal(round(report.wall_s)), cell(report.created, 40), *checksums]
