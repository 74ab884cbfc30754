"""The bundle on a simulated platform: unpacked, set up, given submissions, and read."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tomllib
import zipfile
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from small_exercise import notebook, running

from grader.errors import GraderError
from grader.gradescope.bundle import LOCKS, PIN, SETTINGS, write_bundle

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
    assert "for staff: this container has" in done.stdout
    assert "for staff: time-out: set 40 minutes" in done.stdout
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
    completed = subprocess.run(line, env=environment(root), capture_output=True, text=True, timeout=200)
    (root / "source" / SETTINGS).write_text(json.dumps(chosen))
    assert completed.returncode == 0, completed.stderr
    results = json.loads((root / "results" / "results.json").read_text())
    assert set(results) <= KNOWN
    return results, completed.stdout + completed.stderr


def test_a_correct_solution_gets_full_points(platform: Path) -> None:
    results, _ = handed_in(platform, {"any name.ipynb": json.dumps(notebook.submission())})
    assert results["score"] == 9
    assert [test["score"] for test in results["tests"]] == [2, 4, 2, 1]
    assert all(test["visibility"] == "visible" for test in results["tests"])


def test_a_crash_costs_its_item_and_no_path_is_shown(platform: Path) -> None:
    broken = notebook.submission(train_two="def train_two(model, steps):\n    raise ValueError('no idea')")
    results, _ = handed_in(platform, {"x/y.ipynb": json.dumps(broken), "x/.ipynb_checkpoints/y-checkpoint.ipynb": "{}"})
    assert results["score"] == 8
    assert str(platform) not in json.dumps(results)


@pytest.mark.parametrize(
    ("files", "says"),
    [
        ({}, "nothing was submitted"),
        ({"report.pdf": "%PDF"}, "found: report.pdf"),
        ({"x.ipynb": "print(1)"}, "cannot be graded"),
    ],
)
def test_a_student_is_told_that_the_file_is_not_a_notebook(platform: Path, files: dict[str, str], says: str) -> None:
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


def test_the_deadline_leaves_a_message_and_no_score(platform: Path) -> None:
    results, _ = handed_in(platform, {"x.ipynb": json.dumps(notebook.submission())}, deadline_s=0.2)
    assert "longer than the platform allows" in results["output"]
    assert "score" not in results
    assert "tests" not in results


def test_hidden_points_are_hidden_and_messages_about_grader_faults_are_visible(platform: Path) -> None:
    files = {"x.ipynb": json.dumps(notebook.submission())}
    hidden, _ = handed_in(platform, files, visibility="after_published")
    assert hidden["score"] == 9
    assert {hidden["visibility"], *(test["visibility"] for test in hidden["tests"])} == {"after_published"}
    for fault in ({"isolation": "nowhere"}, {"deadline_s": 0.2}):
        words, _ = handed_in(platform, files, visibility="after_published", **fault)
        assert words["visibility"] == "visible"
    nothing, _ = handed_in(platform, {}, visibility="after_published")
    assert nothing["visibility"] == "visible"  # a student who reads it can still hand in


def test_staff_learn_of_different_points_and_none_change(platform: Path) -> None:
    (platform / "submission_metadata.json").write_text(json.dumps({"assignment": {"total_points": "50.0"}}))
    results, printed = handed_in(platform, {"x.ipynb": json.dumps(notebook.submission())})
    (platform / "submission_metadata.json").unlink()
    assert results["score"] == 9
    assert "for staff: points: the assignment is worth 50.0 points, the rubric 9;" in printed
    assert any(line.startswith("points: ") for line in results["extra_data"]["for_staff"])
    assert results["stdout_visibility"] == "hidden"
    assert "worth 50" not in json.dumps({**results, "extra_data": {}})


def test_a_grader_fault_leaves_a_message_and_no_score(platform: Path) -> None:
    results, printed = handed_in(platform, {"x.ipynb": json.dumps(notebook.submission())}, isolation="nowhere")
    assert "a problem on our side" in results["output"]
    assert "score" not in results
    assert "isolation 'nowhere'" in printed


def test_the_shipped_bundle_is_small_complete_and_reproducible(tmp_path: Path) -> None:
    first = write_bundle(SHIPPED, tmp_path / "a.zip")
    second = write_bundle(SHIPPED, tmp_path / "b.zip")
    assert first.path.read_bytes() == second.path.read_bytes()
    assert first.size < 20_000_000
    expected = {"setup.sh", "run_autograder", "requirements.txt", "course/rubric.yaml", "grader/report/page.html.j2"}
    expected |= {"course/reference/vae_mnist.ipynb", "course/student_template/vae_mnist.ipynb"}
    assert expected <= set(first.files)
    assert not [name for name in first.files if "__pycache__" in name or name.startswith(("tests/", ".git"))]
    with zipfile.ZipFile(first.path) as archive:
        assert archive.getinfo("run_autograder").external_attr >> 16 & 0o111
        requirements, pins = (archive.read(name).decode().splitlines() for name in ("requirements.txt", "pins.txt"))
        for lock in LOCKS:
            assert archive.read(lock) == (SHIPPED.parent / lock).read_bytes()
    assert {line.partition("==")[0] for line in requirements} >= {"torch", "torchvision", "numpy", "einops"}
    assert not [line for line in requirements if line.startswith(("nvidia-", "pytest=="))]
    assert set(requirements) < set(pins)
    assert all("==" in line and "hash" not in line and "\\" not in line for line in pins)
    assert [line for line in pins if line.startswith("soupsieve==")] == [
        "soupsieve==2.10 ; python_full_version < '3.11.5'",
        "soupsieve==4.1.3 ; python_full_version >= '3.11.5'",
    ]


def test_an_installed_package_writes_the_same_bundle(tmp_path: Path) -> None:
    installed = tmp_path / "site"
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(SHIPPED.parent / "grader", installed / "grader", ignore=ignored)
    course = installed / "grader" / "course"  # as pyproject.toml lists under `force-include`
    packed = tomllib.loads((SHIPPED.parent / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"][
        "wheel"
    ]
    for source, target in packed["force-include"].items():
        (installed / target).parent.mkdir(parents=True, exist_ok=True)
        copy = shutil.copytree if (SHIPPED.parent / source).is_dir() else shutil.copyfile
        copy(SHIPPED.parent / source, installed / target)
    for name in ("requirements.lock", "requirements-cpu.lock", "requirements-student.lock"):
        assert (course / name).exists()
    program = "from pathlib import Path; from grader.gradescope.bundle import write_bundle; "
    program += "write_bundle(Path('r/rubric.yaml'), Path('b.zip'))"
    shutil.copytree(course, tmp_path / "r", ignore=shutil.ignore_patterns("corpus", "*.lock"))
    environment = {**os.environ, "PYTHONPATH": str(installed)}
    subprocess.run([sys.executable, "-c", program], cwd=tmp_path, env=environment, check=True)
    write_bundle(SHIPPED, tmp_path / "a.zip")
    assert (tmp_path / "b.zip").read_bytes() == (tmp_path / "a.zip").read_bytes()


def test_all_that_ubuntus_release_candidate_of_python_311_needs_is_pinned() -> None:
    python = {"python_version": "3.11", "python_full_version": "3.11.0rc1", "sys_platform": "linux"}
    pins = "".join((SHIPPED.parent / name).read_text() for name in (LOCKS[0], LOCKS[2]))
    held: dict[str, str] = {}
    for match in PIN.finditer(pins):
        pin = Requirement(match[0].strip())
        if pin.marker is None or pin.marker.evaluate(python):
            held[canonicalize_name(pin.name)] = str(pin.specifier)
    assert held["soupsieve"] == "==2.10"
    for name in held:
        if name.startswith(("nvidia-", "cuda-")):
            continue
        with contextlib.suppress(PackageNotFoundError):  # this machine's builds are others
            for text in requires(name) or ():
                need = Requirement(text)
                if need.marker is None or need.marker.evaluate(python | {"extra": ""}):
                    assert canonicalize_name(need.name) in held, f"{name} needs {text}"


def test_setup_reports_that_no_python_was_found(tmp_path: Path) -> None:
    with zipfile.ZipFile(write_bundle(SHIPPED, tmp_path / "a.zip").path) as archive:
        archive.extractall(tmp_path / "source")
    programs = tmp_path / "programs"  # an image with an old Python, no pip, and an apt that reaches nothing
    programs.mkdir()
    for name in ("python3", "apt-get"):
        (programs / name).write_text("#!/bin/sh\nexit 1\n")
        (programs / name).chmod(0o755)
    environment = {"PATH": str(programs), "AUTOGRADER_ROOT": str(tmp_path)}
    line = [shutil.which("bash") or "bash", tmp_path / "source" / "setup.sh"]
    done = subprocess.run(line, env=environment, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.startswith("setup: no Python 3.11 to 3.14 with venv found in the image")
    assert done.stderr.count("\n") == 1
    assert not done.stdout


def test_a_rubric_is_bundled_with_the_rubric_that_it_extends(tmp_path: Path) -> None:
    other = SHIPPED.parent / "examples" / "another_course" / "rubric.yaml"
    names = set(write_bundle(other, tmp_path / "a.zip").files)
    assert {"course/rubric.yaml", "course/examples/another_course/rubric.yaml"} <= names


@pytest.mark.parametrize(
    ("option", "says"),
    [
        ({"isolation": "hope"}, "expected one of"),
        ({"visibility": "some day"}, "visibility 'some day': expected one of visible, hidden"),
        ({}, "No such file"),
    ],
)
def test_an_invalid_option_is_refused(option: dict[str, str], says: str, tmp_path: Path) -> None:
    rubric = SHIPPED if option else tmp_path / "rubric.yaml"
    with pytest.raises(GraderError, match=says) as error:
        write_bundle(rubric, tmp_path / "a.zip", **option)
    assert "\n" not in str(error.value)
