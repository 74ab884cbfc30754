"""One graded notebook, without isolation, changed and with invented outputs: every report says all three."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from small_exercise import notebook, running

from grader.grading.grade import Options, grade
from grader.grading.regrade import regrade
from grader.records import GradeReport
from grader.report.terminal import print_report

Graded = tuple[GradeReport, Path]


@pytest.fixture(scope="module")
def graded(tmp_path_factory: pytest.TempPathFactory) -> Graded:
    folder = tmp_path_factory.mktemp("graded")
    handed_in = notebook.submission(
        before=["print('final loss: 5.0')"],
        show_one="print('weight', np.round(one['weight'], 3), 'which I like better \x1b[2J<script>')",
    )
    invented: dict[str, Any] = {"output_type": "stream", "name": "stdout", "text": "final loss: 0.01\n"}
    handed_in["cells"][2] |= {"outputs": [invented], "execution_count": 3}
    path = folder / "someone.ipynb"
    path.write_text(json.dumps(handed_in))
    options = Options(isolation="none", parts=())
    return grade(path, running.write_exercise(folder), folder / "run", options, say=lambda _: None)


def test_tampering_costs_no_points_and_needs_review(graded: Graded) -> None:
    report, _ = graded
    assert [item.points_milli for item in report.items if item.id.endswith("function")] == [2000, 2000]
    assert report.needs_person
    kinds = [remark.kind for remark in report.remarks]
    assert kinds.count("outputs_differ") == kinds.count("given_cell_changed") == 1


def test_the_page_and_the_json_show_both_sides(graded: Graded) -> None:
    page = (graded[1] / "report.html").read_text()
    for part in ("final loss", "0.01", "5.0", "Graded without isolation", "which I like better &lt;script&gt;"):
        assert part in page
    values = json.loads((graded[1] / "report.json").read_bytes())
    (differs,) = [remark for remark in values["remarks"] if remark["kind"] == "outputs_differ"]
    assert differs["beside"] == [{"what": "final loss", "saved": "0.01", "again": "5.0"}]
    assert values["warnings"][0].startswith("Graded without isolation")


def test_the_student_reads_neutral_sentences_and_no_numbers(graded: Graded) -> None:
    output = json.loads((graded[1] / "results.json").read_bytes())["output"]
    assert "GRADED WITHOUT ISOLATION" in output
    assert output.count("This alone costs no points.") == 3
    assert "0.01" not in output


def test_the_terminal_shows_tampering_without_control_characters(graded: Graded) -> None:
    console = Console(width=200, record=True, file=(graded[1] / "terminal.txt").open("w"))
    print_report(graded[0], console, graded[1])
    text = console.export_text()
    console.file.close()
    assert "'final loss', the submitted value ends at 0.01, this run's at 5.0; please check." in text
    assert text.count("Graded without isolation") == 2
    assert "\x1b" not in text


def test_a_regrade_keeps_the_notes_on_tampering(graded: Graded) -> None:
    report, folder = graded
    assert regrade(folder, folder.parent / "rubric.yaml").remarks == report.remarks
