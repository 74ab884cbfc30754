"""Lateness is reported beside the points and never changes them; every file about it is checked."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import downloads
import pytest
from assistants_folder import World, class_again, make_world, whole_class
from downloads import NOTEBOOK, write
from hypothesis import given
from hypothesis import strategies as st
from toy_reports import ADA, FULL, RUBRIC, report, row

from grader.batch.class_records import ClassSubmission, GradebookRow, StudentState
from grader.batch.gradebooks import GradebookSettings, gradebooks
from grader.batch.history import event_line, read_history
from grader.batch.late import LateDecision, LatePolicy, read_policy, with_lateness
from grader.batch.page import class_page
from grader.batch.students.discovery import find
from grader.batch.students.roster import read_roster
from grader.errors import GraderError
from grader.records import GradeReport, Lateness
from grader.report.pages import feedback_html, report_html
from grader.report.report_json import dump, read_report_json
from grader.report.student_text import feedback_text
from grader.report.totals import counted_milli, penalty_milli
from grader.report.words import late_sentence

DUE = datetime(2026, 11, 20, 23, 59, tzinfo=UTC)
POLICY = "deadline: 2026-11-20 23:59\ntimezone: UTC\ngrace_minutes: 15\npercent_a_day: 10\nat_most_percent: 50\n"
NAMES = {name: name for name in ("ada", "ben", "cleo")}


def submission_at(when: datetime | None, key: str = "ada") -> ClassSubmission:
    return ClassSubmission(key, Path("x.ipynb"), "x.ipynb", when=when)


def late(percent: float = 20.0, days: int = 2, *, of_earned: bool = False, note: str = "") -> GradeReport:
    lateness = Lateness("2026-11-22T10:00+00:00", "2026-11-20T23:59+00:00", days, percent, of_earned, note)
    return with_lateness(report(FULL), lateness)


def written(folder: Path, text: str) -> LatePolicy | None:
    (folder / "late.yaml").write_text(text)
    return read_policy(folder / "late.yaml", NAMES)


@pytest.mark.parametrize(
    ("after", "days", "percent"),
    [
        (timedelta(days=-3), 0, 0),
        (timedelta(0), 0, 0),
        (timedelta(minutes=15), 0, 0),
        (timedelta(minutes=16), 1, 10),
        (timedelta(hours=24), 1, 10),
        (timedelta(hours=25), 2, 20),
        (timedelta(days=40), 40, 50),
    ],
)
def test_each_started_day_counts_after_the_grace_period_up_to_a_limit(
    after: timedelta, days: int, percent: float, tmp_path: Path
) -> None:
    policy = written(tmp_path, POLICY)
    assert policy
    lateness = policy.lateness(submission_at(DUE + after))
    assert lateness
    assert (lateness.days, lateness.percent) == (days, percent)


def test_a_day_is_24_hours_where_the_clocks_change(tmp_path: Path) -> None:
    text = "deadline: 2026-10-24 23:30\ntimezone: Europe/Berlin\npercent_a_day: 10\n"  # the night has 25 hours
    policy = written(tmp_path, text)
    assert policy
    latenesses = [policy.lateness(submission_at(datetime(2026, 10, 25, hour, 15))) for hour in (22, 23)]
    assert [one.days for one in latenesses if one] == [1, 2]


@pytest.mark.parametrize(
    ("text", "deadline"),
    [
        ("2026-11-20", "2026-11-20T23:59+00:00"),
        ("2026-11-20 18:00", "2026-11-20T18:00+00:00"),
        ("2026-11-20T18:00:00+01:00", "2026-11-20T17:00+00:00"),
        ("'20 November 2026, 6:00 PM'", "2026-11-20T18:00+00:00"),
    ],
)
def test_a_deadline_is_written_as_people_write_it(text: str, deadline: str, tmp_path: Path) -> None:
    policy = written(tmp_path, f"deadline: {text}\ntimezone: UTC\n")
    assert policy
    assert policy.lateness(submission_at(DUE)).deadline == deadline  # type: ignore[union-attr]


def test_extensions_excuses_and_times_set_by_hand(tmp_path: Path) -> None:
    of_students = (
        "students:\n  ada: {extended_to: 2026-11-23, reason: ill, by: T}\n"
        "  ben: {excused: true, reason: a fault of ours, by: T}\n"
        "  cleo: {handed_in: 2026-11-21 10:00, reason: by e-mail, by: T}\n"
    )
    policy = written(tmp_path, POLICY + of_students)
    assert policy
    late_for_all = DUE + timedelta(days=2)
    ada, ben = (policy.lateness(submission_at(late_for_all, key)) for key in ("ada", "ben"))
    cleo = policy.lateness(submission_at(None, "cleo"))
    assert [one.days for one in (ada, ben, cleo) if one] == [0, 0, 1]
    assert [one.note for one in (ada, ben, cleo) if one] == ["ill, T", "a fault of ours, T", "by e-mail, T"]
    assert policy.lateness(submission_at(None)) is None


def test_a_team_has_the_latest_deadline_of_its_members(tmp_path: Path) -> None:
    (tmp_path / "late.yaml").write_text(
        POLICY + "students:\n  '101': {extended_to: 2026-11-22, reason: ill, by: T}\n"
        "  '103': {extended_to: 2026-11-24, reason: away, by: T}\n"
    )
    policy = read_policy(tmp_path / "late.yaml", {"101": "101-103", "103": "101-103"})
    assert policy
    lateness = policy.lateness(submission_at(DUE, "101-103"))
    assert lateness
    assert (lateness.deadline, lateness.note) == ("2026-11-24T23:59+00:00", "ill, T; away, T")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("- a", "expected a table of `name: value`, got a list"),
        ("percent_a_day: 10", "deadline: missing"),
        ("deadline: soon", "deadline: expected a time such as 2026-11-20 23:59, got 'soon'"),
        ("deadline: 2026-11-20\ntimezone: Berlin", "timezone: expected a name such as Europe/Berlin, got 'Berlin'"),
        ("deadline: 2026-11-20\npercent_a_day: 120", "percent_a_day: expected a number from 0 to 100, got '120'"),
        ("deadline: 2026-11-20\npercent_a_day: true", "percent_a_day: expected a number"),
        ("deadline: 2026-11-20\npercent_of: all", "percent_of: expected possible or earned"),
        ("deadline: 2026-11-20\npenalty: 10", "unknown field 'penalty'"),
        ("deadline: 2026-11-20\nstudents: {eve: {excused: true, reason: x, by: y}}", "students: eve: no such student"),
        ("deadline: 2026-11-20\nstudents: {ada: {excused: true}}", "ada: reason is missing"),
        ("deadline: 2026-11-20\nstudents: {ada: {excused: 1, reason: x, by: y}}", "excused: expected true or false"),
        ("deadline: 2026-11-20\nstudents: {ada: {extended: 2, reason: x, by: y}}", "did you mean 'extended_to'?"),
        ("deadline: 2026-13-40 10:00:00", "not valid YAML"),
        (
            "deadline: 2026-11-20\nstudents: {ada: {extended_to: 2026-11-10, reason: x, by: y}}",
            "expected a time after the deadline",
        ),
        ("deadline: 2026-11-20\nstudents: {ada: {handed_in: 2099-11-10, reason: x, by: y}}", "expected a past time"),
        (
            "deadline: 2026-11-20\nstudents:\n  ada: {excused: true, reason: x, by: y}\n"
            "  ada: {handed_in: 2026-11-10, reason: x, by: y}\n",
            "line 4: 'ada' is given twice",
        ),
    ],
)
def test_a_mistake_is_refused_with_its_place(text: str, says: str, tmp_path: Path) -> None:
    with pytest.raises(GraderError) as error:
        written(tmp_path, text)
    assert says in str(error.value)
    assert "late.yaml" in str(error.value)
    assert "\n" not in str(error.value)


@given(
    st.integers(0, 200), st.floats(0, 100), st.floats(0, 100), st.booleans(),
    st.lists(st.integers(0, 20), min_size=len(FULL), max_size=len(FULL)),
)  # fmt: skip
def test_points_are_never_touched_and_the_penalty_is_never_more_than_them(
    days: int, a_day: float, most: float, of_earned: bool, lost: list[int]
) -> None:
    points = tuple(max(0, full - 250 * less) for full, less in zip(FULL, lost, strict=True))
    policy = LatePolicy(DUE, UTC, timedelta(), a_day, most, of_earned)
    before = report(points)
    after = with_lateness(before, policy.lateness(submission_at(DUE + timedelta(days=days))))
    assert (after.points_milli, after.items) == (before.points_milli, before.items)
    assert 0 <= penalty_milli(after) <= after.points_milli
    assert counted_milli(after) + penalty_milli(after) == after.points_milli
    later = with_lateness(before, policy.lateness(submission_at(DUE + timedelta(days=days + 1))))
    assert penalty_milli(later) >= penalty_milli(after)
    excused = replace(policy, decisions={"ada": LateDecision(excused=True)})
    assert penalty_milli(with_lateness(before, excused.lateness(submission_at(DUE + timedelta(days=days))))) == 0
    assert read_report_json(dump(after)) == after


def test_every_form_of_a_report_shows_lateness_beside_the_points() -> None:
    late_report = late()
    words = late_sentence(late_report)
    assert words == (
        "Submitted on 2026-11-22 10:00, 2 days after the deadline 2026-11-20 23:59: penalty 1.8 points, so 7.2 count."
    )
    assert words in feedback_text(late_report)
    assert words in feedback_html(late_report)
    assert words in report_html(late_report, (), None)
    values = json.loads(dump(late_report))
    assert (values["points"], values["counted_points"]) == (9, 7.2)
    assert late_sentence(late(0.0, 0)) == ""
    assert late_sentence(late(0.0, 0, note="ill, T")) == (
        "Submitted on 2026-11-22 10:00, after the deadline 2026-11-20 23:59, without a penalty (ill, T)."
    )
    early = replace(
        late(0.0, 0, note="ill, T"), late=Lateness("2026-11-19T10:00", "2026-11-20T23:59", 0, 0.0, note="ill")
    )
    assert late_sentence(early) == "Submitted on 2026-11-19 10:00, before the deadline 2026-11-20 23:59 (ill)."


def tables(rows: list[GradebookRow]) -> dict[str, list[dict[str, str]]]:
    books = gradebooks(rows, RUBRIC, GradebookSettings())
    return {name: list(csv.DictReader(text.decode().splitlines())) for name, text in books.files.items()}


def test_gradebooks_have_the_points_after_the_penalty_and_gradebook_csv_has_both() -> None:
    files = tables([replace(row("101", StudentState.GRADED, ADA, FULL), report=late())])
    mine = files["gradebook.csv"][0]
    columns = ("points", "days late", "late penalty", "points after penalty")
    assert [mine[name] for name in columns] == ["9", "2", "1.8", "7.2"]
    assert files["gradebook-moodle.csv"][0][RUBRIC.title] == "7.2"
    assert "penalty 1.8 points" in files["gradebook-moodle.csv"][0][f"{RUBRIC.title} (Feedback)"]
    assert files["gradebook-canvas.csv"][1][RUBRIC.title] == "7.2"
    assert files["gradebook-gradescope.csv"][0]["Total Score"] == "7.2"
    theirs = files["gradebook-nbgrader.csv"][0]
    assert (theirs["raw_score"], theirs["late_submission_penalty"], theirs["score"]) == ("9", "1.8", "7.2")
    assert theirs["timestamp"] == "2026-11-22T10:00+00:00"


def test_an_excused_student_gets_no_zero() -> None:
    nobody = [
        GradebookRow("105", StudentState.MISSING, replace(ADA, id=name), excused=name == "1") for name in ("1", "2")
    ]
    settings = GradebookSettings(missing_is_zero=True)
    lines = csv.DictReader(gradebooks(nobody, RUBRIC, settings).files["gradebook.csv"].decode().splitlines())
    assert {line["student id"]: line["points"] for line in lines} == {"1": "", "2": "0"}


def test_the_class_page_shows_the_points_after_lateness() -> None:
    page = class_page([replace(row("101", StudentState.GRADED, ADA, FULL), report=late())], RUBRIC, "toy")
    assert "9<small>7.2 after lateness</small>" in page
    assert "2 days after the deadline 2026-11-20 23:59" in page


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    return make_world(tmp_path, monkeypatch)


def test_lateness_is_kept_by_regrades_and_removed_with_its_file(world: World) -> None:
    out = Path("runs/class")
    whole_class(None)(world)
    entry = "  ada: {handed_in: 2026-11-22 10:00, reason: by e-mail, by: T}\n"
    (out / "late.yaml").write_text(f"{POLICY}students:\n{entry}")

    def seen(rows: object) -> dict[str, tuple[int | None, int | None]]:
        return {one.key: (one.points_milli, one.counted_milli) for one in rows}  # type: ignore[attr-defined]

    expected = {"ada": (9000, 7200), "ben": (4000, 4000), "cleo": (9000, 9000)}
    again = class_again(world)
    assert seen(again.rows) == expected  # type: ignore[attr-defined]
    assert any("2 of 3 submissions have no known submission time" in remark for remark in again.remarks)  # type: ignore[attr-defined]
    assert seen(class_again(world).rows) == expected  # type: ignore[attr-defined]
    assert seen(whole_class(None)(world).rows) == expected  # type: ignore[attr-defined]
    (event,) = [event for event in read_history(out) if event.what == "lateness"]
    assert (event.submission, event.old_milli, event.new_milli, event.new_penalty_milli) == ("ada", 9000, 9000, 1800)
    assert "9 -> 9, late penalty 1.8 (" in event_line(event)
    (out / "late.yaml").unlink()
    assert seen(class_again(world).rows)["ada"] == (9000, 9000)  # type: ignore[attr-defined]
    assert "no late penalty any more" in event_line(read_history(out)[-1])


def test_a_mistake_in_the_file_changes_nothing(world: World) -> None:
    whole_class(None)(world)
    Path("runs/class/late.yaml").write_text("deadline: soon\n")
    before = Path("runs/class/gradebook.csv").read_bytes()
    for command in (class_again, whole_class(None)):
        with pytest.raises(GraderError, match="expected a time"):
            command(world)
    assert Path("runs/class/gradebook.csv").read_bytes() == before


WORKSHEET = (
    "Identifier,Full name,Email address,Last modified (submission)\n"
    'Participant 7001,Ada Lovelace,ada@u.example,"Sunday, 22 November 2026, 10:00 AM"\n'
)
TIMES: dict[str, tuple[Mapping[str, str], str]] = {
    "Gradescope": (downloads.GRADESCOPE, downloads.ROSTER),
    "nbgrader": (downloads.NBGRADER, downloads.ROSTER),
    "nbgrader's exchange": ({"ada+vae+2026-11-01 10:00:00 UTC/vae.ipynb": NOTEBOOK}, downloads.ROSTER),
    "Blackboard": ({"VAE_ada_attempt_2026-11-01-10-00-00_vae.ipynb": NOTEBOOK}, downloads.ROSTER),
    "Brightspace": ({"1-2 - Ada Lovelace - Nov 1, 2026 1000 AM/vae.ipynb": NOTEBOOK}, downloads.ROSTER),
    "Moodle": ({"Ada Lovelace_7001_assignsubmission_file/vae.ipynb": NOTEBOOK}, WORKSHEET.replace("22", "1")),
}


@pytest.mark.parametrize("system", TIMES)
def test_a_download_or_a_worksheet_has_the_time_of_submission(system: str, tmp_path: Path) -> None:
    files, roster = TIMES[system]
    (tmp_path / "roster.csv").write_text(roster, encoding="utf-8")
    discovery = find(
        write(tmp_path / "all", files), tmp_path / "unpacked", read_roster(tmp_path / "roster.csv"), max_mb=1
    )
    when = discovery.submissions[0].when
    assert when
    assert when.replace(tzinfo=None) == datetime(2026, 11, 1, 10)


def test_a_file_that_cannot_be_graded_has_its_time_too(tmp_path: Path) -> None:
    (tmp_path / "roster.csv").write_text(WORKSHEET, encoding="utf-8")
    files = {"Ada Lovelace_7001_assignsubmission_file/report.pdf": "%PDF"}
    discovery = find(
        write(tmp_path / "all", files), tmp_path / "unpacked", read_roster(tmp_path / "roster.csv"), max_mb=1
    )
    assert discovery.submissions[0].refused
    assert discovery.submissions[0].when == datetime(2026, 11, 22, 10)
