"""The exercise for the engine; `grader.exercise.Exercise` documents each attribute and method."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from grader.checks import Check, checks_of
from grader.evidence import AnswerSpec
from grader.exercise import Exercise, InterfaceSpec, ItemSpec, Questions
from grader.records import (
    Address,
    Array,  # second box
    Evidence,  # second box
)

from . import checks, questions
from .in_box import probe


class TwoNumbers(Exercise):
    """Two parts, `one` and `two`, each with a training cell; a notebook that trains one model has one part.

    Comments mark the lines of the second part and of the second box; see `questions.py`.

    Methods that this exercise does not need are left out, for instance `prepare` (downloads data) and `figures`
    (pictures for the report).
    """

    parts: tuple[str, ...] = questions.PARTS
    interface: InterfaceSpec = InterfaceSpec(
        names=probe.NAMES,
        train_functions={
            "one": "train_one",
            "two": "train_two",  # second part
        },
        arguments=probe.ARGUMENTS,
        options=probe.OPTIONS,
        imports=("numpy",),  # modules that every solution uses; a waiting box imports them in advance
    )
    # By the ids of the rubric's items, `part.name`; the items `two.…` belong to the second part.
    # If an item that `depends_on` names lost points, the later item can be graded again with a correct version of the
    # code: see `follow_through` in the rubric.
    items: Mapping[str, ItemSpec] = {
        "one.function": ItemSpec(implements=("double",)),
        "one.training": ItemSpec(implements=("train_one",), depends_on=("one.function",)),
        "two.function": ItemSpec(implements=("triple",)),
        "two.training": ItemSpec(implements=("train_two",), depends_on=("two.function",)),
    }
    sizes: tuple[str, ...] = ("numbers",)
    checks: Mapping[str, Check] = checks_of(checks)
    in_box: Path = Path(__file__).parent / "in_box"

    def questions(self, rng: np.random.Generator, sizes: Mapping[str, int]) -> Questions:
        """See `questions.make_questions`."""
        return questions.make_questions(rng, sizes["numbers"])

    def answer_specs(self, sizes: Mapping[str, int]) -> Mapping[Address, AnswerSpec]:
        """See `questions.make_answer_specs`."""
        return questions.make_answer_specs(sizes["numbers"])

    def second_questions(  # second box
        self, evidence: Evidence, states: Mapping[str, Mapping[str, Array]]
    ) -> Questions:
        """See `questions.make_second_questions`; without this method there is no second box."""
        return questions.make_second_questions(evidence, states)
