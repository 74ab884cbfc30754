"""Items that were not graded are shown and exported as a dash, never as zero points."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from toy_reports import ADA, RUBRIC, ZOE, row

from grader.batch.class_grading import ClassResult
from grader.batch.class_records import GradebookRow, StudentState
from grader.batch.gradebooks import GradebookSettings, gradebooks
from grader.batch.page import class_page
from grader.cli.json_output import class_values
from grader.records import LEFT_OUT, CheckVerdict, GradeReport, ItemVerdict, Outcome
from grader.report.pages import feedback_html, report_html
from grader.report.report_json import report_json
from grader.report.student_text import feedback_text, results_json

FULL = {item.id: item.points_milli for item in RUBRIC.items}
UPLOADS = ("canvas", "moodle", "gradescope", "nbgrader")
PARTIAL = GradebookSettings(upload_partial=True)


def report_of(*trained: str, needs_review: str = "") -> GradeReport:
    """A perfect report of a run that trained these parts; one item may await manual review."""
    items = []
    for item in RUBRIC.items:
        part, _, name = item.id.partition(".")
        left = name == "training" and part not in trained
        outcome = Outcome.SKIPPED if left else Outcome.NEEDS_REVIEW if item.id == needs_review else Outcome.PASSED
        points = item.points_milli if outcome is Outcome.PASSED else 0
        one = CheckVerdict("c", "It is so.", outcome, points, item.points_milli, LEFT_OUT if left else "")
        items.append(ItemVerdict(item.id, item.title, outcome, points, item.points_milli, (one,)))
    report = row("x", StudentState.GRADED, ADA, tuple(FULL.values())).report
    assert report is not None
    return replace(report, items=tuple(items), points_milli=sum(i.points_milli for i in items), remarks=())


def rows(*reports: GradeReport) -> list[GradebookRow]:
    full_rows = [
        row("101", StudentState.GRADED, ADA, tuple(FULL.values())),
        row("103", StudentState.GRADED, ZOE, tuple(FULL.values())),
    ]
    return [replace(one, report=report) for one, report in zip(full_rows, reports, strict=True)]


COMPONENTS = rows(report_of(), report_of())


def table(data: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(data.decode())))


def test_every_form_of_a_report_has_the_maximum_of_what_was_graded() -> None:
    report = report_of()
    page, student = report_html(report), feedback_html(report, (), None)
    for text in (feedback_text(report), page, student):
        assert "4 / 4" in text or "4</span><span" in text
        assert "Not graded in this run: 5 points." in text
        assert not re.search(r"\b0 / \d|\b0 of \d|4 / 9|of 9\b", text)
    values = report_json(report)
    assert (values["points"], values["max_points"], values["rubric_points"], values["trained"]) == (4, 4, 9, [])
    assert [item["points"] for item in values["items"]] == [2, None, 2, None]


def test_gradescope_gets_no_number_for_a_part_of_the_rubric() -> None:
    results = results_json(report_of("one"))
    assert "score" not in results
    assert results["extra_data"]["max_score"] is None
    for test in results["tests"]:
        assert {"score", "max_score", "status"}.isdisjoint(test)
    assert "No score yet: 8 of 8 points so far" in results["output"]
    assert results["tests"][3]["output"].startswith("–")
    whole = results_json(report_of("one", "two"))
    assert (whole["score"], [test["score"] for test in whole["tests"]]) == (9, [2, 4, 2, 1])


@pytest.mark.parametrize(
    ("trained", "name", "points"),
    [((), "components-only", "4"), (("one",), "one-only", "8"), (("two",), "two-only", "5")],
)
def test_files_for_other_systems_are_written_only_when_asked_for_and_say_so(
    trained: tuple[str, ...], name: str, points: str
) -> None:
    class_rows = rows(report_of(*trained), report_of(*trained))
    plain = gradebooks(class_rows, RUBRIC, GradebookSettings())
    assert list(plain.files) == ["gradebook.csv"]
    assert any(f"{points} of 9 points" in remark and "--upload-partial" in remark for remark in plain.remarks)
    asked = gradebooks(class_rows, RUBRIC, PARTIAL)
    others = {file for file in asked.files if file != "gradebook.csv"}
    assert len(others) >= len(UPLOADS)
    assert all(file.endswith(f"-{name}.csv") for file in others)
    canvas = table(asked.files[f"gradebook-canvas-{name}.csv"])
    assert [list(line.values())[-1] for line in canvas] == [points, points, points]  # the first: points possible
    (moodle, _) = table(asked.files[f"gradebook-moodle-{name}.csv"])
    assert f"Graded so far: {points} of {points} points" in moodle["Two numbers (Feedback)"]
    assert "Points were lost" not in moodle["Two numbers (Feedback)"]
    theirs = table(asked.files[f"gradebook-gradescope-{name}.csv"])[0]
    assert (theirs["Total Score"], theirs["Max Points"]) == (points, points)
    assert [bool(value) for head, value in theirs.items() if " pts)" in head] == [
        True,
        "one" in trained,
        True,
        "two" in trained,
    ]
    assert {line["max_score"] for line in table(asked.files[f"gradebook-nbgrader-{name}.csv"])} == {points}


def test_gradebook_csv_has_the_maximum_of_what_was_graded() -> None:
    line = table(gradebooks(COMPONENTS, RUBRIC, GradebookSettings()).files["gradebook.csv"])[0]
    assert (line["points"], line["max"], line["percent"]) == ("4", "4", "100.00")
    assert [line[item] for item in FULL] == ["2", "", "2", ""]


def test_the_page_of_the_class_shows_dashes_and_says_why() -> None:
    page = class_page(COMPONENTS, RUBRIC, "Toy")
    text = page.partition("</style>")[2]
    assert "points are out of 4, not 9" in text
    assert text.count('<td class="cell none" data-value="-1">–') == 4
    assert "0 / " not in text
    assert "<small>out of 4</small>" in text
    whole = class_page(rows(report_of("one", "two"), report_of("one", "two")), RUBRIC, "Toy").partition("</style>")[2]
    assert "cell none" not in whole
    assert "Not graded in full" not in whole


def test_complete_grades_are_uploaded_beside_incomplete_ones() -> None:
    books = gradebooks(rows(report_of("one", "two"), report_of()), RUBRIC, GradebookSettings())
    lines = table(books.files["gradebook-canvas.csv"])
    assert [line["Student"] for line in lines[1:]] == ["Lovelace, Ada"]
    assert list(lines[0].values())[-1] == "9"
    assert any("have no points yet, or not all" in remark for remark in books.remarks)
    assert [line["points"] for line in table(books.files["gradebook.csv"])] == ["9", "4"]


def test_points_that_await_review_are_not_zero_in_a_record() -> None:
    waiting = report_of("one", "two", needs_review="two.function")
    assert report_json(waiting)["items"][2]["points"] is None
    assert (report_json(waiting)["points"], report_json(waiting)["max_points"]) == (7, 7)
    books = gradebooks(rows(waiting, report_of("one", "two")), RUBRIC, GradebookSettings())
    assert [line["Student"] for line in table(books.files["gradebook-canvas.csv"])[1:]] == ["Zoë Müller"]
    assert "2 points await manual review" in feedback_text(waiting)


def test_no_student_gets_a_zero_while_a_submission_is_unmatched() -> None:
    zeros = GradebookSettings(missing_is_zero=True)
    graded, stranger = rows(report_of("one", "two"), report_of("one", "two"))
    missing = GradebookRow("105", StudentState.MISSING, replace(ADA, id="105", email="105@uni.example"))
    for others, points in ([graded], "0"), ([graded, replace(stranger, student=None)], ""):
        books = gradebooks([*others, missing], RUBRIC, zeros)
        line = next(line for line in table(books.files["gradebook.csv"]) if line["state"] == "no submission")
        assert line["points"] == points
        assert any("do not count as 0 yet" in remark for remark in books.remarks) == (points == "")


def test_json_has_the_same_points() -> None:
    values: dict[str, Any] = class_values(ClassResult(Path("runs/x"), tuple(COMPONENTS), ()))
    assert [(one["points"], one["max_points"]) for one in values["rows"]] == [(4, 4), (4, 4)]
