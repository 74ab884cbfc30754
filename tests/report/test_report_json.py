"""`report.json` holds everything, exactly, and is read back as it was."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from report_samples import borderline, check, empty, hostile, middling, perfect

from grader.errors import GraderError
from grader.records import LEFT_OUT, GradeReport, ItemVerdict, Outcome
from grader.report.report_json import dump, read_report_json, report_json


@pytest.mark.parametrize("sample", [perfect, middling, empty, borderline])
def test_reading_gives_the_report_back(sample: Callable[[], GradeReport]) -> None:
    assert read_report_json(dump(sample())) == sample()


def test_the_promised_fields_are_there() -> None:
    values = report_json(middling())
    assert {"submission", "points", "max_points", "device", "items"} <= values.keys()
    for item in values["items"]:
        assert {"id", "title", "points", "max_points", "outcome", "checks"} <= item.keys()
        for one in item["checks"]:
            keys = {"id", "outcome", "points", "max_points", "message", "hint", "measured", "level", "borderline"}
            assert keys <= one.keys()


def test_whole_points_are_written_whole_and_add_up() -> None:
    written = dump(middling()).decode()
    assert '"rubric_points": 100,' in written
    assert '"max_points": 91,' in written  # 9 more await manual review
    assert '"points": 79.5,' in written
    values = json.loads(written)
    assert sum(item["points"] or 0 for item in values["items"]) == values["points"]
    assert sum(item["max_points"] for item in values["items"]) == values["max_points"]


def test_items_that_were_not_graded_have_no_points_and_say_so() -> None:
    left = check("q", 5000, 0, Outcome.SKIPPED, message=LEFT_OUT)
    items = (*perfect().items[:1], ItemVerdict("vae.quality", "Quality", Outcome.SKIPPED, 0, 5000, (left,)))
    earned = items[0].points_milli
    report = replace(perfect(), items=items, points_milli=earned, max_points_milli=earned + 5000)
    values = report_json(report)
    assert (values["points"], values["max_points"], values["rubric_points"]) == (20, 20, 25)
    assert (values["items"][1]["points"], values["items"][1]["max_points"]) == (None, 0)
    assert read_report_json(dump(report)) == report


def test_a_report_of_the_first_format_is_still_read() -> None:
    values = report_json(perfect())
    for one in (values, *values["items"]):
        one["max_points"] = one.pop("rubric_points")
    values["format"] = 1
    del values["trained"]
    assert read_report_json(json.dumps(values).encode()) == perfect()


def test_numbers_that_are_not_finite_become_words() -> None:
    measured = {"a": float("nan"), "b": float("-inf"), "c": np.float32(0.5), "d": 7, "e": "word"}
    one = check("x", 1000, 1, measured=measured)
    items = (ItemVerdict("x", "X", Outcome.PASSED, 1000, 1000, (one,)),)
    report = replace(perfect(), items=items, points_milli=1000, max_points_milli=1000)
    back = read_report_json(dump(report)).items[0].checks[0].measured
    assert back == {"a": "nan", "b": "-inf", "c": 0.5, "d": 7, "e": "word"}


def test_a_hostile_report_is_pure_ascii_and_complete() -> None:
    data = dump(hostile())
    assert data.isascii()
    assert b"\x1b" not in data
    assert read_report_json(data).items[0].checks[0].message == hostile().items[0].checks[0].message


def _without(values: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in values.items() if key != name}


@pytest.mark.parametrize(
    "broken",
    [
        b"",
        b"\xff\xfe",
        b"[]",
        b"{}",
        b"[" * 100_000,
        json.dumps(report_json(perfect()) | {"points": "100"}).encode(),
        json.dumps(report_json(perfect()) | {"points": 0.00001}).encode(),
        json.dumps(report_json(perfect()) | {"items": 3}).encode(),
        json.dumps(report_json(perfect()) | {"status": "splendid"}).encode(),
        json.dumps(report_json(perfect()) | {"wall_s": float("nan")}).encode(),
        json.dumps(_without(report_json(perfect()), "seed")).encode(),
    ],
)
def test_files_that_are_not_reports_are_refused(broken: bytes) -> None:
    with pytest.raises(GraderError) as refused:
        read_report_json(broken)
    assert len(str(refused.value).splitlines()) == 1


def test_a_run_without_isolation_is_reported_loudly() -> None:
    (warning,) = report_json(middling())["warnings"]
    assert warning.startswith("Graded without isolation: ")
    assert report_json(perfect())["warnings"] == []


def test_the_json_has_both_sides_and_the_changes() -> None:
    changed, differs, _ = report_json(middling())["remarks"]
    assert changed["diff"][1:] == ["-    return mnist(train)", "+    return mnist(False)"]
    assert differs["beside"] == [{"what": "loss, 10 of 10", "saved": "61.02", "again": "106.03"}]
