"""A teaching assistant's folder, the commands that run in it, and a box that is simulated in this process.

The verbs are called as the command line calls them, on the small exercise. Now and then a command dies on the way, as
by `kill -9`.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console
from small_exercise import notebook, running

from grader.batch import class_grading
from grader.batch.class_grading import ClassOptions, grade_class
from grader.batch.local import LocalExecutor
from grader.batch.regrading import regrade_class
from grader.batch.work import work
from grader.errors import GraderError
from grader.grading import grade as pipeline
from grader.grading.answers import NOT_ASKED
from grader.grading.grade import Options, grade
from grader.grading.regrade import regrade
from grader.grading.run import Case, NotebookRun
from grader.grading.run_files import finish_swap
from grader.grading.stored_run import stored_evidence, stored_report
from grader.records import CellRun, CellStatus, Evidence, Execution, Fault, GradeReport, Status
from grader.report.totals import trained_parts

STUDENTS = ("ada", "ben", "cleo")
SKILL = {"ada": 5, "ben": 2, "cleo": 5}  # the number that the training of a student's notebook finds; 5 is correct
SEED = f"{5:032x}"


def solution(student: str, version: int) -> str:
    """A notebook whose text contains its author for the simulated box below."""
    return json.dumps(notebook.submission([f"student, version = {student!r}, {version}"]))


@contextlib.contextmanager
def no_boxes(*_: object) -> Iterator[Any]:
    class Boxes:
        isolation = "bubblewrap"
        has_gpu = False

        def ensure_waiting(self, count: int) -> None:
            """Does nothing."""

    yield Boxes()


def worked_out(case: Case, say: object, *, parts: tuple[str, ...] | None = None, **beside: object) -> NotebookRun:
    """The answers of a simulated box: functions are correct, and training finds the student's `SKILL`."""
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
    execution = Execution(Status.OK, 0, 1.0, 1.0, 90, "cpu", "bubblewrap", (CellRun(0, CellStatus.OK, 0.1),))
    return NotebookRun(evidence, case.restored.notebook, execution)


class InThisProcess(LocalExecutor):
    """Runs jobs without starting processes; a simulated death ends the whole command, as a kill does."""

    def __init__(self, *_: object) -> None:
        """Ignores the arguments."""

    def run(self, jobs: Any, started: Callable[[str], None], ended: Callable[..., None]) -> None:
        for job in jobs:
            started(job.key)
            ended(work(job))


class Killed(BaseException):
    """Stands for the end of the process, so no code catches it."""


@dataclass
class World:
    """A teaching assistant's folder, and the best runs seen in it."""

    folder: Path
    rubric: Path
    chance: random.Random
    versions: dict[str, int] = field(default_factory=lambda: dict.fromkeys(STUDENTS, 0))
    best: dict[str, tuple[frozenset[str], int]] = field(default_factory=dict)  # run folder -> parts graded, points
    done: list[str] = field(default_factory=list)

    def file(self, student: str) -> Path:
        return self.folder / "class" / student / "vae_mnist.ipynb"

    def write(self, student: str) -> None:
        self.file(student).parent.mkdir(parents=True, exist_ok=True)
        self.file(student).write_text(solution(student, self.versions[student]))

    def kill(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The next command ends at one of its first changes of a folder."""
        left = self.chance.randrange(1, 40)
        real = Path.replace

        def dying(path: Path, target: Any) -> Path:
            nonlocal left
            if (
                threading.current_thread() is threading.main_thread()
            ):  # the other thread draws, and ends with the process
                left -= 1
                if left < 0:
                    raise Killed
            return real(path, target)

        monkeypatch.setattr(Path, "replace", dying)

    def reports(self) -> dict[str, GradeReport]:
        """Every readable run by its folder; its evidence and report belong together."""
        by_folder = {}
        for ready in (self.folder / "runs").rglob(".ready"):
            finish_swap(ready.parent)  # as every reader does
        for path in sorted((self.folder / "runs").rglob("evidence.safetensors")):
            if any(part.startswith(".") for part in path.relative_to(self.folder).parts):
                continue
            folder = path.parent
            by_folder[str(folder.relative_to(self.folder))] = stored_report(folder)
            stored_evidence(folder)
        return by_folder

    def check(self) -> None:
        """No earlier run was replaced by a weaker one; it may have moved to `earlier/` when its notebook changed."""
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
        return grade(world.file(student), world.rubric, None, Options(SEED, parts=parts), quiet)

    return command


def into_one_folder(world: World) -> object:
    """Grades any student's notebook into the same named folder."""
    student, parts = world.chance.choice(STUDENTS), world.chance.choice([None, (), ("one",)])
    return grade(world.file(student), world.rubric, Path("runs/named"), Options(SEED, parts=parts), quiet)


def whole_class(parts: tuple[str, ...] | None, out: str | None = None) -> Callable[[World], object]:
    def command(world: World) -> object:
        options = ClassOptions(world.rubric, Path(out) if out else None, seed=SEED, parts=parts)
        return grade_class(world.folder / "class", options, Silent(), quiet)  # type: ignore[arg-type]

    return command


def again(world: World) -> object:
    runs = [Path(name) for name in world.reports() if "submissions" not in name and "earlier" not in name]
    return regrade(world.chance.choice(runs), world.rubric) if runs else None


def class_again(world: World) -> object:
    return regrade_class(Path("runs/class"), None, "", 1, quiet)


def decide(world: World) -> object:
    """Staff give Ben full points for his training, in the class and in each of his single runs."""
    entry = "{points: 4, reason: a typo in the worksheet, by: A. Turing}"
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


class Silent(Console):
    """A console that shows nothing."""

    def __init__(self) -> None:
        super().__init__(quiet=True, force_interactive=False)


def quiet(_: str) -> None:
    """Prints nothing."""


def make_world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """Three students' notebooks with the same name, and a box that is simulated in this process."""
    world = World(tmp_path, running.write_exercise(tmp_path), random.Random(0))
    for student in STUDENTS:
        world.write(student)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(os, "fsync", lambda handle: None)
    monkeypatch.setattr(pipeline, "box_pool", no_boxes)
    monkeypatch.setattr(pipeline, "run_submission", worked_out)
    monkeypatch.setattr(class_grading, "LocalExecutor", InThisProcess)
    return world


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
