"""Commands in any order lose no points, evidence or decisions silently."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
from assistants_folder import (
    COMMANDS,
    SEED,
    STUDENTS,
    World,
    carry_out,
    decide,
    hand_in_again,
    make_world,
    quiet,
    solution,
    whole_class,
    worked_out,
)

from grader.errors import GraderError
from grader.grading import grade as pipeline
from grader.grading.folder_choice import rubric_of
from grader.grading.grade import Options, grade
from grader.grading.regrade import regrade
from grader.grading.run import NotebookRun
from grader.grading.stored_run import stored_report
from grader.records import CellRun, CellStatus, Evidence, Execution, Status
from grader.report.totals import trained_parts


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    return make_world(tmp_path, monkeypatch)


def test_the_guides_two_commands_in_a_row_lose_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    carry_out(world, ["grade-class", "grade-class --components-only"], monkeypatch)
    points = {key: stored_report(Path("runs/class/submissions", key)).points_milli for key in STUDENTS}
    assert points == {"ada": 9000, "ben": 4000, "cleo": 9000}
    partial = stored_report(Path("runs/class-components-only/submissions/ada"))
    assert partial.points_milli == 4000
    assert trained_parts(partial) == frozenset()


def test_two_students_files_of_one_name_have_a_folder_each(world: World) -> None:
    folders = {student: grade(world.file(student), world.rubric, None, Options(SEED), quiet)[1] for student in STUDENTS}
    assert folders == {
        "ada": Path("runs/vae_mnist"),
        "ben": Path("runs/ben-vae_mnist"),
        "cleo": Path("runs/cleo-vae_mnist"),
    }
    again = {student: grade(world.file(student), world.rubric, None, Options(SEED), quiet)[1] for student in STUDENTS}
    assert again == folders


def test_a_named_folder_is_refused_to_another_file_and_to_less(world: World) -> None:
    out = Path("runs/named")
    grade(world.file("ada"), world.rubric, out, Options(SEED), quiet)
    with pytest.raises(GraderError, match=r"runs/named: holds the run of .*ada.*--replace"):
        grade(world.file("ben"), world.rubric, out, Options(SEED), quiet)
    with pytest.raises(GraderError, match=r"also graded the training of one and two.*--replace"):
        grade(world.file("ada"), world.rubric, out, Options(SEED, parts=()), quiet)
    assert stored_report(out).points_milli == 9000
    grade(world.file("ben"), world.rubric, out, Options(SEED, parts=(), replace=True), quiet)
    assert stored_report(out).points_milli == 4000
    (kept,) = (out / "earlier").iterdir()
    assert stored_report(kept).points_milli == 9000


def test_a_run_that_was_stopped_does_not_replace_one_that_went_to_its_end(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    grade(world.file("ada"), world.rubric, None, Options(SEED), quiet)

    def stopped(*args: Any, **kwargs: Any) -> NotebookRun:
        whole_run = worked_out(*args, **kwargs)
        answers = {name: array for name, array in whole_run.evidence.answers.items() if ".two/" not in name}
        execution = Execution(Status.TIMEOUT, None, 60, 60, 90, "cpu", "bubblewrap", (CellRun(0, CellStatus.OK, 0.1),))
        return NotebookRun(Evidence(whole_run.evidence.questions, answers), whole_run.notebook, execution)

    monkeypatch.setattr(pipeline, "run_submission", stopped)
    with pytest.raises(GraderError, match="the earlier run was kept, 9 / 9: it ran to its end"):
        grade(world.file("ada"), world.rubric, None, Options(SEED), quiet)
    assert stored_report(Path("runs/vae_mnist")).points_milli == 9000
    grade(world.file("ada"), world.rubric, None, Options(SEED, replace=True), quiet)
    assert stored_report(Path("runs/vae_mnist")).points_milli == 6000


def test_the_run_of_an_earlier_text_is_kept(world: World) -> None:
    grade(world.file("ada"), world.rubric, None, Options(SEED), quiet)
    first = stored_report(Path("runs/vae_mnist"))
    hand_in_again(world)
    world.versions["ada"] += 1
    world.write("ada")
    grade(world.file("ada"), world.rubric, None, Options(SEED), quiet)
    (kept,) = Path("runs/vae_mnist/earlier").iterdir()
    assert stored_report(kept) == first


def test_a_decision_stands_when_the_notebook_is_graded_once_more(world: World) -> None:
    grade(world.file("ben"), world.rubric, None, Options(SEED), quiet)
    decide(world)
    assert regrade(Path("runs/vae_mnist"), world.rubric).points_milli == 8000
    assert grade(world.file("ben"), world.rubric, None, Options(SEED), quiet)[0].points_milli == 8000


def test_a_run_that_leaves_more_undecided_replaces_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    grade(world.file("ada"), world.rubric, None, Options(SEED), quiet)
    monkeypatch.setattr("grader.skeleton.exercise.checks.np.allclose", lambda *_, **__: 1 / 0)
    with pytest.raises(GraderError, match="the earlier run was kept, 9 / 9: the new run leaves more points"):
        grade(world.file("ada"), world.rubric, None, Options(SEED), quiet)
    assert stored_report(Path("runs/vae_mnist")).points_milli == 9000


@pytest.mark.parametrize("damage", ["no evidence", "another format", "no JSON"])
def test_a_run_that_cannot_be_read_is_kept_aside(damage: str, world: World) -> None:
    folder = grade(world.file("ada"), world.rubric, None, Options(SEED), quiet)[1]
    if damage == "no evidence":
        (folder / "evidence.safetensors").unlink()
    else:
        (folder / "report.json").write_text('{"format": 99}' if damage == "another format" else "?")
    feedback = (folder / "feedback.txt").read_bytes()
    grade(world.file("ada"), world.rubric, folder, Options(SEED, parts=()), quiet)
    (kept,) = (folder / "earlier").iterdir()
    assert kept.name.startswith("unreadable-")
    assert (kept / "feedback.txt").read_bytes() == feedback


def test_a_single_run_goes_neither_into_a_class_nor_over_other_files(world: World) -> None:
    out = whole_class(None)(world).out  # type: ignore[attr-defined]
    for folder in (out, out / "submissions" / "ada"):
        with pytest.raises(GraderError, match="holds a class"):
            grade(world.file("ada"), world.rubric, folder, Options(SEED, replace=True), quiet)
    work = world.folder / "work"
    work.mkdir()
    (work / "executed.ipynb").write_text(solution("ada", 0))
    (work / ".new-mine").mkdir()
    with pytest.raises(GraderError, match="holds files that this run would overwrite"):
        grade(work / "executed.ipynb", world.rubric, work, Options(SEED), quiet)
    assert (work / "executed.ipynb").read_text() == solution("ada", 0)
    (work / "executed.ipynb").rename(work / "x.ipynb")
    grade(work / "x.ipynb", world.rubric, work, Options(SEED), quiet)
    assert (work / ".new-mine").is_dir()


def test_a_run_is_graded_again_by_its_own_rubric_and_by_no_other_exercises(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = grade(world.file("ada"), world.rubric, None, Options(SEED), quiet)[1]
    shipped = Path(__file__).parents[2] / "rubric.yaml"
    with pytest.raises(GraderError, match="graded with a rubric that has no item in common"):
        regrade(folder, shipped)
    assert stored_report(folder).points_milli == 9000
    assert rubric_of(folder) == world.rubric
    out = whole_class(None)(world).out  # type: ignore[attr-defined]
    assert rubric_of(out / "submissions" / "ada") == world.rubric


@pytest.mark.parametrize("seed", range(4))
def test_commands_in_any_order_lose_nothing(seed: int, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.chance = random.Random(seed)
    carry_out(world, world.chance.choices(list(COMMANDS), k=12), monkeypatch, killing=0.3)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(100, 300))
def test_many_commands_in_any_order_lose_nothing(seed: int, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.chance = random.Random(seed)
    carry_out(world, world.chance.choices(list(COMMANDS), k=25), monkeypatch, killing=0.3)
