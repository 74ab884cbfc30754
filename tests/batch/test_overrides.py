"""Decisions of staff replace the grader's verdicts, are shown in every report, and are never overwritten."""

from __future__ import annotations

from pathlib import Path

import pytest
from small_exercise import running
from toy_reports import FULL, LESS, RUBRIC, report

from grader.errors import GraderError
from grader.grading.overrides import Decisions, decisions_in, names_of, read_overrides, with_overrides
from grader.records import Outcome, Override
from grader.report.pages import report_html
from grader.report.report_json import dump, read_report_json
from grader.report.student_text import results_json

NAMES = names_of({"ada": ["101"], "zoe": ["103"]})
ITEM = RUBRIC.items[0].id
GOOD = f"ada:\n  {ITEM}: {{points: 1.5, reason: 'the loss was right', by: A. Turing, when: 2026-11-23}}\n"


def read(text: str, folder: Path) -> dict[str, Decisions]:
    path = folder / "overrides.yaml"
    path.write_text(text)
    return read_overrides(path, running.rubric(), NAMES)


def test_a_decision_is_read_by_key_or_by_student(tmp_path: Path) -> None:
    expected = {"ada": Decisions({ITEM: Override(1500, "the loss was right", "A. Turing", "2026-11-23")})}
    assert read(GOOD, tmp_path) == expected
    assert read(GOOD.replace("ada", "'101'"), tmp_path) == expected
    assert read_overrides(tmp_path / "none.yaml", running.rubric(), NAMES) == {}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("ada: [", "line 1: not valid YAML"),
        ("- ada", "expected a table of `name: value`, got a list"),
        (GOOD.replace("ada", "adda"), "adda: unknown submission; did you mean 'ada'"),
        (GOOD.replace(ITEM, ITEM + "s"), f"unknown item; did you mean '{ITEM}'"),
        (GOOD.replace("1.5", "99"), "points: expected 0 to 2, got 99"),
        (GOOD.replace("1.5", "-1"), "points: expected 0 to 2, got -1"),
        (GOOD.replace("1.5", "0.00001"), "at most 3 decimals"),
        (GOOD.replace("1.5", "many"), "expected a number"),
        (GOOD.replace("reason", "raeson"), "unknown field 'raeson'; did you mean 'reason'"),
        (GOOD.replace("reason: 'the loss was right', ", ""), "reason is missing; add `reason: <why>`"),
        (GOOD.replace("by: A. Turing, ", ""), "by is missing; add `by: <your name>`"),
        (GOOD.replace("2026-11-23", "[1]"), "when: expected a date"),
    ],
)
def test_a_mistake_is_refused(text: str, says: str, tmp_path: Path) -> None:
    with pytest.raises(GraderError) as error:
        read(text, tmp_path)
    assert says in str(error.value)
    assert "\n" not in str(error.value)


def test_points_follow_and_the_graders_own_stay_beside(tmp_path: Path) -> None:
    own = report(LESS, look=True)
    decided = with_overrides(own, read(GOOD, tmp_path)["ada"])
    item = decided.items[0]
    assert (item.points_milli, item.override and item.override.was_milli) == (1500, LESS[0])
    assert decided.points_milli == own.points_milli + 1500 - LESS[0]
    assert with_overrides(decided, None) == own
    again = with_overrides(decided, decisions_in(decided))
    assert again == decided


def test_every_form_shows_the_decision_and_the_json_is_read_back(tmp_path: Path) -> None:
    decided = with_overrides(report(LESS), read(GOOD, tmp_path)["ada"])
    assert read_report_json(dump(decided)) == decided
    sentence = "1.5 points instead of 1.25. Reason: the loss was right (A. Turing, 2026-11-23)"
    assert sentence in report_html(decided)
    assert any(sentence in test["output"] for test in results_json(decided)["tests"])


def test_an_old_report_without_the_field_can_be_read() -> None:
    own = report(FULL)
    old = dump(own).replace(b',\n      "override": null', b"")
    assert old != dump(own)
    assert read_report_json(old) == own


def test_looked_at_ends_the_manual_review(tmp_path: Path) -> None:
    own = report(FULL, look=True)
    assert own.needs_person
    looked = read("zoe: {looked_at: {reason: it only prints, by: A. Turing}}", tmp_path)["zoe"]
    decided = with_overrides(own, looked)
    assert not decided.needs_person
    assert decided.remarks[-1].message == "looked at by A. Turing: it only prints"
    assert with_overrides(decided, decisions_in(decided)) == decided
    assert with_overrides(decided, None) == own


def test_an_override_settles_an_item_that_could_not_be_graded_automatically(tmp_path: Path) -> None:
    from dataclasses import replace

    unsure = replace(report(FULL).items[0], outcome=Outcome.NEEDS_REVIEW, points_milli=0)
    own = replace(report(FULL), items=(unsure, *report(FULL).items[1:]), needs_person=True)
    decided = with_overrides(own, read(GOOD, tmp_path)["ada"])
    assert not decided.needs_person
    assert decided.items[0].outcome is Outcome.PARTIAL
