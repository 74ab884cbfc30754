"""The protocol that an exercise implements; the rubric names its package, and the engine imports none by name."""

from __future__ import annotations

import importlib
import sys
import traceback
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, cast, runtime_checkable

import numpy as np

from grader.errors import ExerciseError, RubricError, nearest, one_line
from grader.evidence import AnswerSpec
from grader.records import Address, Array, Evidence, Figure, Stage

if TYPE_CHECKING:
    from grader.checks import Check

EXERCISES = "vae_autograder.exercises"  # the group of entry points
FIRST_BOX = ("components", "ended", "sampling", "trained", "quality")  # kinds of stages about which `questions` asks
Questions = dict[Stage, dict[str, Array]]  # stage -> name -> array
Say = Callable[[str], None]


@dataclass(frozen=True)
class InterfaceSpec:
    """The names that a notebook of the exercise defines, and those that a rubric may map to a course's own."""

    names: tuple[str, ...]
    train_functions: Mapping[str, str]  # part -> the function whose call trains it
    arguments: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # function -> its arguments, in order
    returns: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # function -> the values it returns, in order
    options: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # option -> choices, the interface's own first
    imports: tuple[str, ...] = ()  # modules that every solution uses; a waiting box imports them
    steps: str = ""  # the question of the stage `trained` whose answer shows that training made steps


@dataclass(frozen=True)
class ItemSpec:
    """Properties of one item of the rubric that the engine needs in addition to its checks."""

    implements: tuple[str, ...] = ()  # the interface's names that a student writes for it
    names_by_check: Mapping[str, str] = field(
        default_factory=dict
    )  # prefix of a check's name -> the one name that the check examines
    annotate_at: tuple[str, ...] = ()  # names beside which remarks are shown, if not those above; `name()`: its call
    depends_on: tuple[str, ...] = ()  # the earlier items whose mistakes spoil it

    def meant_by(self, check: str) -> tuple[str, ...]:
        """The names whose code the check examines."""
        return next(
            ((name,) for begin, name in self.names_by_check.items() if check.startswith(begin)), self.implements
        )

    @property
    def annotated_names(self) -> tuple[str, ...]:
        """The names beside which the item's remarks are shown; may be empty."""
        return self.annotate_at or self.implements


@runtime_checkable
class Exercise(Protocol):
    """An exercise as the grader sees it: its questions, its specification of answers, its checks and its pictures.

    A stage has a kind and a part. In the first box, `components` is asked before a part's training, `ended` as soon as
    its training cells have run, and then `sampling`, `trained` and `quality`, in this order. A second box, which has
    trained nothing, is asked what `second_questions` returns: `decode`, whose answers depend on the part's training as
    those of `trained` and `quality` do, and kinds of the exercise's own. `replace` is the engine's: it puts correct
    code in before a part is trained again.

    A subclass omits each method that has nothing to do; `questions` and `answer_specs` are required.
    """

    parts: tuple[str, ...]
    interface: InterfaceSpec
    items: Mapping[str, ItemSpec]  # by the rubric's ids; items without properties may be omitted
    sizes: tuple[str, ...]  # the keys that the rubric's section `sizes` must have
    checks: Mapping[str, Check]
    in_box: Path

    def to_preload(self) -> Sequence[Callable[[], object]]:
        """Short tasks, a fraction of a second each, that load what grading and drawing need into memory.

        They run in their own thread while the notebook's cells run, and pause while it trains.
        """
        return ()

    def prepare(self, say: Say) -> Mapping[str, Path]:
        """Fetches what the exercise needs; returns the folders that its boxes see, by their path in the box."""
        return {}

    @abstractmethod
    def questions(self, rng: np.random.Generator, sizes: Mapping[str, int]) -> Questions:
        """Returns new questions for the first box: for stages of the kinds in `FIRST_BOX`, of which it may omit any."""

    @abstractmethod
    def answer_specs(self, sizes: Mapping[str, int]) -> Mapping[Address, AnswerSpec]:
        """Returns the specification of each answer."""

    def second_questions(self, evidence: Evidence, states: Mapping[str, Mapping[str, Array]]) -> Questions:
        """Returns the questions for a fresh box that runs only the notebook's definitions; empty if none is needed.

        states: part -> the trained numbers, of the parts that have any. No other box receives these questions.
        """
        return {}

    def stage_words(self) -> Mapping[str, str]:
        """Progress messages for the exercise's own kinds of stages, by kind; a kind without a message shows none.

        For instance, "drawing the map of codes".
        """
        return {}

    def figures(self, evidence: Evidence) -> list[Figure]:
        """Pictures for the report, even if evidence is missing; one with a `plane` is shown to students only."""
        return []

    def reasons_for_person(self, evidence: Evidence) -> list[str]:
        """Returns the review reasons, one sentence each."""
        return []


@dataclass(frozen=True)
class Reading:
    """How a classifier and a second reader of another kind classify one model's samples, by the classifier's class."""

    name: str
    agreement: float  # the share of all samples to which both give the same class
    read: Sequence[float]  # class -> the share of samples to which the classifier gives it
    agreed: Sequence[float]  # class -> of these, the share to which the second reader gives it, too; NaN for none


@runtime_checkable
class Pictured(Exercise, Protocol):
    """An exercise whose quality thresholds can be calibrated: it shows the pictures that they are about."""

    @abstractmethod
    def strip(self, evidence: Evidence, item: str, columns: int) -> Array:
        """The item's pictures, for people who set its thresholds: `(rows, columns, H, W)` in [0, 1].

        Raises:
            NotAnswered: there are none.
        """

    @abstractmethod
    def readings(self, samples: Mapping[str, Array]) -> list[Reading]:
        """Compares the classifier with a second reader on each model's samples, name -> `(N, 1, H, W)` in [0, 1]."""


def implemented_names(exercise: Exercise) -> dict[str, tuple[str, ...]]:
    """Item -> the interface's names that a student writes for it; items without such names are left out."""
    return {item: spec.implements for item, spec in exercise.items.items() if spec.implements}


def load_exercise(name: str, beside: Path | None = None) -> Exercise:
    """The exercise of that name: of a package, or of one that another distribution has announced.

    A distribution announces an exercise as an entry point of the group "vae_autograder.exercises". A package that is
    not installed is searched for in the folder `beside`, which contains the rubric.

    Raises:
        RubricError: there is none.
        ExerciseError: its checks or items name something that it does not have.
    """
    announced = {point.name: point.value for point in entry_points(group=EXERCISES)} if "." not in name else {}
    package = announced.get(name, name)
    if beside is not None and "." not in package and (beside / package / "__init__.py").is_file():
        sys.path.append(str(beside.resolve()))
    try:
        module = importlib.import_module(package)
    except ImportError as error:
        raise RubricError(f"exercise {package!r}: cannot be imported ({error}); expected a package") from None
    except Exception as error:  # whatever its author has written
        raise ExerciseError(f"exercise {package!r}: cannot be imported {_in_a_line(error)}") from None
    make = getattr(module, "exercise", None)
    if make is None:
        raise RubricError(f"exercise {package!r}: the package has no function `exercise()`")
    try:
        exercise = cast(Exercise, make())
    except Exception as error:
        raise ExerciseError(f"exercise {package!r}: exercise() failed {_in_a_line(error)}") from None
    _refuse_malformed(exercise, f"exercise {package!r}")
    return exercise


def _in_a_line(error: Exception) -> str:
    """The error with the file and line that raised it."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    place = getattr(error, "filename", None) or frame.filename
    line = getattr(error, "lineno", None) or frame.lineno
    return f"({one_line(f'{type(error).__name__}: {error}', 200)}), in {Path(place).name}, line {line}"


def _refuse_malformed(exercise: Exercise, where: str) -> None:
    """Refuses an exercise of which something is missing, of another type, or named in one place only."""
    if not isinstance(exercise, Exercise):
        members = (*Exercise.__annotations__, *(name for name in vars(Exercise) if name[0] != "_"))
        names = [name for name in members if not hasattr(exercise, name)]
        raise ExerciseError(
            f"{where}: {', '.join(names)} missing; make its class a subclass of grader.exercise.Exercise"
        )
    if not isinstance(exercise.parts, tuple) or not exercise.parts or not all(map(_is_word, exercise.parts)):
        raise ExerciseError(f'{where}: parts: expected names in a tuple such as ("vae",), got {exercise.parts!r:.60}')
    if not Path(exercise.in_box).is_dir():
        raise ExerciseError(f"{where}: in_box: {exercise.in_box}: no such folder")
    for part, function in exercise.interface.train_functions.items():
        if part not in exercise.parts:
            raise ExerciseError(f"{where}: train_functions: unknown part {part!r}{nearest(part, exercise.parts)}")
        _refuse_unknown_name(exercise, function, f"{where}: train_functions")
    for item, spec in exercise.items.items():
        if item.partition(".")[0] not in exercise.parts:
            raise ExerciseError(f"{where}: items: {item!r}: expected `part.name` with a part of {exercise.parts!r:.60}")
        _refuse_malformed_item(exercise, item, spec, f"{where}: item {item!r}")


def _refuse_malformed_item(exercise: Exercise, item: str, spec: ItemSpec, where: str) -> None:
    for key in ("implements", "annotate_at", "depends_on"):
        if not isinstance(names := getattr(spec, key), tuple):
            raise ExerciseError(f"{where}: {key}: expected a tuple such as ({names!r:.40},), got {names!r:.40}")
    for key in ("implements", "annotate_at"):
        for name in getattr(spec, key):
            _refuse_unknown_name(exercise, name, f"{where}: {key}")
    for name in spec.names_by_check.values():
        if name not in spec.implements:
            raise ExerciseError(f"{where}: names_by_check: the item does not ask for {name!r}")
    for earlier in spec.depends_on:
        if earlier == item or earlier not in implemented_names(exercise):
            raise ExerciseError(f"{where}: depends_on: {earlier!r} is not another item with code that students write")


def _refuse_unknown_name(exercise: Exercise, name: str, where: str) -> None:
    head = name.removesuffix("()").partition(".")[0]
    if head not in exercise.interface.names:
        raise ExerciseError(f"{where}: unknown name {name!r}{nearest(head, exercise.interface.names)}")


def _is_word(part: object) -> bool:
    return isinstance(part, str) and part.isidentifier()


def refuse_unasked(exercise: Exercise, questions: Questions, specs: Mapping[Address, AnswerSpec]) -> None:
    """Refuses questions of unknown stages, and specifications of answers to questions that are never asked.

    Raises:
        ExerciseError: the stage has another kind or part, or nothing is asked in the stage of a specified answer.
    """
    known = [Stage.of(kind, part) for part in exercise.parts for kind in FIRST_BOX]
    for stage in questions:
        if stage not in known:
            raise ExerciseError(f"questions: unknown stage {stage!r}{nearest(stage, known)}")
    for address in specs:
        if address.stage.part not in exercise.parts:
            raise ExerciseError(f"answer_specs: {address}: unknown part{nearest(address.stage.part, exercise.parts)}")
        if address.stage.kind in FIRST_BOX and address.stage not in questions:
            raise ExerciseError(f"answer_specs: {address}: `questions` asks nothing in the stage {address.stage}")
