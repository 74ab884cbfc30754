"""The whole story on an exercise that the grader has never heard of."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from toy_exercise import notebook, running

from grader.errors import GraderError
from grader.pipeline import Options, grade
from grader.records import GradeReport, Notebook, Outcome, Status


def graded(folder: Path, submission: Notebook, *, train: bool = True) -> GradeReport:
    path = folder / "someone.ipynb"
    path.write_text(json.dumps(submission))
    options = Options(parts=None if train else ())
    report, _ = grade(path, running.write_exercise(folder), folder / "run", options, say=lambda _: None)
    return report


def points(report: GradeReport) -> dict[str, float]:
    return {item.id: item.points_milli / 1000 for item in report.items}


def test_a_right_solution_gets_all_points_and_every_file_is_there(tmp_path: Path) -> None:
    report = graded(tmp_path, notebook.submission())
    assert points(report) == {"one.function": 2, "one.training": 4, "two.function": 2, "two.training": 1}
    assert (report.status, report.needs_person, report.isolation) == (Status.OK, False, "bubblewrap")
    wanted = {"report.html", "report.json", "results.json", "executed.ipynb", "evidence.safetensors", "execution.json"}
    assert wanted <= {path.name for path in (tmp_path / "run").iterdir()}


def test_a_mistake_costs_its_own_item_and_text_from_the_box_is_harmless(tmp_path: Path) -> None:
    wrong = notebook.submission(double="def double(x):\n    raise ValueError('\\ud800\\x1b[2J<script>')")
    report = graded(tmp_path, wrong)
    assert points(report) == {"one.function": 0, "one.training": 4, "two.function": 2, "two.training": 1}
    assert report.items[0].outcome is Outcome.FAILED
    assert "ValueError" in report.items[0].checks[0].message
    assert "<script>" not in (tmp_path / "run" / "report.html").read_text()


def test_the_template_gets_nothing_and_needs_nobody(tmp_path: Path) -> None:
    report = graded(tmp_path, notebook.template())
    assert report.points_milli == 0
    assert not report.needs_person


def test_components_alone(tmp_path: Path) -> None:
    report = graded(tmp_path, notebook.submission(), train=False)
    assert points(report)["one.function"] == 2
    assert report.items[1].outcome is Outcome.SKIPPED


def test_what_is_no_notebook_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "x.ipynb").write_text("{}")
    with pytest.raises(GraderError) as error:
        grade(tmp_path / "x.ipynb", running.write_exercise(tmp_path), tmp_path / "run", say=lambda _: None)
    assert "\n" not in str(error.value)
