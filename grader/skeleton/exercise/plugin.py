"""The exercise as the engine sees it; `grader.exercise.Exercise` says what each attribute is for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from grader.checks import Check, checks_of
from grader.evidence import AnswerSpec
from grader.exercise import InterfaceSpec, ItemSpec, Questions, Say
from grader.records import Address, Array, Evidence, Figure

from . import checks, evidence_spec, questions
from .in_box import interface


class StraightLine:
    """One part, `line`. A notebook that trains several things has several parts, each with its own training cell."""

    parts: tuple[str, ...] = questions.PARTS
    interface: InterfaceSpec = InterfaceSpec(
        names=interface.NAMES,
        train_functions={"line": "fit"},
        arguments=interface.ARGUMENTS,
        returns=interface.RETURNS,
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

    def to_preload(self) -> Sequence[Callable[[], object]]:
        """Nothing takes time to load."""
        return ()

    def prepare(self, say: Say) -> Mapping[str, Path]:
        """Nothing to fetch. An exercise with data returns its folder here, and the box sees it read-only."""
        return {}

    def questions(self, rng: np.random.Generator, sizes: Mapping[str, int]) -> Questions:
        """See `questions.make_questions`."""
        return questions.make_questions(rng, sizes)

    def answer_specs(self, sizes: Mapping[str, int]) -> Mapping[Address, AnswerSpec]:
        """See `evidence_spec.answer_specs`."""
        return evidence_spec.answer_specs(sizes)

    def second_questions(self, evidence: Evidence, trained: Mapping[str, Mapping[str, Array]]) -> Questions:
        """Nothing: what a second, fresh box is to be asked once the first one has answered."""
        return {}

    def figures(self, evidence: Evidence) -> list[Figure]:
        """None. Draw from evidence what a student should see: `Figure(id, title, caption, png)`."""
        return []

    def reasons_for_person(self, evidence: Evidence) -> list[str]:
        """None. A sentence for each thing in the evidence that only a person can decide."""
        return []
