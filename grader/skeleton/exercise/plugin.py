"""The exercise as the engine sees it; `grader.exercise.Exercise` says what each attribute and method is for."""

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
    """One part, `line`. A notebook that trains several things has several parts, each with its own training cell.

    What it has no need of is left out: data to fetch (`prepare`), questions for a second, fresh box
    (`second_questions`), pictures for the report (`figures`).
    """

    parts: tuple[str, ...] = ("line",)
    interface: InterfaceSpec = InterfaceSpec(
        names=probe.NAMES,
        train_functions={"line": "fit"},
        arguments=probe.ARGUMENTS,
        returns=probe.RETURNS,
    )
    # Nothing here is spoilt by an earlier mistake. Where a wrong loss spoils what is learnt, say `depends_on` of the
    # later item, and a sound part is put in the wrong one's place before the later item is judged: see vae_mnist.
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
        """See `questions.ANSWERS`; where answers grow with a size of the rubric, compute them here."""
        return questions.ANSWERS
