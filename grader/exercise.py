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

from grader.errors import ExerciseError, RubricError, one_line
from grader.evidence import AnswerSpec
from grader.records import Address, Array, Evidence, Figure, Stage

if TYPE_CHECKING:
    from grader.checks import Check

EXERCISES = "vae_autograder.exercises"  # the group of entry points
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

    A stage has a kind and a part: `components` is asked before a part's training, `sampling`, `trained` and
    `quality` after it, in this order, and `decode` in a second box that holds the trained numbers but none of the
    earlier questions. Two kinds are the engine's: `ended` looks at the given names as soon as a part has trained, and
    `replace` puts correct parts in. Other kinds are asked only in the second box and belong to the exercise.

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
        """Returns new questions for every stage except `decode`."""

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
    _refuse_unknown_names(exercise, f"exercise {package!r}")
    return exercise


def _in_a_line(error: Exception) -> str:
    """The error, and where it was raised in the exercise's own files."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    place = getattr(error, "filename", None) or frame.filename
    line = getattr(error, "lineno", None) or frame.lineno
    return f"({one_line(f'{type(error).__name__}: {error}', 200)}), in {Path(place).name}, line {line}"


def _refuse_unknown_names(exercise: Exercise, where: str) -> None:
    for item, spec in exercise.items.items():
        for name in spec.names_by_check.values():
            if name not in spec.implements:
                raise ExerciseError(f"{where}: item {item!r}: names_by_check: the item does not ask for {name!r}")
        for earlier in spec.depends_on:
            if earlier not in implemented_names(exercise):
                raise ExerciseError(
                    f"{where}: item {item!r}: depends_on: {earlier!r} is not an item that has questions"
                )
