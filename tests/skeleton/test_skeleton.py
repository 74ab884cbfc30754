"""A new exercise can be graded immediately, gets full points, and passes the project's lint and type checks."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from grader.cli.app import command
from grader.errors import GraderError
from grader.exercise import Exercise
from grader.grading.grade import Options, grade
from grader.notebook.format import dump_notebook, is_code, load_notebook
from grader.notebook.solution_regions import replace_regions, strip_markers
from grader.notebook.template import make_template
from grader.rubric import load_rubric
from grader.skeleton.write import write_skeleton

ROOT = Path(__file__).parents[2]
SEED = "5" * 32
NAME = "falling_stone"
FULL = {"one.function": 2000, "one.training": 4000, "two.function": 2000, "two.training": 1000}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project's folder with one more exercise, whose package can be imported."""
    folder = tmp_path_factory.mktemp("project")
    (folder / "grader" / "exercises").mkdir(parents=True)
    (folder / "rubric.yaml").write_text((ROOT / "rubric.yaml").read_text())
    write_skeleton(folder, NAME)
    return folder


@pytest.fixture
def rubric(project: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    import grader.exercises

    folder = str(project / "grader" / "exercises")
    monkeypatch.setattr(grader.exercises, "__path__", [*grader.exercises.__path__, folder])
    return project / "exercises" / NAME / "rubric.yaml"


def points(notebook: Path, rubric: Path, folder: Path) -> dict[str, int]:
    report, _ = grade(notebook, rubric, folder, Options(seed=SEED), lambda _: None)
    assert not report.needs_person
    return {item.id: item.points_milli for item in report.items}


def test_the_new_exercise_implements_the_protocol(rubric: Path) -> None:
    settings, exercise = load_rubric(rubric)
    assert isinstance(exercise, Exercise)
    assert settings.exercise == f"grader.exercises.{NAME}"
    assert {item.id.partition(".")[0] for item in settings.items} == set(exercise.parts)
    assert set(exercise.items) == {item.id for item in settings.items}
    assert {spec.check for item in settings.items for spec in item.checks} == set(exercise.checks)


def test_the_reference_earns_everything(rubric: Path, tmp_path: Path) -> None:
    assert points(rubric.parent / "reference.ipynb", rubric, tmp_path) == FULL


def test_a_wrong_solution_loses_what_it_must(rubric: Path, tmp_path: Path) -> None:
    wrong = {"double": "return x ** 2", "train_one": "loss = (model['weight'] - 5.0) ** 2"}
    notebook = tmp_path / "wrong.ipynb"
    reference = load_notebook(rubric.parent / "reference.ipynb")
    for cell in filter(is_code, reference["cells"]):
        cell["outputs"] = []  # those of the right solution
    notebook.write_text(dump_notebook(strip_markers(replace_regions(reference, wrong))))
    assert points(notebook, rubric, tmp_path / "run") == {**FULL, "one.function": 0, "one.training": 0}


def test_the_template_is_what_the_reference_makes(project: Path) -> None:
    course = project / "exercises" / NAME
    text = dump_notebook(make_template(load_notebook(course / "reference.ipynb")))
    assert (course / "template.ipynb").read_text(encoding="utf-8") == text


def test_ruff_accepts_an_exercise_of_any_name(project: Path) -> None:
    for verb in (["check"], ["format", "--check"]):
        line = [sys.executable, "-m", "ruff", *verb, "--no-cache", "--config", str(ROOT / "pyproject.toml"), "."]
        result = subprocess.run(line, cwd=project, capture_output=True, text=True)
        assert result.returncode == 0, result.stdout


NOT_LETTERS = "expected lower-case letters, digits and underscores, beginning with a letter"


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("", NOT_LETTERS),
        ("Straight", NOT_LETTERS),
        ("two words", NOT_LETTERS),
        ("../up", NOT_LETTERS),
        ("1st", NOT_LETTERS),
        ("two\nlines", NOT_LETTERS),
        ("class", "a keyword of Python cannot name a package"),
        ("x" * 60, "expected at most 41 characters, got 60"),
    ],
)
def test_a_name_that_is_not_a_package_name_is_refused_with_the_reason(name: str, says: str, project: Path) -> None:
    with pytest.raises(GraderError, match=says) as error:
        write_skeleton(project, name)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", ["numpy", "json", "grader", "sys"])
def test_outside_the_project_the_name_of_another_package_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(GraderError, match=f"name '{name}': a Python package has this name already"):
        write_skeleton(tmp_path, name)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_of_that_name_without_code_is_no_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "plain_folder").mkdir()
    monkeypatch.syspath_prepend(tmp_path)
    assert write_skeleton(tmp_path / "into", "plain_folder")


def test_existing_files_are_not_overwritten(project: Path) -> None:
    with pytest.raises(GraderError, match="already exists"):
        write_skeleton(project, NAME)


def test_the_command_says_what_it_wrote_and_what_to_try(
    tmp_path: Path, project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "grader" / "exercises").mkdir(parents=True)
    line = ["new-exercise", "another", "--into", str(tmp_path)]
    command().main(line, standalone_mode=False)
    lines = capsys.readouterr().out.splitlines()
    course, code = tmp_path / "exercises" / "another", tmp_path / "grader" / "exercises" / "another"
    in_order = ["plugin.py", "__init__.py", "questions.py", "in_box/probe.py", "checks.py", "in_box/__init__.py"]
    notebooks = [course / "reference.ipynb", course / "template.ipynb"]
    assert lines[:-1] == [
        str(path) for path in (*notebooks, *(code / file for file in in_order), course / "rubric.yaml")
    ]
    assert {Path(line) for line in lines[:-1]} == {path for path in tmp_path.rglob("*") if path.is_file()}
    assert lines[-1].endswith(f"grade {course / 'reference.ipynb'} --rubric {course / 'rubric.yaml'}")
    assert command().main(line, standalone_mode=False) == 2
    assert "already exists" in capsys.readouterr().err


def test_in_any_other_folder_the_code_lies_beside_the_rubric_and_grades(tmp_path: Path) -> None:
    paths = write_skeleton(tmp_path, "two_more")
    course = tmp_path / "two_more"
    assert set(paths) == {path for path in course.rglob("*") if path.is_file()}
    assert paths[-1] == course / "limits.yaml"
    assert (course / "two_more" / "plugin.py").exists()
    assert points(course / "reference.ipynb", course / "rubric.yaml", tmp_path / "run") == FULL


def test_the_rubric_is_the_same_inside_and_outside_the_project(rubric: Path, tmp_path: Path) -> None:
    write_skeleton(tmp_path, "three_more")
    inside, _ = load_rubric(rubric)
    outside, _ = load_rubric(tmp_path / "three_more" / "rubric.yaml")
    own = {"exercise": "", "sha256": ""}
    assert replace(inside, **own) == replace(outside, **own)
    assert inside.follow_through.enabled
    assert set(inside.follow_through.min_earned) == {"one.function", "two.function"}


def test_the_limits_outside_the_project_keep_their_comments_and_units(tmp_path: Path) -> None:
    write_skeleton(tmp_path, "four_more")
    text = (tmp_path / "four_more" / "limits.yaml").read_text(encoding="utf-8")
    assert "_s are in seconds, those that end in _mb in megabytes" in text
    assert "# one group of the grader's questions" in text
    shipped = yaml.safe_load((ROOT / "rubric.yaml").read_text(encoding="utf-8"))
    assert yaml.safe_load(text) == {key: shipped[key] for key in ("packages", "limits")}


@pytest.mark.parametrize(
    ("below", "says"), [("", "expected a folder to write into, got a file"), ("x", "Not a directory")]
)
def test_a_file_instead_of_a_folder_is_refused_in_a_line(
    below: str, says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    line = ["new-exercise", "another", "--into", str(tmp_path / "file" / below)]
    assert command().main(line, standalone_mode=False) == 2
    (message,) = capsys.readouterr().err.splitlines()
    assert message.startswith(f"not written: {tmp_path / 'file' / below}")
    assert says in message
    assert "Errno" not in message
