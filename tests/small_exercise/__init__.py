"""A small exercise that reaches all of the engine: two parts, each a factor to multiply by and a number to learn.

It lies outside the grader and needs no torch, so that every test of the engine that runs on it proves that the engine
knows no exercise by name.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from grader.checks import Check, checks_of
from grader.evidence import AnswerSpec, ArraySpec
from grader.exercise import Exercise, InterfaceSpec, ItemSpec, Questions
from grader.records import Address, Array, Evidence, Stage
from small_exercise import checks

FOLDER = Path(__file__).parent


class Toy(Exercise):
    """Two parts, `one` and `two`, and a second box for both."""

    parts: tuple[str, ...] = ("one", "two")
    interface: InterfaceSpec = InterfaceSpec(
        names=("STEPS", "double", "triple", "train_one", "train_two", "one", "two"),
        train_functions={"one": "train_one", "two": "train_two"},
        arguments={"train_one": ("model", "steps"), "train_two": ("model", "steps")},
        options={"numbers": ("arrays", "lists")},
        imports=("json",),
    )
    items: Mapping[str, ItemSpec] = {
        "one.function": ItemSpec(implements=("double",)),
        "one.training": ItemSpec(annotate_at=("train_one()",), depends_on=("one.function",)),
        "two.function": ItemSpec(implements=("triple",)),
        "two.training": ItemSpec(annotate_at=("train_two()",), depends_on=("two.function",)),
    }
    sizes: tuple[str, ...] = ("numbers",)
    checks: Mapping[str, Check] = checks_of(checks)
    in_box = FOLDER / "in_box"

    def questions(self, rng: np.random.Generator, sizes: Mapping[str, int]) -> Questions:
        """Random numbers `(N,)` float32 for every stage."""
        stages = [Stage.of(kind, part) for kind in ("components", "trained", "quality") for part in self.parts]
        return {stage: {"x": rng.standard_normal(sizes["numbers"]).astype(np.float32)} for stage in stages}

    def answer_specs(self, sizes: Mapping[str, int]) -> Mapping[Address, AnswerSpec]:
        """As many numbers as were asked about; a short history."""
        numbers = {"y": ArraySpec("float", sizes["numbers"])}
        specs: dict[Address, AnswerSpec] = {}
        for part in self.parts:
            specs[Address.of("components", part, "function")] = numbers
            specs[Address.of("trained", part, "history")] = {"history": ArraySpec("float", 100)}
            specs[Address.of("quality", part, "apply")] = numbers
            specs[Address.of("decode", part, "apply")] = numbers
        return specs

    def second_questions(self, evidence: Evidence, states: Mapping[str, Mapping[str, Array]]) -> Questions:
        """The first box's answers go into the second, with the trained number."""
        questions: Questions = {}
        for part, state in states.items():
            codes = evidence.answers.get(Address.of("quality", part, "apply").array("y"))
            if codes is not None and state:
                questions[Stage.of("decode", part)] = {"x": codes, **state}
        return questions


def exercise() -> Exercise:
    """The toy."""
    return Toy()
