"""Decides which answer of a loop or sampling function is graded: with the student's own model, or with a stand-in.

The answer with the student's own model counts if it shows whether the code is right. If an earlier mistake prevents
that, a throwaway box runs the code again, with toy networks in the student's model and then with a toy model alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from grader.exercise import Questions
from grader.exercises.vae_mnist.questions import PARTS
from grader.records import Address, Array, Blame, Evidence, Stage

STAND_INS = ("in_own_model", "alone")  # in order of preference
CUT_OFF = 3  # `way` of a pass whose images gave the encoder no gradient, see WAYS of checks/steps.py
RANGE = 1e-4  # tolerance of pixels outside [0, 1]
ENDLESS = ("did not finish", "ended the whole Python process")  # in faults after which the code is not run again


def _learns(evidence: Evidence, address: Address) -> bool:
    """Whether gradients other than 0 and NaN came back through both networks; if not, the model may be at fault."""
    gradients, rows, way = (evidence.answers.get(address.array(name)) for name in ("came", "pass_rows", "way"))
    if gradients is None or rows is None or way is None or not rows.any() or (way == CUT_OFF).all():
        return False
    return bool(np.abs(gradients).max(initial=0) > 0)


def _draws(evidence: Evidence, address: Address) -> bool:
    """Whether the decoder gave one image in [0, 1] for each code; if not, the decoder may be at fault."""
    decoded, as_images = (evidence.answers.get(address.array(name)) for name in ("decoded", "as_images"))
    counts = evidence.questions[Stage.of("sampling", address.stage.part).array("sample_counts")]
    if decoded is None or as_images is None or len(decoded) != counts.sum() or not as_images.all():
        return False
    return bool((decoded >= -RANGE).all() and (decoded <= 1 + RANGE).all())


@dataclass(frozen=True)
class StandInQuestion:
    """A question that is asked with the student's own model and, if that is inconclusive, with stand-ins."""

    name: str
    stage: str  # the kind of stage that asks with the student's own model
    required_array: str  # an array that every answer has
    shows: Callable[[Evidence, Address], bool]  # whether an answer is conclusive about the code

    def with_own_model(self, part: str) -> Address:
        """The address of the answer with the student's own model."""
        return Address.of(self.stage, part, self.name)

    def with_stand_ins(self, part: str) -> tuple[Address, ...]:
        """The addresses of the answers with stand-ins, in order of preference."""
        return tuple(Address.of(f"{self.name}_by_toys", part, how) for how in STAND_INS)

    def decisive(self, evidence: Evidence, part: str) -> Address:
        """The address of the answer, or of the fault, that is graded."""
        own_address, stand_in_addresses = self.with_own_model(part), self.with_stand_ins(part)
        addresses = (own_address, *stand_in_addresses)
        for address in addresses:
            if self.shows(evidence, address):
                return address
        for address in addresses:
            if address.array(self.required_array) in evidence.answers:
                return address
        kind = _kind(evidence.fault(own_address).message)
        faults = [evidence.fault(address) for address in stand_in_addresses]
        if any(fault.blame is Blame.STUDENT and _kind(fault.message) == kind for fault in faults):
            return own_address
        # code that stops only with a stand-in, while their own model is broken, needs manual review
        return next(
            (s for s, fault in zip(stand_in_addresses, faults, strict=True) if fault.blame is Blame.OURS), own_address
        )

    def needs_stand_in(self, evidence: Evidence, part: str) -> bool:
        """Whether a stand-in may be conclusive where the student's own model is not."""
        own_address = self.with_own_model(part)
        if self.shows(evidence, own_address):
            return False
        fault = evidence.faults.get(own_address)
        return fault is None or (fault.blame is Blame.STUDENT and not any(text in fault.message for text in ENDLESS))


TRAINING = StandInQuestion("training", "components", "batch", _learns)
SAMPLING = StandInQuestion("sampling", "sampling", "shapes", _draws)


def questions(evidence: Evidence, stand_in: bytes) -> Questions:
    """The questions for the throwaway box; `stand_in` is the source code of the toys."""
    stages: Questions = {}
    for part in PARTS:
        for question in (TRAINING, SAMPLING):
            arrays: dict[str, Array] = Stage.of(question.stage, part).arrays(evidence.questions)
            if not arrays or not question.needs_stand_in(evidence, part):
                continue
            fault = evidence.faults.get(question.with_own_model(part))
            kind = "" if fault is None else _kind(fault.message)
            texts = {"stand_in": stand_in, "own_error": kind.encode()}
            stages[Stage.of(f"{question.name}_by_toys", part)] = arrays | {
                name: np.frombuffer(text, dtype=np.uint8).copy() for name, text in texts.items()
            }
    return stages


def _kind(message: str) -> str:
    """The kind of exception that a message begins with, for instance "TypeError"."""
    return message.partition(":")[0]
