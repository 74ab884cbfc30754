"""Full grades of the two notebooks that a course starts from: the reference and the template."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from grader.exercises.vae_mnist.plugin import VaeMnist
from grader.grading.cache_keys import questions_checksum
from grader.grading.regrade import regrade
from grader.notebook.format import load_notebook
from grader.rubric import load_rubric

ROOT = Path(__file__).parents[2]
SEED = "0123456789abcdef0123456789abcdef"
OUTPUTS = {"report.html", "report.json", "results.json", "executed.ipynb", "evidence.safetensors", "execution.json"}
OUTPUTS |= {
    "findings.json",
    "figures.json",
    "evidence.json",
    "strip.webp",
    "notebook.json",
    "feedback.html",
    "feedback.txt",
    ".source",
    ".lock",
}  # files that re-grading does not write again, and the owner of the run


pytestmark = pytest.mark.whole


def graded(notebook: str, folder: Path) -> tuple[subprocess.CompletedProcess[str], dict[str, Any]]:
    command = [sys.executable, "-m", "grader", "grade", notebook, "--out", str(folder), "--seed", SEED]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=1500, check=False)
    assert (folder / "report.json").exists(), done.stderr
    return done, json.loads((folder / "report.json").read_text())


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("reference")
    done, report = graded("reference/vae_mnist.ipynb", folder)
    return done, report, folder


def test_the_reference_is_as_the_notebook_says_the_reference_is(reference: Any) -> None:
    _, _, folder = reference
    outputs = [out for cell in load_notebook(folder / "executed.ipynb")["cells"] for out in cell.get("outputs", [])]
    text = "".join("".join(out.get("text", [])) for out in outputs)
    pairs = re.findall(r"test images: ([\d.]+); the reference solution reaches ([\d.]+)\.", text)
    assert len(pairs) == 2
    for mine, given in pairs:
        assert float(mine) == pytest.approx(float(given), abs=0.02)


def test_the_reference_gets_all_points_without_manual_review(reference: Any) -> None:
    done, report, folder = reference
    lost = {
        check["id"]: check["message"]
        for item in report["items"]
        for check in item["checks"]
        if check["points"] != check["max_points"]
    }
    assert lost == {}
    assert (report["points"], report["max_points"], report["needs_person"]) == (100, 100, False)
    assert done.returncode == 0
    assert done.stdout.rstrip().splitlines()[-1] == "100 / 100"
    assert {path.name for path in folder.iterdir()} == OUTPUTS


def test_the_report_holds_what_a_gradebook_and_a_complaint_need(reference: Any) -> None:
    _, report, folder = reference
    assert report["seed"] == SEED
    assert set(report["checksums"]) == {"notebook", "rubric", "grader", "questions", "run", "evidence"}
    assert report["device"].startswith(("cpu", "cuda"))
    assert len(report["items"]) == 11
    for item in report["items"]:
        assert {"id", "title", "points", "max_points", "outcome", "checks"} <= set(item)
        for check in item["checks"]:
            assert {"id", "outcome", "points", "max_points", "message", "measured"} <= set(check)
    results = json.loads((folder / "results.json").read_text())
    assert results["score"] == 100
    assert len(results["tests"]) == 11


def test_the_page_shows_pictures_and_the_notebook_its_outputs(reference: Any) -> None:
    _, _, folder = reference
    page = (folder / "report.html").read_text()
    assert page.count("data:image/png;base64,") == 13
    student = (folder / "feedback.html").read_text().partition('<section class="notebook"')[0]
    assert student.count("data:image/png;base64,") == 13  # two are for staff, and two are maps of codes
    executed = load_notebook(folder / "executed.ipynb")
    shown = [output for cell in executed["cells"] for output in cell.get("outputs", [])]
    assert sum("image/png" in output.get("data", {}) for output in shown) >= 8
    assert not any(output["output_type"] == "error" for output in shown)


def test_stored_evidence_gives_the_same_points_again(reference: Any) -> None:
    _, report, folder = reference
    again = regrade(folder, ROOT / "rubric.yaml")
    assert again.points_milli == 1000 * report["points"]


def test_the_untouched_template_gets_no_points_and_no_manual_review(tmp_path: Path) -> None:
    done, report = graded("student_template/vae_mnist.ipynb", tmp_path / "template")
    assert report["points"] == 0
    assert report["needs_person"] is False
    assert done.returncode == 0
    assert done.stdout.rstrip().splitlines()[-1] == "0 / 100"
    messages = {check["message"] for item in report["items"] for check in item["checks"]}
    assert any("Encoder.__init__ is not implemented yet" in message for message in messages)


def test_a_seed_gives_the_same_questions_and_another_seed_others() -> None:
    rubric, _ = load_rubric(ROOT / "rubric.yaml")
    exercise = VaeMnist()
    exercise.prepare(lambda _: None)

    def checksum(seed: int) -> str:
        return questions_checksum(exercise.questions(np.random.default_rng(seed), rubric.sizes))

    assert checksum(1) == checksum(1)
    assert checksum(1) != checksum(2)
