"""The sentence on isolation in each form of the report: none, the weaker layers, or a warning at the top."""

from __future__ import annotations

from dataclasses import replace

import pytest
from report_samples import perfect

from grader.records import AS_GRADER, GradeReport, Status
from grader.report.pages import commands, feedback_html, report_html
from grader.report.report_json import report_json
from grader.report.student_text import feedback_text, results_json
from grader.report.totals import needs_person
from grader.report.words import isolation_remark, isolation_warning

LITTLE = "Graded with little isolation"


def report(isolation: str) -> GradeReport:
    return replace(perfect(), isolation=isolation)


@pytest.mark.parametrize("isolation", ["bubblewrap", "container", "user: Landlock 7", "user: no Landlock"])
def test_a_box_that_holds_gets_no_warning_and_its_points_are_final(isolation: str) -> None:
    one = report(isolation)
    assert (isolation_warning(one), report_json(one)["warnings"]) == ("", [])
    assert results_json(one)["extra_data"]["isolated"] is True
    assert not needs_person(one.items, (), Status.OK, isolation)
    assert "isolation" not in (feedback_text(one) + feedback_html(one)).lower()


def test_without_namespaces_staff_read_what_is_weaker() -> None:
    assert isolation_remark(report("bubblewrap")) == isolation_remark(report("none")) == ""
    for isolation, only_permissions in (("user: Landlock 7", False), ("user: no Landlock", True)):
        note = isolation_remark(report(isolation))
        assert note.startswith("Graded without namespaces, as a separate user: ")
        assert ("only file permissions" in note) is only_permissions
        assert "Graded without namespaces" in report_html(report(isolation))


def test_the_graders_own_account_is_warned_of_in_every_report() -> None:
    one = report(f"{AS_GRADER}: Landlock 7")
    assert isolation_warning(one).startswith(f"{LITTLE}: the submission ran as the grader's own account.")
    assert isolation_remark(one) == ""
    assert report_json(one)["warnings"] == [isolation_warning(one)]
    assert report_html(one).index(LITTLE) < report_html(one).index("Conditions")
    assert results_json(one)["output"].startswith("GRADED WITH LITTLE ISOLATION. These points are not final: ")
    assert results_json(one)["extra_data"]["isolated"] is False
    assert LITTLE.upper() in feedback_text(one)
    assert LITTLE.upper() in feedback_html(one)
    assert needs_person(one.items, (), Status.OK, one.isolation)


@pytest.mark.parametrize("isolation", ["user: Landlock 7", f"{AS_GRADER}: Landlock 7", "none"])
def test_the_command_that_repeats_a_run_names_its_isolation(isolation: str) -> None:
    assert f" --isolation {isolation[:4]}" in commands(report(isolation))[1][1]
    assert "--isolation" not in commands(report("bubblewrap"))[1][1]
