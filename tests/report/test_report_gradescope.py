"""`results.json` has Gradescope's field names and types, and shows a student nothing that is meant for staff."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest
from report_samples import ITEMS, check, empty, hostile, middling, perfect

from grader.records import GradeReport, ItemVerdict, Outcome, Remark
from grader.report.student_text import results_json

# https://gradescope-autograders.readthedocs.io/en/latest/specs/
FORMATS = {"text", "html", "simple_format", "md", "ansi"}
VISIBILITIES = {"hidden", "after_due_date", "after_published", "visible"}
TOP: Mapping[str, Any] = {
    "score": (int, float), "execution_time": (int,), "output": (str,), "output_format": FORMATS,
    "test_output_format": FORMATS, "test_name_format": FORMATS, "visibility": VISIBILITIES,
    "stdout_visibility": VISIBILITIES, "extra_data": (dict,), "tests": (list,), "leaderboard": (list,),
}  # fmt: skip
TEST: Mapping[str, Any] = {
    "score": (int, float), "max_score": (int, float), "status": {"passed", "failed"}, "name": (str,),
    "name_format": FORMATS, "number": (str,), "output": (str,), "output_format": FORMATS, "tags": (list,),
    "visibility": VISIBILITIES, "extra_data": (dict,),
}  # fmt: skip


def assert_follows(values: Mapping[str, Any], schema: Mapping[str, Any]) -> None:
    for name, value in values.items():
        allowed = schema[name]  # an unknown name is an error
        assert value in allowed if isinstance(allowed, set) else type(value) in allowed, name


@pytest.mark.parametrize("sample", [perfect, middling, empty, hostile])
def test_the_documented_format_is_followed(sample: Callable[[], GradeReport]) -> None:
    results = results_json(sample())
    assert_follows(results, TOP)
    for test in results["tests"]:
        assert_follows(test, TEST)
    json.dumps(results, allow_nan=False).encode()


def test_one_test_an_item_with_its_points_and_reasons() -> None:
    results = results_json(middling())
    assert results["score"] == 79.5
    assert [test["max_score"] for test in results["tests"]] == [points for _, points, _ in ITEMS]
    loss = results["tests"][2]
    assert (loss["score"], loss["status"]) == (3.5, "failed")
    assert "should be 0.36 a latent" in loss["output"]
    assert "Hint: Look at the sign" in loss["output"]
    assert results["execution_time"] == 184


def test_manual_review_is_announced() -> None:
    assert "The course staff will review" in results_json(middling())["output"]
    assert "will review" not in results_json(perfect())["output"]
    assert "could not be graded automatically" in results_json(middling())["tests"][-1]["output"]


def test_staff_matters_stay_with_staff() -> None:
    output = check(
        "x", 1000, 0, message="FileNotFoundError: /srv/runs/7/box/data.pt in /srv/runs/7/box/in_box/probe.py"
    )
    report = middling()
    item = ItemVerdict("x", "X", Outcome.FAILED, 0, 1000, (output,))
    written = json.dumps(results_json(replace(report, items=(*report.items, item))))
    for secret in (report.seed, "worst_relative_error", "4096", "/srv", "in_box", "given_cell_changed", "b" * 64):
        assert secret not in written
    assert "probe.py" in written


def test_hostile_text_is_cut_and_cleaned() -> None:
    results = results_json(hostile())
    for test in results["tests"]:
        assert len(test["output"]) < 3000
        assert not set("\x1b\x9b\u202e\x00\r") & set(test["name"] + test["output"])


def test_a_run_without_isolation_is_reported_loudly() -> None:
    open_run, walled = results_json(middling()), results_json(perfect())
    assert open_run["output"].startswith("GRADED WITHOUT ISOLATION. ")
    assert (open_run["extra_data"]["isolated"], walled["extra_data"]["isolated"]) == (False, True)
    assert "ISOLATION" not in walled["output"]


def test_a_student_reads_one_neutral_sentence_on_each_subject() -> None:
    remarks = (*middling().remarks, Remark("error_differs", "secret", 3, True), Remark("given_cell_missing", "secret"))
    output = results_json(replace(perfect(), remarks=remarks))["output"]
    sentences = [line for line in output.splitlines() if "This alone costs no points." in line]
    assert len(sentences) == len(set(sentences)) == 3
    for word in ("secret", "61.02", "106.03", "look is worth", "mnist"):
        assert word not in output
    assert "costs no points" not in results_json(perfect())["output"]
