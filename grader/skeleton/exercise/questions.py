"""The questions, and the allowed answers.

Every run draws new questions from its secret seed, so stored answers do not help a notebook.

An exercise with one part, or without a second box, needs no line that ends with `# second part` or `# second box`;
at the end of a `def` line, this comment stands for the whole function.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from grader.evidence import AnswerSpec, ArraySpec
from grader.exercise import Questions
from grader.records import (
    Address,
    Array,  # second box
    Evidence,  # second box
    Stage,
)

PARTS = (
    "one",
    "two",  # second part
)
FACTORS = {  # by which the part's function multiplies
    "one": 2,
    "two": 3,  # second part
}
LONGEST_HISTORY = 100  # losses


def make_questions(rng: np.random.Generator, count: int) -> Questions:
    """Stage -> name -> float32 array `(count,)`.

    `components` is asked just before a part trains, `trained` and `quality` afterwards. Only numpy arrays of float32
    and int64 can be sent into the box.
    """
    kinds = (
        "components",
        "trained",
        "quality",  # second box
    )
    stages = [Stage.of(kind, part) for kind in kinds for part in PARTS]
    return {stage: {"x": rng.standard_normal(count).astype(np.float32)} for stage in stages}


def make_second_questions(evidence: Evidence, states: Mapping[str, Mapping[str, Array]]) -> Questions:  # second box
    """The questions for a second box, which has run the notebook's definitions but has trained nothing.

    It receives the trained number and the first box's answers, so it can neither have stored nor learned anything.
    """
    questions: Questions = {}
    for part, state in states.items():
        answered = evidence.answers.get(Address.of("quality", part, "apply").array("y"))
        if answered is not None and state:
            questions[Stage.of("decode", part)] = {"x": answered, **state}
    return questions


def make_answer_specs(count: int) -> Mapping[Address, AnswerSpec]:
    """Address of a question -> the arrays of its answer by name: kind, and the largest number of values.

    Anything else that the box sends is refused before a check sees it.
    """
    numbers = {"y": ArraySpec("float", count)}
    specs: dict[Address, AnswerSpec] = {}
    for part in PARTS:
        specs[Address.of("components", part, "function")] = numbers
        specs[Address.of("trained", part, "history")] = {"history": ArraySpec("float", LONGEST_HISTORY)}
        specs[Address.of("quality", part, "apply")] = numbers  # second box
        specs[Address.of("decode", part, "apply")] = numbers  # second box
    return specs
