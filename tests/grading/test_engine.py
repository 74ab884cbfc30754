"""Whole grades of an exercise that is not part of the grader."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from small_exercise import notebook, running

from grader.errors import GraderError
from grader.grading.grade import Options, grade
from grader.grading.regrade import regrade
from grader.notebook.template import make_template
from grader.records import GradeReport, Notebook, Outcome, Status


def graded(folder: Path, submission: Notebook, *, train: bool = True) -> GradeReport:
    path = folder / "someone.ipynb"
    path.write_text(json.dumps(submission))
    options = Options(parts=None if train else ())
    report, _ = grade(path, running.write_exercise(folder), folder / "run", options, say=lambda _: None)
    return report


def points(report: GradeReport) -> dict[str, float]:
    return {item.id: item.points_milli / 1000 for item in report.items}


def test_a_correct_solution_gets_all_points_and_every_file_is_written(tmp_path: Path) -> None:
    report = graded(tmp_path, notebook.submission())
    assert points(report) == {"one.function": 2, "one.training": 4, "two.function": 2, "two.training": 1}
    assert (report.status, report.needs_person, report.isolation) == (Status.OK, False, "bubblewrap")
    expected_files = {
        "report.html",
        "report.json",
        "results.json",
        "executed.ipynb",
        "evidence.safetensors",
        "execution.json",
    }
    assert expected_files <= {path.name for path in (tmp_path / "run").iterdir()}


def test_a_mistake_costs_its_own_item_and_text_from_the_box_is_harmless(tmp_path: Path) -> None:
    wrong = notebook.submission(double="def double(x):\n    raise ValueError('\\ud800\\x1b[2J<script>')")
    report = graded(tmp_path, wrong)
    assert points(report) == {"one.function": 0, "one.training": 4, "two.function": 2, "two.training": 1}
    assert report.items[0].outcome is Outcome.FAILED
    assert "ValueError" in report.items[0].checks[0].message
    assert "<script>" not in (tmp_path / "run" / "report.html").read_text()


def test_the_template_gets_no_points_and_no_manual_review(tmp_path: Path) -> None:
    report = graded(tmp_path, notebook.template())
    assert report.points_milli == 0
    assert not report.needs_person


def test_components_can_be_graded_alone(tmp_path: Path) -> None:
    report = graded(tmp_path, notebook.submission(), train=False)
    assert points(report)["one.function"] == 2
    assert report.items[1].outcome is Outcome.SKIPPED


def test_grading_a_file_that_is_not_a_notebook_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.ipynb").write_text("{}")
    with pytest.raises(GraderError) as error:
        grade(tmp_path / "x.ipynb", running.write_exercise(tmp_path), tmp_path / "run", say=lambda _: None)
    assert "\n" not in str(error.value)


def test_a_notebook_from_an_earlier_template_is_graded_as_such_also_later(tmp_path: Path) -> None:
    def earlier(content: Notebook) -> Notebook:
        next(cell for cell in content["cells"] if cell["id"] == "constants")["source"] = "STEPS = 2"
        return content

    rubric = running.write_exercise(tmp_path)
    own = "{one.training: {training_lowers_the_loss: {zero_at: 2.0, full_at: 1.0}}}"
    rubric.write_text(rubric.read_text() + f"\nearlier_templates: {{then.ipynb: {own}}}\n")
    (tmp_path / "then.ipynb").write_text(json.dumps(make_template(earlier(notebook.reference()))))
    (tmp_path / "someone.ipynb").write_text(json.dumps(earlier(notebook.submission())))
    report, _ = grade(tmp_path / "someone.ipynb", rubric, tmp_path / "run", say=lambda _: None)
    assert points(report) == {"one.function": 2, "one.training": 4, "two.function": 2, "two.training": 0.5}
    assert (report.template, report.needs_person) == ("then.ipynb", False)
    assert "earlier_template" in [remark.kind for remark in report.remarks]
    again = regrade(tmp_path / "run", rubric)
    assert (points(again), again.template) == (points(report), report.template)
    rubric.write_text(rubric.read_text().replace("full_at: 1.0", "full_at: 0.0"))
    assert points(regrade(tmp_path / "run", rubric))["one.training"] == 3.5
