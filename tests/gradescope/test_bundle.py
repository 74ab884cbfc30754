"""The bundle on a platform that is played: unpacked, set up, handed submissions, and read."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
from toy_exercise import notebook, running

from grader.errors import GraderError
from grader.gradescope.bundle import SETTINGS, write_bundle

SHIPPED = Path(__file__).parents[2] / "rubric.yaml"
KNOWN = {"score", "execution_time", "output", "output_format", "test_output_format", "test_name_format", "visibility"}
KNOWN |= {"stdout_visibility", "extra_data", "tests", "leaderboard"}  # of the platform's specification


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The platform's folders after the build of the image."""
    folder = tmp_path_factory.mktemp("gradescope")
    (folder / "exercise").mkdir()
    bundle = write_bundle(running.write_exercise(folder / "exercise"), folder / "autograder.zip")
    root = folder / "autograder"
    with zipfile.ZipFile(bundle.path) as archive:
        archive.extractall(root / "source")
    for name in ("submission", "results"):
        (root / name).mkdir()
    done = subprocess.run(["bash", root / "source" / "setup.sh"], env=environment(root), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return root


def environment(root: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return kept | {"AUTOGRADER_ROOT": str(root), "AUTOGRADER_PYTHON": sys.executable}


def handed_in(root: Path, files: dict[str, str], **settings: Any) -> tuple[dict[str, Any], str]:
    """What the platform reads after a submission of these files, and what the run printed."""
    for name in ("submission", "results", "run"):
        shutil.rmtree(root / name, ignore_errors=True)
    for name, content in files.items():
        path = root / "submission" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    (root / "submission").mkdir(exist_ok=True)
    chosen = json.loads((root / "source" / SETTINGS).read_text())
    (root / "source" / SETTINGS).write_text(json.dumps(chosen | settings))
    line = ["bash", root / "source" / "run_autograder"]
    ran = subprocess.run(line, env=environment(root), capture_output=True, text=True, timeout=200)
    (root / "source" / SETTINGS).write_text(json.dumps(chosen))
    assert ran.returncode == 0, ran.stderr
    results = json.loads((root / "results" / "results.json").read_text())
    assert set(results) <= KNOWN
    return results, ran.stdout + ran.stderr


def test_a_right_solution_gets_its_points(platform: Path) -> None:
    results, _ = handed_in(platform, {"any name.ipynb": json.dumps(notebook.submission())})
    assert results["score"] == 9
    assert [test["score"] for test in results["tests"]] == [2, 4, 2, 1]
    assert all(test["visibility"] == "visible" for test in results["tests"])


def test_a_crash_costs_what_it_must_and_nothing_of_ours_is_shown(platform: Path) -> None:
    broken = notebook.submission(train_two="def train_two(model, steps):\n    raise ValueError('no idea')")
    results, _ = handed_in(platform, {"x/y.ipynb": json.dumps(broken), "x/.ipynb_checkpoints/y-checkpoint.ipynb": "{}"})
    assert results["score"] == 8
    assert str(platform) not in json.dumps(results)


@pytest.mark.parametrize(
    ("files", "says"),
    [
        ({}, "nothing was handed in"),
        ({"report.pdf": "%PDF"}, "found: report.pdf"),
        ({"x.ipynb": "print(1)"}, "cannot be graded"),
    ],
)
def test_what_is_no_notebook_is_told_to_the_student(platform: Path, files: dict[str, str], says: str) -> None:
    results, _ = handed_in(platform, files)
    assert says in results["output"]
    assert results["score"] == 0
    assert str(platform) not in json.dumps(results)


def test_a_submission_cannot_read_the_source_or_write_the_results(platform: Path) -> None:
    hostile = (
        "import os, pathlib\n"
        f"for path in ({str(platform / 'source')!r}, {str(platform / 'results')!r}):\n"
        "    print('SEEN' if os.path.exists(path) else 'gone')\n"
        f"try:\n    pathlib.Path({str(platform / 'results' / 'results.json')!r}).write_text('{{\"score\": 100}}')\n"
        "    print('WRITTEN')\nexcept OSError as error:\n    print('no')\n"
    )
    results, _ = handed_in(platform, {"x.ipynb": json.dumps(notebook.submission([hostile]))})
    assert results["score"] == 9
    executed = (platform / "run" / "graded" / "executed.ipynb").read_text()
    assert "gone" in executed
    assert "'SEEN'" not in executed.replace("print('SEEN'", "")
    assert 'WRITTEN\\n"' not in executed


def test_a_deadline_leaves_words_and_no_score(platform: Path) -> None:
    results, _ = handed_in(platform, {"x.ipynb": json.dumps(notebook.submission())}, deadline_s=0.2)
    assert "longer than the platform allows" in results["output"]
    assert "score" not in results
    assert "tests" not in results


def test_a_fault_of_ours_leaves_words_and_no_score(platform: Path) -> None:
    results, printed = handed_in(platform, {"x.ipynb": json.dumps(notebook.submission())}, isolation="nowhere")
    assert "not your fault" in results["output"]
    assert "score" not in results
    assert "isolation 'nowhere'" in printed


def test_the_shipped_bundle_is_small_whole_and_the_same_twice(tmp_path: Path) -> None:
    first = write_bundle(SHIPPED, tmp_path / "a.zip")
    second = write_bundle(SHIPPED, tmp_path / "b.zip")
    assert first.path.read_bytes() == second.path.read_bytes()
    assert first.size < 20_000_000
    wanted = {"setup.sh", "run_autograder", "requirements.txt", "course/rubric.yaml", "grader/report/page.html.j2"}
    wanted |= {"course/reference/vae_mnist.ipynb", "course/student_template/vae_mnist.ipynb"}
    assert wanted <= set(first.files)
    assert not [name for name in first.files if "__pycache__" in name or name.startswith(("tests/", ".git"))]
    with zipfile.ZipFile(first.path) as archive:
        lines = archive.read("requirements.txt").decode()
        assert archive.getinfo("run_autograder").external_attr >> 16 & 0o111
    assert "pytest==" not in lines
    assert "torch==" in lines


def test_a_rubric_that_takes_from_another_one_is_bundled_with_it(tmp_path: Path) -> None:
    other = SHIPPED.parent / "examples" / "another_course" / "rubric.yaml"
    names = set(write_bundle(other, tmp_path / "a.zip").files)
    assert {"course/rubric.yaml", "course/examples/another_course/rubric.yaml"} <= names


@pytest.mark.parametrize(("wish", "says"), [({"isolation": "hope"}, "expected one of"), ({}, "No such file")])
def test_a_wrong_wish_is_one_line(wish: dict[str, str], says: str, tmp_path: Path) -> None:
    rubric = SHIPPED if wish else tmp_path / "rubric.yaml"
    with pytest.raises(GraderError, match=says) as error:
        write_bundle(rubric, tmp_path / "a.zip", **wish)
    assert "\n" not in str(error.value)
