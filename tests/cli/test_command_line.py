"""The command line: help, suggestions for misspelt names, quiet and JSON output, colours, history."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from small_exercise import notebook, running

from grader.cli import app, classes, completion
from grader.cli.app import command

ROOT = Path(__file__).parents[2]
VERBS = tuple(verb for verbs in app.VERBS.values() for verb in verbs)


def run_grader(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([str(ROOT / "tests"), str(ROOT)])
    kept = {key: value for key, value in os.environ.items() if key not in {"NO_COLOR", "FORCE_COLOR"}}
    command = [sys.executable, "-m", "grader", *map(str, arguments)]
    return subprocess.run(
        command,
        env={**kept, "PYTHONPATH": path, **environment},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A rubric, and a folder with a correct notebook and a wrong one."""
    folder = tmp_path_factory.mktemp("toy")
    submissions = folder / "submissions"
    submissions.mkdir()
    (submissions / "ada.ipynb").write_text(json.dumps(notebook.submission()))
    wrong = notebook.submission(double="def double(x):\n    return -9 * x")
    (submissions / "niels.ipynb").write_text(json.dumps(wrong))
    return running.write_exercise(folder), submissions


def test_help_lists_every_command_and_each_command_shows_an_example() -> None:
    shown = run_grader("--help").stdout
    for verb in VERBS:
        assert f"│ {verb} " in shown
        own = run_grader(verb, "--help").stdout
        assert "Examples:" in own
        assert f"python -m grader {verb} " in own


def test_the_help_of_a_command_that_grades_says_what_its_exit_codes_mean() -> None:
    for verb in ("grade", "check", "grade-class", "regrade"):
        assert "1  graded, but at least one submission needs your attention" in run_grader(verb, "--help").stdout


def test_each_cell_and_each_test_is_said_once(toy: tuple[Path, Path], tmp_path: Path) -> None:
    rubric, submissions = toy
    completed = run_grader("grade", submissions / "ada.ipynb", "--rubric", rubric, "--out", tmp_path / "run")
    lines = [line.partition("] ")[2] for line in completed.stderr.splitlines()]
    steps = [line for line in lines if line.startswith(("cell ", "testing "))]
    assert len(steps) == len(set(steps)), completed.stderr
    assert "testing the components of ONE" in steps
    assert "testing the trained ONE" in steps
    assert any(line.startswith("cell 1 of ") for line in steps)
    assert not [line for line in lines if "(" in line and line.startswith("testing")]


def test_the_terminal_lists_only_gradebooks_with_rows_and_says_which_can_be_imported(tmp_path: Path) -> None:
    (tmp_path / "gradebook-canvas.csv").write_text("Student,ID\n    Points Possible,\n")
    (tmp_path / "gradebook-moodle.csv").write_text("Email,Points\nada@uni.example,9\n")
    (tmp_path / "gradebook-nbgrader.csv").write_text("student_id,score\nada,9\n")
    places = classes._places(tmp_path)
    assert "gradebooks to import into course systems: gradebook-moodle.csv\n" in places
    assert "gradebooks for your own scripts: gradebook-nbgrader.csv\n" in places
    assert "canvas" not in places


def test_help_is_readable_in_eighty_columns_and_plain_in_a_pipe() -> None:
    for name, verb in command().commands.items():
        shown = run_grader(name, "--help", COLUMNS="80").stdout
        assert all(option in shown for param in verb.params for option in param.opts if option[:1] == "-"), shown
        assert "…" not in shown
        assert max(map(len, shown.splitlines())) <= 80
        assert "\x1b[" not in shown
    assert "\x1b[3" not in run_grader("--help", NO_COLOR="1", FORCE_COLOR="1").stdout
    assert "\x1b[" in run_grader("--help", FORCE_COLOR="1", TERM="xterm").stdout


def test_completion_offers_the_numbers_of_the_rubric(tmp_path: Path) -> None:
    offers = dict(completion.numbers(SimpleNamespace(params={"rubric": ROOT / "rubric.yaml"})))  # type: ignore[arg-type]
    assert offers["vae.loss.parts_add_up.tolerance="] == "now 0.001"
    (tmp_path / "rubric.yaml").write_text("items: [1]")
    assert completion.numbers(SimpleNamespace(params={"rubric": tmp_path / "rubric.yaml"})) == []  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["grad", "x.ipynb"], "command 'grad': unknown; did you mean 'grade'?"),
        (["grade", "reference/vae_mnist.ipnb"], "no such file; did you mean 'vae_mnist.ipynb'?"),
        (["grade", "reference/vae_mnist.ipynb", "--isolation", "bublewrap"], "did you mean 'bubblewrap'?"),
        (
            ["grade", "reference/vae_mnist.ipynb", "--isolation", "non"],
            "expected one of bubblewrap, container, user, none",
        ),
        (["grade", "reference/vae_mnist.ipynb", "--sed", "1"], "--seed"),
        (["history", "runs/none-there"], "none-there"),
    ],
)
def test_a_misspelt_word_is_refused_with_the_nearest_correct_one(arguments: list[str], line: str) -> None:
    completed = subprocess.run(
        [sys.executable, "-m", "grader", *arguments], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert completed.returncode == 2
    assert completed.stdout == ""
    assert completed.stderr.startswith("not graded: ")
    assert line in completed.stderr
    assert len(completed.stderr.splitlines()) == 1


def test_a_command_that_writes_files_says_not_written() -> None:
    for arguments in (("new-exercise",), ("init",), ("practice",), ("new-exercise", "--no-such-option", "two")):
        completed = run_grader(*arguments)
        assert completed.returncode == 2
        assert completed.stderr.startswith("not written: ")
        assert len(completed.stderr.splitlines()) == 1


def test_the_help_for_a_new_exercise_says_where_its_files_go() -> None:
    shown = " ".join(run_grader("new-exercise", "--help").stdout.split())
    assert "In the project's folder, the code is written to grader/exercises/NAME/" in shown
    assert "In any other folder, NAME/ holds all of them, with the code in NAME/NAME/" in shown


def test_versions_are_shown() -> None:
    completed = run_grader("--version")
    lines = dict(line.split(maxsplit=1) for line in completed.stdout.splitlines()[:4])
    assert {"grader", "python", "torch", "torchvision"} <= set(lines)


def test_json_and_quiet_print_nothing_else(toy: tuple[Path, Path], tmp_path: Path) -> None:
    rubric, submissions = toy
    line = ("grade", submissions / "niels.ipynb", "--rubric", rubric)
    report = json.loads(run_grader(*line, "--json", "--out", tmp_path / "a").stdout)
    assert report == json.loads((tmp_path / "a" / "report.json").read_text())
    quiet = run_grader(*line, "--quiet", "--out", tmp_path / "b")
    assert (quiet.stdout, quiet.stderr) == (f"{report['points']} / {report['max_points']}\n", "")


def test_colours_follow_the_environment(toy: tuple[Path, Path], tmp_path: Path) -> None:
    rubric, submissions = toy
    line = ("grade", submissions / "niels.ipynb", "--rubric", rubric, "--out", tmp_path / "run")
    assert "\x1b[" not in run_grader(*line).stdout
    assert "\x1b[" in run_grader(*line, FORCE_COLOR="1").stdout
    assert "\x1b[3" not in run_grader(*line, FORCE_COLOR="1", NO_COLOR="1").stdout


def test_a_class_has_rows_as_json_and_a_history(toy: tuple[Path, Path], tmp_path: Path) -> None:
    rubric, submissions = toy
    out = tmp_path / "class"
    rows = json.loads(run_grader("grade-class", submissions, "--rubric", rubric, "--out", out, "--json").stdout)
    text = json.dumps(rows)
    assert "ada" in text
    assert "niels" in text
    decision = "niels:\n  one.function: {points: 1, reason: nearly right, by: A. Turing}\n"
    (out / "overrides.yaml").write_text(decision)
    moved = run_grader("regrade", out, "--rubric", rubric, "--reason", "question 3", "--json")
    assert "niels" in json.dumps(json.loads(moved.stdout))
    past = run_grader("history", out, "--student", "niels")
    assert "A. Turing: nearly right" in past.stdout
    assert "ada" not in past.stdout
