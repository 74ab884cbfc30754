"""Whatever commands are given in whatever order: no point, no evidence and no decision is lost without a word.

The guide's verbs are called as the command line calls them, on the small exercise, with a box that is worked out here
in place of a real one. Now and then a grader dies on the way, as by `kill -9`.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from toy_exercise import notebook, running

from grader import pipeline
from grader.batch import grading, regrading
from grader.batch.grading import Wishes, grade_class
from grader.batch.history import read_history
from grader.batch.local import LocalExecutor
from grader.batch.regrading import regrade_class
from grader.batch.work import work
from grader.errors import GraderError
from grader.gathering import NOT_ASKED
from grader.pipeline import Options, grade, regrade
from grader.records import CellRun, Evidence, Execution, Fault, GradeReport, Status
from grader.report.words import trained_parts
from grader.run_files import settle
from grader.run_folder import stored_evidence, stored_report
from grader.run_place import rubric_of
from grader.running import Case, Ran

STUDENTS = ("ada", "ben", "cleo")
SKILL = {"ada": 5, "ben": 2, "cleo": 5}  # the number that the training of a student's notebook finds; 5 is right
SEED = f"{5:032x}"


def solution(student: str, version: int) -> str:
    """A notebook whose text tells the box below who wrote it."""
    return json.dumps(notebook.submission([f"student, version = {student!r}, {version}"]))


@contextlib.contextmanager
def no_boxes(*_: object) -> Iterator[Any]:
    class Boxes:
        isolation = "bubblewrap"

        def ready(self, count: int) -> None:
            """Nothing has to be."""

    yield Boxes()


def worked_out(case: Case, say: object, *, parts: tuple[str, ...] | None = None, beside: object = None) -> Ran:
    """What a box would answer: functions are right, and training finds what the student's skill allows."""
    text = json.dumps(case.restored.notebook)
    student = next(name for name in STUDENTS if f"'{name}'" in text)
    weight = SKILL[student]
    trained = ("one", "two") if parts is None else parts
    answers: dict[str, Any] = {}
    faults: dict[str, Fault] = {}
    for part, factor in (("one", 2), ("two", 3)):
        answers[f"components.{part}/function/y"] = factor * case.questions[f"components.{part}"]["x"]
        if part in trained:
            asked = case.questions[f"quality.{part}"]["x"]
            once = weight * asked
            answers[f"trained.{part}/history/history"] = np.array([16, 16 if weight == 2 else 0.1], np.float32)
            answers[f"quality.{part}/apply/y"] = once
            answers[f"decode.{part}/apply/y"] = np.where(asked == 0, 0, once * once / np.where(asked == 0, 1, asked))
        else:
            faults |= {f"{kind}.{part}/{name}": NOT_ASKED for kind, name in
                       (("trained", "history"), ("quality", "apply"), ("decode", "apply"))}  # fmt: skip
    questions = {f"{stage}/{name}": array for stage, asked in case.questions.items() for name, array in asked.items()}
    evidence = Evidence(questions, {name: np.asarray(array, np.float32) for name, array in answers.items()}, faults)
    execution = Execution(Status.OK, 0, 1.0, 1.0, 90, "cpu", "bubblewrap", (CellRun(0, "ok", 0.1),))
    return Ran(evidence, case.restored.notebook, execution)


class InThisProcess(LocalExecutor):
    """Works without starting processes; one that "dies" ends the whole command, as a killed one does."""

    def __init__(self, *_: object) -> None:
        """Needs nothing."""

    def run(self, jobs: Any, started: Callable[[str], None], ended: Callable[..., None]) -> None:
        for job in jobs:
            started(job.key)
            ended(work(job))


class Killed(BaseException):
    """Nothing catches it: the process is gone."""


@dataclass
class World:
    """A teaching assistant's folder, and what has been seen in it."""

    folder: Path
    rubric: Path
    chance: random.Random
    versions: dict[str, int] = field(default_factory=lambda: dict.fromkeys(STUDENTS, 0))
    best: dict[str, tuple[frozenset[str], int]] = field(default_factory=dict)  # run folder -> parts judged, points
    done: list[str] = field(default_factory=list)

    def file(self, student: str) -> Path:
        return self.folder / "class" / student / "vae_mnist.ipynb"

    def write(self, student: str) -> None:
        self.file(student).parent.mkdir(parents=True, exist_ok=True)
        self.file(student).write_text(solution(student, self.versions[student]))

    def kill(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Some change of a folder soon is the last thing that the next command does."""
        left = self.chance.randrange(1, 40)
        real = Path.replace

        def dying(path: Path, target: Any) -> Path:
            nonlocal left
            if threading.current_thread() is threading.main_thread():  # one beside it draws, and dies with it
                left -= 1
                if left < 0:
                    raise Killed
            return real(path, target)

        monkeypatch.setattr(Path, "replace", dying)

    def reports(self) -> dict[str, GradeReport]:
        """Every run that can be read, by its folder; evidence and report belong together."""
        found = {}
        for ready in (self.folder / "runs").rglob(".ready"):
            settle(ready.parent)  # as every reader does
        for path in sorted((self.folder / "runs").rglob("evidence.safetensors")):
            if any(part.startswith(".") for part in path.relative_to(self.folder).parts):
                continue
            folder = path.parent
            found[str(folder.relative_to(self.folder))] = stored_report(folder)
            stored_evidence(folder)
        return found

    def check(self) -> None:
        """Nothing that was there is weaker now: it may have moved aside, for another text of the same notebook."""
        now = self.reports()
        for folder, (parts, points) in self.best.items():
            places = [report for name, report in now.items() if name == folder or name.startswith(f"{folder}/earlier/")]
            assert any(parts <= trained_parts(r) and r.points_milli >= points for r in places), (self.done, folder)
        for folder, report in now.items():
            assert report.points_milli <= 9000
            known = self.best.get(folder, (frozenset(), -1))
            here = (trained_parts(report), report.points_milli)
            if "earlier" not in folder and known[0] <= here[0]:
                self.best[folder] = here


def single(parts: tuple[str, ...] | None) -> Callable[[World], object]:
    def command(world: World) -> object:
        student = world.chance.choice(STUDENTS)
        return grade(world.file(student), world.rubric, None, Options(SEED, parts=parts), _quiet)

    return command


def into_one_folder(world: World) -> object:
    """A folder that is named, for whoever comes."""
    student, parts = world.chance.choice(STUDENTS), world.chance.choice([None, (), ("one",)])
    return grade(world.file(student), world.rubric, Path("runs/named"), Options(SEED, parts=parts), _quiet)


def whole_class(parts: tuple[str, ...] | None, out: str | None = None) -> Callable[[World], object]:
    def command(world: World) -> object:
        wishes = Wishes(world.rubric, Path(out) if out else None, seed=SEED, parts=parts)
        return grade_class(world.folder / "class", wishes, _Silent(), _quiet)  # type: ignore[arg-type]

    return command


def again(world: World) -> object:
    runs = [Path(name) for name in world.reports() if "submissions" not in name and "earlier" not in name]
    return regrade(world.chance.choice(runs), world.rubric) if runs else None


def class_again(world: World) -> object:
    return regrade_class(Path("runs/class"), None, "", 1, _quiet)


def decide(world: World) -> object:
    """A person gives Ben full points for what his training lost: in the class, and in each run of his own."""
    entry = "{points: 4, reason: a typing error in the sheet, by: A. Turing}"
    for folder, name in (("runs/class", "ben"), ("runs/vae_mnist", "vae_mnist"), ("runs/ben-vae_mnist", "vae_mnist")):
        if Path(folder).exists():
            Path(folder, "overrides.yaml").write_text(f"{name}:\n  one.training: {entry}\n")
    return None


def hand_in_again(world: World) -> object:
    student = world.chance.choice(STUDENTS)
    world.versions[student] += 1
    world.write(student)
    return None


COMMANDS: dict[str, Callable[[World], object]] = {
    "grade": single(None),
    "check": single(()),
    "grade --parts one": single(("one",)),
    "grade --out runs/named": into_one_folder,
    "grade-class": whole_class(None),
    "grade-class --components-only": whole_class(()),
    "grade-class --components-only --out runs/class": whole_class((), "runs/class"),
    "regrade": again,
    "regrade class": class_again,
    "a decision": decide,
    "handed in again": hand_in_again,
}


class _Silent:
    """A console that shows nothing."""

    is_terminal = is_interactive = False

    def print(self, *_: object, **__: object) -> None:
        """Nothing."""


def _quiet(_: str) -> None:
    """Nobody listens."""


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    made = World(tmp_path, running.write_exercise(tmp_path), random.Random(0))
    for student in STUDENTS:
        made.write(student)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(os, "fsync", lambda handle: None)
    monkeypatch.setattr(pipeline, "supply", no_boxes)
    monkeypatch.setattr(pipeline, "run_submission", worked_out)
    monkeypatch.setattr(grading, "LocalExecutor", InThisProcess)
    return made


def carry_out(world: World, names: list[str], monkeypatch: pytest.MonkeyPatch, *, killing: float = 0.0) -> None:
    for name in names:
        world.done.append(name)
        killed = world.chance.random() < killing
        with monkeypatch.context() as patched:
            if killed:
                world.done[-1] += ", killed"
                world.kill(patched)
            with contextlib.suppress(GraderError, Killed):  # a refusal in one line is an answer
                COMMANDS[name](world)
        world.check()


def test_the_guides_two_commands_in_a_row_lose_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    carry_out(world, ["grade-class", "grade-class --components-only"], monkeypatch)
    points = {key: stored_report(Path("runs/class/submissions", key)).points_milli for key in STUDENTS}
    assert points == {"ada": 9000, "ben": 4000, "cleo": 9000}
    partial = stored_report(Path("runs/class-components-only/submissions/ada"))
    assert partial.points_milli == 4000
    assert trained_parts(partial) == frozenset()


def test_two_students_files_of_one_name_have_a_folder_each(world: World) -> None:
    folders = {
        student: grade(world.file(student), world.rubric, None, Options(SEED), _quiet)[1] for student in STUDENTS
    }
    assert folders == {
        "ada": Path("runs/vae_mnist"),
        "ben": Path("runs/ben-vae_mnist"),
        "cleo": Path("runs/cleo-vae_mnist"),
    }
    again = {student: grade(world.file(student), world.rubric, None, Options(SEED), _quiet)[1] for student in STUDENTS}
    assert again == folders


def test_a_named_folder_is_refused_to_another_file_and_to_less(world: World) -> None:
    out = Path("runs/named")
    grade(world.file("ada"), world.rubric, out, Options(SEED), _quiet)
    with pytest.raises(GraderError, match=r"runs/named: holds the run of .*ada.*--replace"):
        grade(world.file("ben"), world.rubric, out, Options(SEED), _quiet)
    with pytest.raises(GraderError, match=r"also graded the training of one and two.*--replace"):
        grade(world.file("ada"), world.rubric, out, Options(SEED, parts=()), _quiet)
    assert stored_report(out).points_milli == 9000
    grade(world.file("ben"), world.rubric, out, Options(SEED, parts=(), replace=True), _quiet)
    assert stored_report(out).points_milli == 4000
    (kept,) = (out / "earlier").iterdir()
    assert stored_report(kept).points_milli == 9000


def test_a_run_that_was_stopped_does_not_replace_one_that_went_to_its_end(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    grade(world.file("ada"), world.rubric, None, Options(SEED), _quiet)

    def stopped(*args: Any, **kwargs: Any) -> Ran:
        ran = worked_out(*args, **kwargs)
        answers = {name: array for name, array in ran.evidence.answers.items() if ".two/" not in name}
        execution = Execution(Status.TIMEOUT, None, 60, 60, 90, "cpu", "bubblewrap", (CellRun(0, "ok", 0.1),))
        return Ran(Evidence(ran.evidence.questions, answers), ran.notebook, execution)

    monkeypatch.setattr(pipeline, "run_submission", stopped)
    with pytest.raises(GraderError, match="the earlier run stands, 9 / 9: it ran to its end"):
        grade(world.file("ada"), world.rubric, None, Options(SEED), _quiet)
    assert stored_report(Path("runs/vae_mnist")).points_milli == 9000
    grade(world.file("ada"), world.rubric, None, Options(SEED, replace=True), _quiet)
    assert stored_report(Path("runs/vae_mnist")).points_milli == 6000


def test_the_run_of_an_earlier_text_is_kept(world: World) -> None:
    grade(world.file("ada"), world.rubric, None, Options(SEED), _quiet)
    first = stored_report(Path("runs/vae_mnist"))
    hand_in_again(world)
    world.versions["ada"] += 1
    world.write("ada")
    grade(world.file("ada"), world.rubric, None, Options(SEED), _quiet)
    (kept,) = Path("runs/vae_mnist/earlier").iterdir()
    assert stored_report(kept) == first


def test_a_decision_stands_when_the_notebook_is_graded_once_more(world: World) -> None:
    grade(world.file("ben"), world.rubric, None, Options(SEED), _quiet)
    decide(world)
    assert regrade(Path("runs/vae_mnist"), world.rubric).points_milli == 8000
    assert grade(world.file("ben"), world.rubric, None, Options(SEED), _quiet)[0].points_milli == 8000


def test_two_classes_of_one_name_have_a_folder_each(world: World) -> None:
    other = world.folder / "week4" / "class"
    other.mkdir(parents=True)
    (other / "zoe.ipynb").write_text(solution("ada", 9))
    wishes = Wishes(world.rubric, seed=SEED)
    outs = [grade_class(path, wishes, _Silent(), _quiet).out for path in (world.folder / "class", other) * 2]  # type: ignore[arg-type]
    assert outs == [Path("runs/class"), Path("runs/week4-class")] * 2


def test_a_broken_file_handed_in_later_has_no_points_and_loses_no_run(
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


def test_a_fault_of_ours_in_a_run_again_keeps_the_points_and_says_so(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    carry_out(world, ["grade-class"], monkeypatch)

    def broken(*_: object, **__: object) -> Ran:
        raise RuntimeError("a bug")

    with monkeypatch.context() as patched:
        patched.setattr(pipeline, "run_submission", broken)
        graded = grade_class(world.folder / "class", Wishes(world.rubric, seed=f"{6:032x}"), _Silent(), _quiet)  # type: ignore[arg-type]
    row = next(row for row in graded.rows if row.key == "ada")
    assert (row.state, row.points_milli) == ("look", 9000)
    assert "RuntimeError: a bug" in row.reason
    row = next(row for row in whole_class(None)(world).rows if row.key == "ada")  # type: ignore[attr-defined]
    assert (row.state, row.reason) == ("graded", "")


def test_a_run_that_leaves_more_undecided_replaces_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    grade(world.file("ada"), world.rubric, None, Options(SEED), _quiet)
    monkeypatch.setattr("toy_exercise.checks.np.clip", lambda *_, **__: 1 / 0)
    with pytest.raises(GraderError, match="the earlier run stands, 9 / 9: this one leaves more to be decided"):
        grade(world.file("ada"), world.rubric, None, Options(SEED), _quiet)
    assert stored_report(Path("runs/vae_mnist")).points_milli == 9000


@pytest.mark.parametrize("damage", ["no evidence", "another format", "no JSON"])
def test_a_run_that_cannot_be_read_is_kept_aside(damage: str, world: World) -> None:
    folder = grade(world.file("ada"), world.rubric, None, Options(SEED), _quiet)[1]
    if damage == "no evidence":
        (folder / "evidence.safetensors").unlink()
    else:
        (folder / "report.json").write_text('{"format": 99}' if damage == "another format" else "?")
    feedback = (folder / "feedback.txt").read_bytes()
    grade(world.file("ada"), world.rubric, folder, Options(SEED, parts=()), _quiet)
    (kept,) = (folder / "earlier").iterdir()
    assert kept.name.startswith("unreadable-")
    assert (kept / "feedback.txt").read_bytes() == feedback


def test_a_single_run_goes_neither_into_a_class_nor_over_other_files(world: World) -> None:
    out = whole_class(None)(world).out  # type: ignore[attr-defined]
    for folder in (out, out / "submissions" / "ada"):
        with pytest.raises(GraderError, match="holds a class"):
            grade(world.file("ada"), world.rubric, folder, Options(SEED, replace=True), _quiet)
    work = world.folder / "work"
    work.mkdir()
    (work / "executed.ipynb").write_text(solution("ada", 0))
    (work / ".new-mine").mkdir()
    with pytest.raises(GraderError, match="holds files that this run would overwrite"):
        grade(work / "executed.ipynb", world.rubric, work, Options(SEED), _quiet)
    assert (work / "executed.ipynb").read_text() == solution("ada", 0)
    (work / "executed.ipynb").rename(work / "x.ipynb")
    grade(work / "x.ipynb", world.rubric, work, Options(SEED), _quiet)
    assert (work / ".new-mine").is_dir()


def test_a_run_is_judged_again_by_its_own_rubric_and_by_no_other_exercises(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = grade(world.file("ada"), world.rubric, None, Options(SEED), _quiet)[1]
    shipped = Path(__file__).parents[1] / "rubric.yaml"
    with pytest.raises(GraderError, match="graded by another rubric"):
        regrade(folder, shipped)
    assert stored_report(folder).points_milli == 9000
    assert rubric_of(folder) == world.rubric
    out = whole_class(None)(world).out  # type: ignore[attr-defined]
    assert rubric_of(out / "submissions" / "ada") == world.rubric


def test_another_classes_folder_is_refused_and_a_later_download_is_taken(world: World) -> None:
    out = Path("runs/named")
    whole_class(None, str(out))(world)
    other = world.folder / "other"
    for name in ("zoe", "yann"):
        (other / name).mkdir(parents=True)
        (other / name / "x.ipynb").write_text(solution("ada", 9))
    wishes = Wishes(world.rubric, out, seed=SEED)
    with pytest.raises(GraderError, match=r"holds the class of .*, and 3 of its 3 submissions are not among"):
        grade_class(other, wishes, _Silent(), _quiet)  # type: ignore[arg-type]
    for student in ("ada", "ben"):
        (other / student).mkdir()
        (other / student / "vae_mnist.ipynb").write_text(solution(student, 0))
    graded = grade_class(other, wishes, _Silent(), _quiet)  # type: ignore[arg-type]
    assert {row.key for row in graded.rows} == {"ada", "ben", "zoe", "yann"}
    with pytest.raises(GraderError, match="lies among the submissions"):
        grade_class(other, replace(wishes, out=other / "runs"), _Silent(), _quiet)  # type: ignore[arg-type]


def test_a_mistake_in_the_decisions_changes_nothing(world: World) -> None:
    out = whole_class(None)(world).out  # type: ignore[attr-defined]
    before = (out / "class.json").read_bytes()
    (out / "overrides.yaml").write_text("nobody:\n  one.training: {points: 4, reason: x, by: y}\n")
    hand_in_again(world)
    (world.folder / "class" / "dora.ipynb").write_text(solution("ada", 3))
    with pytest.raises(GraderError, match="no such submission"):
        whole_class(None)(world)
    assert (out / "class.json").read_bytes() == before


def test_the_history_tells_what_a_killed_command_did(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(*_: object, **__: object) -> None:
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(grading, "record", killed)
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
    assert [event.new_milli for event in read_history(Path("runs/class"), "ben")] == [4000, 8000]


def test_a_class_keeps_the_rubric_it_was_last_judged_by(world: World) -> None:
    out = whole_class(None)(world).out  # type: ignore[attr-defined]
    other = world.rubric.with_name("other.yaml")
    other.write_text(world.rubric.read_text().replace("title: Toy", "title: Another"))
    regrade_class(out, other, "", 1, _quiet)
    grade_class(world.folder / "class", Wishes(seed=SEED), _Silent(), _quiet)  # type: ignore[arg-type]
    assert json.loads((out / "class.json").read_text())["rubric"] == str(other)
    other.unlink()
    with pytest.raises(GraderError, match="the class was graded by it"):
        grade_class(world.folder / "class", Wishes(seed=SEED), _Silent(), _quiet)  # type: ignore[arg-type]


def test_a_decision_in_a_students_folder_of_a_class_is_not_lost_without_a_word(world: World) -> None:
    out = whole_class(None)(world).out  # type: ignore[attr-defined]
    folder = out / "submissions" / "ben"
    (folder / "overrides.yaml").write_text("ben:\n  one.training: {points: 4, reason: x, by: y}\n")
    with pytest.raises(GraderError, match=r"belongs to a class, whose decisions stand in .*class/overrides.yaml"):
        regrade(folder, world.rubric)


def test_a_class_of_an_earlier_version_is_continued(world: World) -> None:
    out = whole_class(None)(world).out  # type: ignore[attr-defined]
    (out / ".source").unlink()
    assert whole_class(None)(world).out == out  # type: ignore[attr-defined]


def test_a_class_in_which_nothing_worked_can_be_graded_to_any_extent(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(pipeline, "run_submission", lambda *_, **__: 1 / 0)
        whole_class(None, "runs/named")(world)
    rows = whole_class((), "runs/named")(world).rows  # type: ignore[attr-defined]
    assert {row.points_milli for row in rows} == {4000}


@pytest.mark.parametrize("seed", range(4))
def test_commands_in_any_order_lose_nothing(seed: int, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.chance = random.Random(seed)
    carry_out(world, world.chance.choices(list(COMMANDS), k=12), monkeypatch, killing=0.3)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(100, 300))
def test_many_commands_in_any_order_lose_nothing(seed: int, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.chance = random.Random(seed)
    carry_out(world, world.chance.choices(list(COMMANDS), k=25), monkeypatch, killing=0.3)
