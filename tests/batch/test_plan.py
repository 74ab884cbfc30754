"""The plan shows, before anything runs, the student of each file, the file to be graded and why, and any doubts."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from downloads import NOTEBOOK, ROSTER, write
from rich.console import Console
from small_exercise import notebook, running
from test_roster import read
from toy_class import SEED, environment, write_class

from grader.batch.class_grading import ClassOptions, plan_class
from grader.batch.gradebooks import GradebookSettings, other_points
from grader.batch.plan import ClassPlan, doubts, state, summary, table

RUBRIC = running.rubric()
SOLVED = json.dumps(notebook.submission(["more = 1"]))
TEMPLATE = json.dumps(notebook.submission(double="# YOUR CODE", triple="# YOUR CODE"))


def planned(tmp_path: Path, files: dict[str, str], roster: str = ROSTER) -> ClassPlan:
    _, rubric = write_class(tmp_path / "toy", 0)
    (tmp_path / "roster.csv").write_text(roster, encoding="utf-8")
    options = ClassOptions(rubric, tmp_path / "out", tmp_path / "roster.csv")
    return plan_class(write(tmp_path / "all", files), options, lambda _: None)


def shown(tmp_path: Path, files: dict[str, str]) -> str:
    console = Console(width=200)
    with console.capture() as capture:
        console.print(table(planned(tmp_path, files).submissions))
    return capture.get()


@pytest.mark.parametrize(
    ("files", "line"),
    [
        ({"ada.ipynb": NOTEBOOK}, "Ada Lovelace (by login)  ada.ipynb (the only notebook)"),
        ({"101.ipynb": NOTEBOOK}, "Ada Lovelace (by student id)  101.ipynb"),
        ({"Jean-Luc ONeil 102.ipynb": NOTEBOOK}, "(by student id and name)"),
        ({"Ada Lovelace_7_assignsubmission_file_/vae.ipynb": NOTEBOOK}, "(by name)"),
        ({"lovelaceada_9_900001_v.ipynb": NOTEBOOK, "lovelaceada_9_900002_v-1.ipynb": SOLVED}, "(submitted last"),
        ({"ada/vae.ipynb": NOTEBOOK, "ada/old.ipynb": SOLVED, "zoe/vae.ipynb": NOTEBOOK}, "has the exercise's name"),
        ({"stranger.ipynb": NOTEBOOK, "ada.ipynb": NOTEBOOK}, "not on the roster"),
        ({"ada/report.pdf": "%PDF", "zoe.ipynb": NOTEBOOK}, "not gradable: no readable notebook"),
        ({"ada/a.ipynb": NOTEBOOK, "ada/b.ipynb": SOLVED}, "check: "),
        ({"lovelaceada_LATE_9_900001_v.ipynb": NOTEBOOK}, "late according to the download"),
    ],
)
def test_each_line_names_the_student_the_file_and_the_reason(files: dict[str, str], line: str, tmp_path: Path) -> None:
    output = shown(tmp_path, files)
    assert line in " ".join(output.split()) or line in output


def test_a_plan_writes_and_runs_nothing_and_a_run_does_the_same(tmp_path: Path) -> None:
    submissions, rubric = write_class(tmp_path, 2, ["right"])

    def command(*more: str) -> subprocess.CompletedProcess[str]:
        options = ["--rubric", str(rubric), "--seed", SEED, "--json", *more]
        line = [sys.executable, "-m", "grader", "grade-class", str(submissions), *options]
        return subprocess.run(line, capture_output=True, text=True, env=environment(), cwd=tmp_path, timeout=300)

    first = command("--plan")
    assert first.returncode == 0, first.stderr
    assert not list((tmp_path / "runs").glob("*"))
    assert [one["state"] for one in json.loads(first.stdout)["submissions"]] == ["to grade"] * 2
    completed = command()
    assert "student0000.ipynb (the only notebook)" in " ".join(completed.stderr.split())
    assert [row["key"] for row in json.loads(completed.stdout)["rows"]] == ["student0000", "student0001"]
    (submissions / "student0001.ipynb").write_text(SOLVED)
    again = json.loads(command("--plan").stdout)
    assert [one["state"] for one in again["submissions"]] == ["graded already", "to grade"]


def test_doubtful_submissions_are_to_be_checked_and_a_sure_plan_has_none(tmp_path: Path) -> None:
    sure = planned(tmp_path / "sure", {"ada.ipynb": NOTEBOOK, "zoe.ipynb": NOTEBOOK})
    assert sure.all_sure
    assert summary(sure) == "one file per student: 2 to grade, 1 without a submission"
    one = planned(tmp_path / "not", {"301_ada.ipynb": NOTEBOOK, "101_103.ipynb": NOTEBOOK})
    assert not one.all_sure
    assert any(map(doubts, one.submissions))
    assert {state(each, one.done) for each in one.submissions} == {"to grade"}


CANVAS = (
    'Student,ID,SIS User ID,SIS Login ID,Section,{}\n    Points Possible,,,,,{}\n"Lovelace, Ada",4001,101,ada,CV,\n'
)
POINTS = [
    (CANVAS.format(f"{RUBRIC.title} (77)", 10), True),
    (CANVAS.format(f"{RUBRIC.title} (77)", "9.00"), False),
    (CANVAS.format("Quiz (78)", 10), False),
    ("Identifier,Full name,Email address,Grade,Maximum grade\nParticipant 7,Ada L,a@u.example,,10.00\n", True),
    ("Identifier,Full name,Email address,Grade,Maximum Grade\nParticipant 7,Ada L,a@u.example,,9\n", False),
    ('ID,Vollständiger Name,E-Mail-Adresse,Bestwertung\nTeilnehmer/in7,Ada L,a@u.example,"10,00"\n', True),
    ("First Name,Last Name,SID,Email,Total Score,Max Points,Status\nAda,L,101,a@u.example,,10.0,Missing\n", True),
    (f"Name,SID,Email,{RUBRIC.title},{RUBRIC.title} - Max Points\nAda L,101,a@u.example,,10.0\n", True),
    ("Name,SID,Email,Quiz,Quiz - Max Points\nAda L,101,a@u.example,,10.0\n", False),
    (ROSTER, False),
]


@pytest.mark.parametrize(("roster", "differs"), POINTS)
def test_a_roster_with_other_maximum_points_is_reported(roster: str, differs: bool, tmp_path: Path) -> None:
    remarks = other_points(read(roster.encode(), tmp_path), RUBRIC, GradebookSettings())
    assert bool(remarks) == differs
    if differs:
        assert "but 9 in the rubric" in remarks[0]


def test_the_number_of_the_canvas_assignment_finds_it_whatever_its_name(tmp_path: Path) -> None:
    roster = read(CANVAS.format("Week 7 (77)", 10).encode(), tmp_path)
    assert other_points(roster, RUBRIC, GradebookSettings(canvas_assignment_id="77"))
    assert not other_points(roster, RUBRIC, GradebookSettings(canvas_assignment_id="78"))
