"""Decodes the answers of the two boxes: each becomes evidence if it fits the specification, and a fault otherwise."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np

from grader.evidence import AnswerSpec, Rejected, read_answer, read_tensors
from grader.exercise import Questions
from grader.records import LEFT_OUT, Address, Array, Blame, Evidence, Fault, Stage, Status
from grader.sandbox.in_box.frames import StageStatus
from grader.sandbox.received_frames import Inbox

# How a stage ends when the notebook has left nothing to ask in, or no way to ask.
LOST_STAGE_TEXTS = {
    **dict.fromkeys(
        (StageStatus.TIMEOUT, StageStatus.DIED, StageStatus.SKIPPED),
        "the notebook's Python process ended before this could be tested",
    ),
    StageStatus.DAMAGED: (
        "this could not be tested: your code filled the disk, changed the grader's folders, or has a file with the "
        "name of a library"
    ),
    StageStatus.INTERRUPTED: ("this could not be tested: your code has used up all threads or open files"),
}
NOT_ASKED = Fault(Blame.NOBODY, LEFT_OUT)


def decode_answers(
    inbox: Inbox,
    specs: Mapping[Address, AnswerSpec],
    questions: Questions,
    status: Status,
    event: str,
    stages: Collection[Stage] | None = None,
) -> Evidence:
    """Returns the evidence in a box's frames. A missing answer is a grader fault only if the box broke.

    `stages` are those that were to be asked; None means all of them.
    """
    answers: dict[str, Array] = {}
    faults: dict[str, Fault] = {}
    for address, spec in specs.items():
        end = inbox.stages.get(address.stage)
        if stages is not None and address.stage not in stages:
            faults[address] = NOT_ASKED
        elif (data := inbox.answers.get(address)) is not None:
            try:
                for name, array in read_answer(data, spec).items():
                    if np.isfinite(array).all():
                        answers[address.array(name)] = array
                    else:  # the finite arrays of the same answer are still graded
                        problem = f"{name.replace('_', ' ')} contains NaN or infinity"
                        faults[address.array(name)] = Fault(Blame.STUDENT, problem)
            except Rejected as rejected:
                faults[address] = Fault(Blame.STUDENT, str(rejected))
        elif (unanswered := inbox.unanswered.get(address)) is not None:
            faults[address] = Fault(Blame.OURS if unanswered.ours else Blame.STUDENT, unanswered.error)
        elif status is Status.BOX_ERROR or inbox.faults:
            faults[address] = Fault(Blame.OURS, (inbox.faults or [event])[0])
        elif inbox.finished and end not in LOST_STAGE_TEXTS:
            faults[address] = Fault(Blame.OURS, f"the probe gave no answer to {address}")
        else:
            faults[address] = Fault(
                Blame.STUDENT,
                event or LOST_STAGE_TEXTS.get(end or StageStatus.DIED, LOST_STAGE_TEXTS[StageStatus.DIED]),
            )
    return Evidence(question_arrays(questions), answers, faults)


def question_arrays(questions: Questions) -> dict[str, Array]:
    """The questions' arrays by their names in evidence."""
    return {stage.array(name): array for stage, arrays in questions.items() for name, array in arrays.items()}


def trained_state(inbox: Inbox, part: str, max_mb: float) -> dict[str, Array]:
    """The trained parameters as plain arrays; empty if there are none that can be used."""
    data = inbox.answers.get(Address.of("trained", part, "state"))
    if data is None or len(data) > max_mb * 1e6:
        return {}
    try:
        return read_tensors(data)
    except Rejected:
        return {}


def merge_evidence(first: Evidence, second: Evidence) -> Evidence:
    """The evidence of both boxes; where both have an entry, the second box's counts."""
    faults = {**first.faults, **second.faults}
    answers = {**first.answers, **second.answers}
    return Evidence(
        {**first.questions, **second.questions},
        answers,
        {name: fault for name, fault in faults.items() if not _is_answered(name, answers)},
    )


def _is_answered(name: str, answers: Mapping[str, Array]) -> bool:
    """Whether the answers contain the array, or an array of the answer, that the fault of that name reports missing."""
    return name in answers or any(answer.startswith(f"{name}/") for answer in answers)
