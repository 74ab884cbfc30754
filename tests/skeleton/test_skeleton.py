"""A new exercise can be graded immediately, gets full points, and passes the project's lint and type checks."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

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


@pytest.mark.parametrize("name", ["", "Straight", "two words", "../up", "class", "1st", "x" * 60])
def test_a_name_that_is_not_a_package_name_is_refused(name: str, project: Path) -> None:
    with pytest.raises(GraderError, match="expected lower-case letters") as error:
        write_skeleton(project, name)
    assert "\n" not in str(error.value)


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
    assert all(Path(line).exists() for line in lines[:-1])
    course = tmp_path / "exercises" / "another"
    assert lines[-1].endswith(f"grade {course / 'reference.ipynb'} --rubric {course / 'rubric.yaml'}")
    assert command().main(line, standalone_mode=False) == 2
    assert "already exists" in capsys.readouterr().err


def test_in_any_other_folder_the_code_lies_beside_the_rubric_and_grades(tmp_path: Path) -> None:
    write_skeleton(tmp_path, "two_more")
    course = tmp_path / "two_more"
    assert (course / "two_more" / "plugin.py").exists()
    assert points(course / "reference.ipynb", course / "rubric.yaml", tmp_path / "run") == FULL
