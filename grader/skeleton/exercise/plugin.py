"""The exercise for the engine; `grader.exercise.Exercise` documents each attribute and method."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from grader.checks import Check, checks_of
from grader.evidence import AnswerSpec
from grader.exercise import Exercise, InterfaceSpec, ItemSpec, Questions
from grader.records import Address

from . import checks, questions
from .in_box import probe


class StraightLine(Exercise):
    """One part, `line`. A notebook that trains several models has several parts, each with its own training cell.

    Methods that this exercise does not need are left out: `prepare` (downloads data), `second_questions` (questions
    for a second, fresh box) and `figures` (pictures for the report).
    """

    parts: tuple[str, ...] = ("line",)
    interface: InterfaceSpec = InterfaceSpec(
        names=probe.NAMES,
        train_functions={"line": "fit"},
        arguments=probe.ARGUMENTS,
        returns=probe.RETURNS,
    )
    # No item here depends on an earlier one. If a wrong loss spoils training, name it in the later item's `depends_on`;
    # a correct part then replaces the wrong one before the later item is graded: see vae_mnist.
    items: Mapping[str, ItemSpec] = {
        "line.loss": ItemSpec(implements=("mean_squared_error",)),
        "line.training": ItemSpec(implements=("fit",)),
    }
    sizes: tuple[str, ...] = ("points",)
    checks: Mapping[str, Check] = checks_of(checks)
    in_box: Path = Path(__file__).parent / "in_box"

    def questions(self, rng: np.random.Generator, sizes: Mapping[str, int]) -> Questions:
        """See `questions.make_questions`."""
        return questions.make_questions(rng, sizes["points"])

    def answer_specs(self, sizes: Mapping[str, int]) -> Mapping[Address, AnswerSpec]:
        """See `questions.ANSWERS`; if answers grow with a size of the rubric, compute the specifications here."""
        return questions.ANSWERS
