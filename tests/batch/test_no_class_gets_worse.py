"""A class keeps its points, decisions, rubric and history through later commands."""

from __future__ import annotations

import contextlib
import json
from dataclasses import replace
from pathlib import Path

import pytest
from assistants_folder import (
    SEED,
    Killed,
    Silent,
    World,
    carry_out,
    class_again,
    decide,
    hand_in_again,
    make_world,
    quiet,
    solution,
    whole_class,
)

from grader.batch import class_grading, regrading
from grader.batch.class_folder import class_folder
from grader.batch.class_grading import ClassOptions, grade_class
from grader.batch.history import read_history
from grader.batch.regrading import regrade_class
from grader.errors import GraderError
from grader.grading import grade
from grader.grading.folder_choice import RUNS
from grader.grading.regrade import regrade
from grader.grading.run import NotebookRun


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    return make_world(tmp_path, monkeypatch)


def test_two_classes_of_one_name_have_a_folder_each(world: World) -> None:
    other = world.folder / "week4" / "class"
    other.mkdir(parents=True)
    (other / "zoe.ipynb").write_text(solution("ada", 9))
    options = ClassOptions(world.rubric, seed=SEED)
    outs = [grade_class(path, options, Silent(), quiet).out for path in (world.folder / "class", other) * 2]  # type: ignore[arg-type]
    assert outs == [Path("runs/class"), Path("runs/week4-class")] * 2


def test_a_broken_file_submitted_later_has_no_points_and_loses_no_run(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    carry_out(world, ["grade-class"], monkeypatch)
    right = world.file("ada").read_text()
    world.file("ada").write_text("no notebook")
    graded = whole_class(None)(world)
    row = next(row for row in graded.rows if row.key == "ada")  # type: ignore[attr-defined]
    assert (row.state, row.points_milli) == ("refused", None)
    world.check()
    world.file("ada").write_text(right)
    row = next(row for row in whole_class(None)(world).rows if row.key == "ada")  # type: ignore[attr-defined]
    assert (row.state, row.points_milli) == ("graded", 9000)


def test_a_grader_fault_in_a_repeated_run_keeps_the_points_and_says_so(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    carry_out(world, ["grade-class"], monkeypatch)

    def broken(*_: object, **__: object) -> NotebookRun:
        raise RuntimeError("a bug")

    with monkeypatch.context() as patched:
        patched.setattr(grade, "run_submission", broken)
        graded = grade_class(world.folder / "class", ClassOptions(world.rubric, seed=f"{6:032x}"), Silent(), quiet)  # type: ignore[arg-type]
    row = next(row for row in graded.rows if row.key == "ada")
    assert (row.state, row.points_milli) == ("look", 9000)
    assert "RuntimeError: a bug" in row.reason
    row = next(row for row in whole_class(None)(world).rows if row.key == "ada")  # type: ignore[attr-defined]
    assert (row.state, row.reason) == ("graded", "")


def test_another_classes_folder_is_refused_and_a_later_download_is_taken(world: World) -> None:
    out = Path("runs/named")
    whole_class(None, str(out))(world)
    other = world.folder / "other"
    for name in ("zoe", "yann"):
        (other / name).mkdir(parents=True)
        (other / name / "x.ipynb").write_text(solution("ada", 9))
    options = ClassOptions(world.rubric, out, seed=SEED)
    with pytest.raises(GraderError, match=r"belongs to the class of .*, and 3 of its 3 submissions are missing here"):
        grade_class(other, options, Silent(), quiet)  # type: ignore[arg-type]
    for student in ("ada", "ben"):
        (other / student).mkdir()
        (other / student / "vae_mnist.ipynb").write_text(solution(student, 0))
    graded = grade_class(other, options, Silent(), quiet)  # type: ignore[arg-type]
    assert {row.key for row in graded.rows} == {"ada", "ben", "zoe", "yann"}
    with pytest.raises(GraderError, match="is inside the submissions"):
        grade_class(other, replace(options, out=other / "runs"), Silent(), quiet)  # type: ignore[arg-type]


def test_a_mistake_in_the_overrides_changes_nothing(world: World) -> None:
    out = whole_class(None)(world).out  # type: ignore[attr-defined]
    before = (out / "class.json").read_bytes()
    (out / "overrides.yaml").write_text("nobody:\n  one.training: {points: 4, reason: x, by: y}\n")
    hand_in_again(world)
    (world.folder / "class" / "dora.ipynb").write_text(solution("ada", 3))
    with pytest.raises(GraderError, match="unknown submission"):
        whole_class(None)(world)
    assert (out / "class.json").read_bytes() == before


def test_the_history_tells_what_a_killed_command_did(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(*_: object, **__: object) -> None:
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(class_grading, "record", killed)
        with contextlib.suppress(Killed):
            whole_class(None)(world)
    whole_class(None)(world)
    assert {event.submission: event.new_milli for event in read_history(Path("runs/class"))} == {
        "ada": 9000,
        "ben": 4000,
        "cleo": 9000,
    }
    decide(world)
    with monkeypatch.context() as patched:
        patched.setattr(regrading, "record", killed)
        with contextlib.suppress(Killed):
            class_again(world)
    class_again(world)
    assert [e.new_milli for e in read_history(Path("runs/class")) if e.submission == "ben"] == [4000, 8000]


def test_a_class_keeps_the_rubric_of_its_last_grading(world: World) -> None:
    out = whole_class(None)(world).out  # type: ignore[attr-defined]
    other = world.rubric.with_name("other.yaml")
    other.write_text(world.rubric.read_text().replace("title: Two numbers", "title: Another"))
    regrade_class(out, other, "", 1, quiet)
    grade_class(world.folder / "class", ClassOptions(seed=SEED), Silent(), quiet)  # type: ignore[arg-type]
    assert json.loads((out / "class.json").read_text())["rubric"] == str(other)
    other.unlink()
    with pytest.raises(GraderError, match="the class was graded with it"):
        grade_class(world.folder / "class", ClassOptions(seed=SEED), Silent(), quiet)  # type: ignore[arg-type]


def test_a_decision_in_a_students_folder_of_a_class_is_not_lost_without_a_word(world: World) -> None:
    out = whole_class(None)(world).out  # type: ignore[attr-defined]
    folder = out / "submissions" / "ben"
    (folder / "overrides.yaml").write_text("ben:\n  one.training: {points: 4, reason: x, by: y}\n")
    with pytest.raises(GraderError, match=r"belongs to a class; move the decisions to .*class/overrides.yaml"):
        regrade(folder, world.rubric)


def test_a_class_of_an_earlier_version_is_continued(world: World) -> None:
    out = whole_class(None)(world).out  # type: ignore[attr-defined]
    (out / ".source").unlink()
    assert whole_class(None)(world).out == out  # type: ignore[attr-defined]


def test_a_class_in_which_nothing_worked_can_be_graded_to_any_extent(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(grade, "run_submission", lambda *_, **__: 1 / 0)
        whole_class(None, "runs/named")(world)
    rows = whole_class((), "runs/named")(world).rows  # type: ignore[attr-defined]
    assert {row.points_milli for row in rows} == {4000}


@pytest.mark.parametrize("refused", ["bad.zip", "empty", "class"])
def test_a_refused_class_keeps_no_folder_from_another(world: World, refused: str) -> None:
    place = world.folder / "refused"
    place.mkdir(exist_ok=True)
    (place / "bad.zip").write_text("no archive")
    (place / "empty").mkdir(exist_ok=True)
    options = ClassOptions(world.rubric, roster=None if refused != "class" else world.folder / "no roster")
    with pytest.raises(GraderError):
        grade_class(world.folder / "class" if refused == "class" else place / refused, options, Silent(), quiet)  # type: ignore[arg-type]
    other = world.folder / "elsewhere" / refused
    assert class_folder(other, None) == RUNS / Path(refused).stem


def test_a_class_keeps_the_roster_by_which_it_was_read(world: World) -> None:
    roster = world.folder / "students.csv"
    roster.write_text("student id,name,login\n1,Ada L,ada\n2,Ben B,ben\n3,Cleo C,cleo\n")
    options = ClassOptions(world.rubric, Path("runs/class"), Path("students.csv"), seed=SEED)
    first = grade_class(world.folder / "class", options, Silent(), quiet)  # type: ignore[arg-type]
    again = grade_class(world.folder / "class", replace(options, roster=None), Silent(), quiet)  # type: ignore[arg-type]
    assert [row.key for row in again.rows] == [row.key for row in first.rows] == ["1", "2", "3"]
    roster.unlink()
    with pytest.raises(GraderError, match=r"students\.csv: no such file; the class was read with it"):
        grade_class(world.folder / "class", replace(options, roster=None), Silent(), quiet)  # type: ignore[arg-type]


def test_a_decision_may_name_a_student_and_one_that_does_nothing_is_reported(world: World) -> None:
    (world.folder / "students.csv").write_text("student id,name,login\n1,Ada L,ada\n2,Ben B,ben\n3,Cleo C,cleo\n")
    world.file("cleo").write_text("no notebook")
    options = ClassOptions(world.rubric, Path("runs/class"), Path("students.csv"), seed=SEED)
    out = grade_class(world.folder / "class", options, Silent(), quiet).out  # type: ignore[arg-type]
    decision = "{points: 4, reason: a slip of ours, by: T}"
    (out / "overrides.yaml").write_text(f"Ben B:\n  one.training: {decision}\nCleo C:\n  one.training: {decision}\n")
    again = regrade_class(out, None, "", 1, quiet)
    assert {row.key: row.points_milli for row in again.rows} == {"1": 9000, "2": 8000, "3": None}
    assert any("the override for 3 has no effect" in remark for remark in again.remarks)


def test_a_class_is_not_regraded_by_another_exercises_rubric(world: World) -> None:
    out = whole_class(None)(world).out  # type: ignore[attr-defined]
    other = world.rubric.with_name("other.yaml")
    other.write_text(world.rubric.read_text().replace("one.", "uno.").replace("two.", "dos."))
    before = (out / "gradebook.csv").read_bytes()
    with pytest.raises(GraderError):
        regrade_class(out, other, "", 1, quiet)
    assert (out / "gradebook.csv").read_bytes() == before
