"""The protocol that an exercise implements; the rubric names its package, and the engine imports none by name."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, cast, runtime_checkable

import numpy as np

from grader.errors import ExerciseError, RubricError
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
    steps: str = ""  # the question of the stage `trained` that has an answer where training got to work


@dataclass(frozen=True)
class ItemSpec:
    """Properties of one item of the rubric that the engine needs in addition to its checks."""

    implements: tuple[str, ...] = ()  # the interface's names that a student writes for it
    names_by_check: Mapping[str, str] = field(
        default_factory=dict
    )  # how its checks' names begin -> the one name that is meant
    annotate_at: tuple[str, ...] = ()  # where its remarks stand, if elsewhere; `name()` is where it is called
    depends_on: tuple[str, ...] = ()  # the earlier items whose mistakes spoil it

    def meant_by(self, check: str) -> tuple[str, ...]:
        """The names, of those asked for, whose code the check of that name looks at."""
        return next(
            ((name,) for begin, name in self.names_by_check.items() if check.startswith(begin)), self.implements
        )

    @property
    def annotated_names(self) -> tuple[str, ...]:
        """The names beside which the item's remarks stand; none if empty."""
        return self.annotate_at or self.implements


@runtime_checkable
class Exercise(Protocol):
    """An exercise as the grader sees it: its questions, its specification of answers, its checks and its pictures.

    A stage has a kind and a part: `components` is asked before a part's training, `sampling`, `trained` and
    `quality` after it, in this order, and `decode` in a second box that holds the trained numbers but none of the
    earlier questions. Two kinds are the engine's: `ended` looks at the given names as soon as a part has trained, and
    `replace` puts correct parts in. Other kinds are asked only in the second box and belong to the exercise.

    An exercise that is a subclass leaves out each method for which there is nothing to do.
    """

    parts: tuple[str, ...]
    interface: InterfaceSpec
    items: Mapping[str, ItemSpec]  # by the rubric's ids; an item of which nothing is to be said may be left out
    sizes: tuple[str, ...]  # what the rubric must size
    checks: Mapping[str, Check]
    in_box: Path

    def to_preload(self) -> Sequence[Callable[[], object]]:
        """Works of a fraction of a second each, after which what judging and drawing need is in memory.

        They are done in a thread of its own beside the notebook's cells, and wait while it trains.
        """
        return ()

    def prepare(self, say: Say) -> Mapping[str, Path]:
        """Fetches what the exercise needs; returns the folders that its boxes see, by their path inside."""
        return {}

    def questions(self, rng: np.random.Generator, sizes: Mapping[str, int]) -> Questions:
        """Fresh questions of every stage but `decode`."""

    def answer_specs(self, sizes: Mapping[str, int]) -> Mapping[Address, AnswerSpec]:
        """Returns the specification of each answer."""

    def second_questions(self, evidence: Evidence, states: Mapping[str, Mapping[str, Array]]) -> Questions:
        """What a fresh box is asked that runs the notebook's definitions, stage by stage; empty where it is not needed.

        states: part -> the trained numbers, of the parts that have any. No other box knows what this box receives.
        """
        return {}

    def stage_words(self) -> Mapping[str, str]:
        """What the progress output says while a fresh box is asked the exercise's own kinds of stages, by kind.

        "drawing the map of codes", for instance; nothing is said of a kind that is left out.
        """
        return {}

    def figures(self, evidence: Evidence) -> list[Figure]:
        """Pictures for the report; never raises for missing evidence. One with a `plane` is shown to students only."""
        return []

    def reasons_for_person(self, evidence: Evidence) -> list[str]:
        """Returns the review reasons, one sentence each."""
        return []


@dataclass(frozen=True)
class Reading:
    """How a classifier and a second reader of another kind read the samples of one model, by what the first reads."""

    name: str
    agreement: float  # the share of all samples that both read as the same digit
    read: Sequence[float]  # digit -> the share of samples that the classifier reads as it
    agreed: Sequence[float]  # digit -> of these, the share that the second reader reads as it, too; NaN for none


@runtime_checkable
class Pictured(Exercise, Protocol):
    """An exercise whose quality thresholds can be calibrated: it shows what the pictures that they judge look like."""

    def strip(self, evidence: Evidence, item: str, columns: int) -> Array:
        """What the item's pictures look like, for those who set its thresholds: `(rows, columns, H, W)` in [0, 1].

        Raises:
            NotAnswered: where there are none.
        """

    def readings(self, samples: Mapping[str, Array]) -> list[Reading]:
        """What a second reader says beside the classifier of each model's samples `(N, 1, H, W)` in [0, 1], by name."""


def implemented_names(exercise: Exercise) -> dict[str, tuple[str, ...]]:
    """Item -> the interface's names that a student writes for it, for the items that ask for any."""
    return {item: spec.implements for item, spec in exercise.items.items() if spec.implements}


def load_exercise(name: str, beside: Path | None = None) -> Exercise:
    """The exercise of that name: of a package, or of one that another distribution has announced.

    A distribution announces an exercise as an entry point of the group "vae_autograder.exercises". A package that is
    not installed is looked for in the folder `beside`, which holds the rubric.

    Raises:
        RubricError: where there is none.
        ExerciseError: where its checks or items name what it does not have.
    """
    announced = {point.name: point.value for point in entry_points(group=EXERCISES)} if "." not in name else {}
    package = announced.get(name, name)
    if beside is not None and "." not in package and (beside / package / "__init__.py").is_file():
        sys.path.append(str(beside.resolve()))
    try:
        module = importlib.import_module(package)
    except ImportError as error:
        raise RubricError(f"exercise {package!r}: cannot be imported ({error}); expected a package") from None
    make = getattr(module, "exercise", None)
    if make is None:
        raise RubricError(f"exercise {package!r}: the package has no function `exercise()`")
    exercise = cast(Exercise, make())
    _refuse_unknown_names(exercise, f"exercise {package!r}")
    return exercise


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
