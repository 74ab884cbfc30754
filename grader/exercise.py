"""What the engine wants from an exercise; the rubric names the package, the engine imports none by name."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol, cast, runtime_checkable

import numpy as np

from grader.errors import RubricError
from grader.evidence import AnswerSpec
from grader.judging import Check
from grader.records import Array, Evidence, Figure

Questions = dict[str, dict[str, Array]]  # stage -> name -> array
Say = Callable[[str], None]


@runtime_checkable
class Exercise(Protocol):
    """A wing of the grader: its questions, its specification of answers, its checks and its pictures.

    Stages are named `<kind>.<part>`: `components` is asked before a part's training, `sampling`, `trained` and
    `quality` after it, in this order, and `decode` in a second box that holds the trained numbers but none of the
    earlier questions.
    """

    parts: tuple[str, ...]
    names: tuple[str, ...]  # the interface's names, which a rubric may map
    arguments: Mapping[str, tuple[str, ...]]  # function -> its arguments, which a rubric may give another order
    returns: Mapping[str, tuple[str, ...]]  # function -> the values it returns, likewise
    options: Mapping[str, tuple[str, ...]]  # option -> what a rubric may choose, the interface's own way first
    train_functions: Mapping[str, str]  # part -> the function whose call trains it
    sizes: tuple[str, ...]  # what the rubric must size
    checks: Mapping[str, Check]
    in_box: Path
    imports: tuple[str, ...]  # modules that a solution imports anyway; a box may load them before it is told one
    asks_for: Mapping[str, tuple[str, ...]]  # item -> the interface's names a student writes for it
    beside: Mapping[
        str, tuple[str, ...]
    ]  # item -> where its remarks stand, if elsewhere; `name()` is where it is called
    spoilt_by: Mapping[str, tuple[str, ...]]  # item -> the earlier items whose mistakes spoil it

    def to_load(self) -> Sequence[Callable[[], object]]:
        """Works of a fraction of a second each, after which what judging and drawing need is in memory.

        They are done in a thread of its own beside the notebook's cells, and wait while it trains.
        """

    def prepare(self, say: Say) -> Mapping[str, Path]:
        """Fetches what the exercise needs; returns the folders that its boxes see, by their path inside."""

    def questions(self, rng: np.random.Generator, sizes: Mapping[str, int]) -> Questions:
        """Fresh questions of every stage but `decode`."""

    def answer_specs(self, sizes: Mapping[str, int]) -> Mapping[str, AnswerSpec]:
        """What each answer, by `stage/question`, may hold."""

    def second_questions(self, part: str, evidence: Evidence, state: Mapping[str, Array]) -> dict[str, Array]:
        """The questions of `decode.<part>`; raises `NotAnswered` where there is nothing to ask."""

    def figures(self, evidence: Evidence) -> list[Figure]:
        """Pictures for the report; never raises for missing evidence."""

    def reasons_for_person(self, evidence: Evidence) -> list[str]:
        """Why a person should look, one sentence each."""


def load_exercise(package: str) -> Exercise:
    """The exercise of that package.

    Raises:
        RubricError: where there is none.
    """
    try:
        module = importlib.import_module(package)
    except ImportError as error:
        raise RubricError(f"exercise {package!r}: cannot be imported ({error}); expected a package") from None
    exercise = getattr(module, "exercise", None)
    if exercise is None:
        raise RubricError(f"exercise {package!r}: the package has no function `exercise()`")
    return cast(Exercise, exercise())
