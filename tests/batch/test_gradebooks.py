"""Gradebooks have each system's documented format, and no cell that a spreadsheet would compute."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_exercise import running

from grader.batch.class_records import ClassSubmission, GradebookRow, Student, StudentState
from grader.batch.gradebooks import GradebookSettings, gradebooks, has_rows
from grader.errors import GraderError
from grader.records import GradeReport, ItemVerdict, Outcome, Override, Remark, Status
from grader.report.text import cell

RUBRIC = running.rubric()
OF_CANVAS = {"SIS User ID": "", "Section": "CV 1", "VAE (77)": "EX", "Quiz (78)": "3"}
ADA = Student("101", "Ada Lovelace", "ada@uni.example", {"First name": "Ada", "Last name": "Lovelace"})
ZOE = Student("103", "Zoë Müller", "zoe@uni.example", {"Username": "zoe", "Group": "B"})
FULL = tuple(item.points_milli for item in RUBRIC.items)
LESS = (FULL[0] - 750, *FULL[1:])


def of_canvas(student: Student, number: str, login: str) -> Student:
    last, first = student.name.split()[-1], student.name.split()[0]
    known = {"Student": f"{last}, {first}", "ID": number, "SIS Login ID": login, **OF_CANVAS}
    return replace(student, columns=known)


def report(points: Sequence[int], *, look: bool = False, decided: bool = False) -> GradeReport:
    override = Override(0, "a complaint was right", "B. Boss", "2026-11-02", 0, "failed")
    items = [
        ItemVerdict(item.id, item.title, Outcome.PARTIAL, milli, item.points_milli, ())
        for item, milli in zip(RUBRIC.items, points, strict=True)
    ]
    if decided:
        items[0] = replace(items[0], override=override)
    remarks = (Remark("late", "the download marks this submission as late"), Remark("outputs_missing", "no outputs"))
    return GradeReport(
        submission="x",
        points_milli=sum(points),
        max_points_milli=RUBRIC.points_milli,
        device="cpu",
        status=Status.OK,
        isolation="bubblewrap",
        needs_person=look,
        items=tuple(items),
        remarks=(*remarks, Remark("shadow", "a given name was taken", needs_person=True)) if look else remarks,
        events=(),
        seed="0" * 32,
        checksums={"rubric": "ab" * 32, "grader": "cd" * 32},
        versions={},
        wall_s=12.3,
        created="2026-11-01T10:00:00+00:00",
    )


def row(
    student: Student | None, state: StudentState, points: Sequence[int] | None = None, shown: str = "x.ipynb"
) -> GradebookRow:
    key = student.id if student else shown
    grade_report = None if points is None else report(points, look=state is StudentState.LOOK, decided=points is LESS)
    submission = ClassSubmission(
        key, running.Path(shown), shown, student, grade_report.remarks[:1] if grade_report else ()
    )
    return GradebookRow(key, state, student, submission, grade_report, None, "" if grade_report else "no JSON")


ROWS = (
    row(ZOE, StudentState.LOOK, LESS),
    row(ADA, StudentState.GRADED, FULL),
    row(replace(ADA, id="104", name="=cmd()", email="104@uni.example"), StudentState.FAILED),
    GradebookRow("105", StudentState.MISSING, Student("105", "Nobody Here", "105@uni.example")),
)


def read(data: bytes) -> list[dict[str, str]]:
    rows = list(csv.DictReader(io.StringIO(data.decode()), strict=True))
    assert not any(None in row or None in row.values() for row in rows)  # as many cells as headings
    return rows


def tables(rows: Sequence[GradebookRow] = ROWS, **options: Any) -> dict[str, list[dict[str, str]]]:
    files = gradebooks(rows, RUBRIC, GradebookSettings("VAE", **options)).files
    return {name: read(data) for name, data in files.items()}


def moodle_imports(data: bytes, mapfrom: str, grades: str) -> dict[str, str | None]:
    """What Moodle's grade import makes of a file: a row without a user is the last row's, an empty grade a zero."""
    points: dict[str, str | None] = {}
    user = ""
    for line in read(data):
        user = line[mapfrom] or user
        points[user] = line[grades] or "0"
    return points


def canvas_imports(data: bytes, ids: Mapping[str, str]) -> tuple[str, dict[str, str]]:
    """What Canvas's import makes of a file: the assignment's heading, and grades by its own number of a student."""
    head, possible, *rows = csv.reader(io.StringIO(data.decode()))
    assert head[:5] == ["Student", "ID", "SIS User ID", "SIS Login ID", "Section"]
    assert "Points Possible" in possible[0]
    assert possible[5] == "9"
    return head[5], {line[1] or ids[line[2]]: line[5] for line in rows}


def test_gradebook_csv_has_all_data_on_every_student() -> None:
    lines = {line["key"]: line for line in tables()["gradebook.csv"]}
    ada, zoe = lines["101"], lines["103"]
    assert (ada["points"], ada["percent"], ada[RUBRIC.items[0].id]) == ("9", "100.00", "2")
    assert (zoe["points"], zoe["percent"], zoe["state"]) == ("8.25", "91.67", "needs manual review")
    assert (zoe["reason"], zoe["remarks"]) == ("a given name was taken", "no outputs")
    assert (zoe["overrides"], zoe["overridden items"]) == ("1", RUBRIC.items[0].id)
    assert zoe["file remarks"] == "the download marks this submission as late"
    assert (zoe["device"], zoe["notebook run time (s)"], zoe["rubric"]) == ("cpu", "12", "ab" * 6)
    assert (lines["104"]["state"], lines["104"]["points"], lines["104"]["reason"]) == ("grader fault", "", "no JSON")
    assert (lines["105"]["state"], lines["105"]["points"], lines["105"]["max"]) == ("no submission", "", "9")


def test_in_gradebook_csv_ids_are_texts_and_points_are_numbers() -> None:
    rows = [row(replace(ADA, id="007"), StudentState.GRADED, FULL)]
    data = gradebooks(rows, RUBRIC, GradebookSettings()).files["gradebook.csv"]
    heads, line = csv.reader(io.StringIO(data.decode()), quoting=csv.QUOTE_NONNUMERIC)
    cells: dict[str, object] = dict(zip(heads, line, strict=True))
    assert (cells["student id"], cells["points"]) == ("007", 9.0)


def test_canvas_gets_its_own_ids_where_its_own_export_is_the_roster() -> None:
    rows = [
        row(of_canvas(ADA, "4001", "ada"), StudentState.GRADED, FULL),
        row(of_canvas(ZOE, "4002", "zoe"), StudentState.FAILED),
    ]
    books = gradebooks(rows, RUBRIC, GradebookSettings("VAE"))
    assert canvas_imports(books.files["gradebook-canvas.csv"], {}) == ("VAE (77)", {"4001": "9"})
    assert read(books.files["gradebook-canvas.csv"])[1]["Student"] == "Lovelace, Ada"
    assert not any("Canvas's own ids" in remark for remark in books.remarks)
    named = gradebooks(rows, RUBRIC, GradebookSettings("VAE", canvas_assignment_id="78")).files
    assert canvas_imports(named["gradebook-canvas.csv"], {})[0] == "VAE (78)"
    with pytest.raises(GraderError, match="expected the number"):
        GradebookSettings("VAE", canvas_assignment_id="x78")


def test_canvas_gets_the_student_id_if_its_own_is_unknown_and_a_note_says_so() -> None:
    books = gradebooks(ROWS, RUBRIC, GradebookSettings("VAE"))
    ids = {"101": "4001", "103": "4002"}
    assert canvas_imports(books.files["gradebook-canvas.csv"], ids) == ("VAE", {"4001": "9", "4002": "8.25"})
    lacking = "lacks Canvas's own ids for 2 of 2 students"
    assert not any(lacking in remark for remark in books.remarks)  # nothing says that the course uses Canvas
    downloaded = [
        row(ZOE, StudentState.LOOK, LESS),
        row(ADA, StudentState.GRADED, FULL, "lovelaceada_4001_900001_vae.ipynb"),
    ]
    for rows, settings in (
        (downloaded, GradebookSettings("VAE")),
        (ROWS, GradebookSettings("VAE", canvas_assignment_id="77")),
    ):
        assert any(lacking in remark for remark in gradebooks(rows, RUBRIC, settings).remarks)


def test_moodles_import_gives_each_student_the_right_points_by_any_column() -> None:
    data = gradebooks(ROWS, RUBRIC, GradebookSettings("VAE")).files["gradebook-moodle.csv"]
    assert moodle_imports(data, "ID number", "VAE") == {"101": "9", "103": "8.25"}
    assert moodle_imports(data, "Email address", "VAE") == {"ada@uni.example": "9", "zoe@uni.example": "8.25"}
    zoe = next(line for line in read(data) if line["ID number"] == "103")
    assert "Username" not in zoe  # only one of them has one
    assert zoe["VAE (Feedback)"] == (
        "Points were lost in: Multiply by two (1.25 of 2). Some of these points were set by the course staff. "
        "This needs manual review, so the points may still change."
    )


def test_moodles_worksheet_has_the_numbers_of_its_download_or_its_own_worksheet() -> None:
    assert "gradebook-moodle-worksheet.csv" not in tables()
    folder = "Zoë Müller_4002_assignsubmission_file_"
    nobody = row(None, StudentState.GRADED, FULL, f"{folder}/Fake_1_assignsubmission_file_/vae.ipynb")
    assert tables([nobody])["gradebook-moodle-worksheet.csv"][0]["Identifier"] == "Participant 4002"
    theirs = {"Identifier": "Participant 17", "Last modified (grade)": "Sunday, 1 November 2026, 9:00 AM"}
    line = tables([row(replace(ADA, columns=theirs), StudentState.GRADED, FULL)])["gradebook-moodle-worksheet.csv"][0]
    assert (line["Identifier"], line["Grade"], line["Maximum grade"]) == ("Participant 17", "9", "9")
    assert line["Last modified (grade)"] == theirs["Last modified (grade)"]
    assert line["Feedback comments"] == "Full points."
    twice = [nobody, row(None, StudentState.GRADED, LESS, f"{folder}/2.ipynb")]
    assert "gradebook-moodle-worksheet.csv" not in tables(twice)
    inside = row(
        None, StudentState.GRADED, FULL, f"mallory/{folder}/vae.ipynb"
    )  # a student's own folder is not a number
    assert "gradebook-moodle-worksheet.csv" not in tables([inside])


def test_nbgrader_and_gradescope_have_the_columns_that_they_write() -> None:
    files = tables()
    heads = "assignment duedate timestamp student_id last_name first_name email raw_score late_submission_penalty score"
    assert list(files["gradebook-nbgrader.csv"][0]) == [*heads.split(), "max_score"]
    zoe = next(line for line in files["gradebook-gradescope.csv"] if line["SID"] == "103")
    assert list(zoe)[:7] == ["First Name", "Last Name", "SID", "Email", "Total Score", "Max Points", "Status"]
    assert list(zoe.items())[12] == ("1: Multiply by two (2.0 pts)", "1.25")
    assert (zoe["First Name"], zoe["Last Name"], zoe["Total Score"], zoe["Status"]) == (
        "Zoë",
        "Müller",
        "8.25",
        "Graded",
    )
    assert [line["Status"] for line in files["gradebook-gradescope.csv"]] == ["Missing", "Graded", "Ungraded", "Graded"]
    assert [line["score"] for line in files["gradebook-nbgrader.csv"]] == ["", "9", "", "8.25"]


@pytest.mark.parametrize(
    ("name", "columns", "parts"),
    [
        ("Ada Lovelace", {}, ("Ada", "Lovelace")),
        ("Jan Peter van der Berg", {}, ("Jan Peter", "van der Berg")),
        ("王小明", {}, ("", "王小明")),
        ("", {}, ("", "")),
        ("Gabriel García Márquez", {"Name": "García Márquez, Gabriel"}, ("Gabriel", "García Márquez")),
        ("x", {"First Name": "Mary Ann", "Surname": "O'Neil"}, ("Mary Ann", "O'Neil")),
    ],
)
def test_a_name_is_split_as_in_the_roster(name: str, columns: dict[str, str], parts: tuple[str, str]) -> None:
    line = tables([row(Student("1", name, "", columns), StudentState.GRADED, FULL)])["gradebook-gradescope.csv"][0]
    assert (line["First Name"], line["Last Name"]) == parts


def test_a_grader_fault_is_never_a_zero_and_settings_decide_about_the_others() -> None:
    def total(**options: Any) -> dict[str, str]:
        return {line["SID"]: line["Total Score"] for line in tables(**options)["gradebook-gradescope.csv"]}

    assert total() == {"101": "9", "103": "8.25", "104": "", "105": ""}
    assert total(missing_is_zero=True) == {"101": "9", "103": "8.25", "104": "", "105": "0"}
    assert total(hold_provisional=True) == {"101": "9", "103": "", "104": "", "105": ""}
    stale = replace(row(ADA, StudentState.GRADED, FULL), state=StudentState.WAITING)
    assert tables([stale])["gradebook-nbgrader.csv"][0]["score"] == ""
    plain = {
        line["key"]: line["points"] for line in tables(missing_is_zero=True, hold_provisional=True)["gradebook.csv"]
    }
    assert plain == {"101": "9", "103": "8.25", "104": "", "105": "0"}


def test_students_without_points_are_left_out_where_an_empty_cell_would_clear_a_grade() -> None:
    books = gradebooks(ROWS, RUBRIC, GradebookSettings("VAE", missing_is_zero=True))
    assert [line["ID number"] for line in read(books.files["gradebook-moodle.csv"])] == ["105", "101", "103"]
    assert any("1 of 4 students have no points" in remark for remark in books.remarks)


def test_the_same_rows_in_any_order_are_the_same_bytes_by_last_name_then_id() -> None:
    settings = GradebookSettings("VAE")
    twins = (*ROWS, row(replace(ADA, id="100"), StudentState.GRADED, LESS))
    assert gradebooks(twins, RUBRIC, settings) == gradebooks(twins[::-1], RUBRIC, settings)
    assert [line["key"] for line in tables(twins)["gradebook.csv"]] == ["105", "100", "101", "104", "103"]


def test_without_a_roster_the_files_have_only_headings_and_a_note_says_so() -> None:
    books = gradebooks([row(None, StudentState.GRADED, FULL)], RUBRIC, GradebookSettings())
    assert read(books.files["gradebook.csv"])[0]["points"] == "9"
    assert read(books.files["gradebook-moodle.csv"]) == []
    with_rows = {name for name, content in books.files.items() if has_rows(content)}
    assert with_rows == {"gradebook.csv", "gradebook-nbgrader.csv"}
    assert all(map(has_rows, gradebooks(ROWS, RUBRIC, GradebookSettings()).files.values()))
    assert f"{RUBRIC.title}\n".encode() in books.files["gradebook-canvas.csv"]  # the rubric's title, if nothing is said
    assert any("no roster given" in remark for remark in books.remarks)


NAMES = st.text(max_size=60) | st.sampled_from(
    ["=1+1", "\t=1", "＝1", "'-1", '"@a', " +2", "-", "Jean-Luc", "O'Neil", "van der Berg", "\u202eabc", "x" * 5000]
)


@given(NAMES, NAMES)
def test_no_name_is_a_formula_and_none_is_lost(name: str, login: str) -> None:
    known = {"Username": login, "Section": login, "Student": name, "Identifier": name}
    student = Student("007", name, login, known)
    rows = (
        row(student, StudentState.GRADED, FULL),
        GradebookRow(name or "x", StudentState.MISSING, replace(student, id="008")),
    )
    files = gradebooks(rows, RUBRIC, GradebookSettings("=VAE()", missing_is_zero=True)).files
    for content in files.values():
        for line in csv.reader(io.StringIO(content.decode()), strict=True):
            for text in line:
                assert (
                    text.startswith("'")
                    or text.lstrip(" \"'")[:1] not in {"=", "+", "@", "-", "＝"}
                    or cell(text) == text
                )
                assert text.startswith("    Points Possible") or cell(text) == text
    shown = {line["student id"]: line for line in read(files["gradebook.csv"])}
    assert shown["007"]["name"].removeprefix("'") == cell(name).removeprefix("'")
    assert shown["007"]["email"] == cell(login)


def test_the_worksheet_has_the_language_of_moodles_own() -> None:
    columns = {"ID": "Teilnehmer/in4002", "Vollständiger Name": "Zoë Müller", "Bewertung": "", "Bestwertung": "9,00"}
    german = replace(ZOE, columns={**columns, "Zuletzt geändert (Bewertung)": "-"})
    (line,) = tables([row(german, StudentState.GRADED, FULL)])["gradebook-moodle-worksheet.csv"]
    assert (line["ID"], line["Bewertung"], line["Bestwertung"]) == ("Teilnehmer/in4002", "9", "9")
    assert line["Zuletzt geändert (Bewertung)"] == ""
