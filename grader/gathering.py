"""Turns what two boxes sent back into evidence: answers read against the specification, everything else a fault."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from grader.box.inbox import Inbox
from grader.evidence import AnswerSpec, Rejected, read_answer, read_tensors
from grader.exercise import Questions
from grader.records import Array, Evidence, Fault, Status

ENDED_BY_STUDENT = {"timeout", "died", "skipped"}  # how a stage ends when the kernel is lost
NOT_ASKED = Fault("nobody", "not judged: this run left it out")


def gather(
    inbox: Inbox,
    specs: Mapping[str, AnswerSpec],
    questions: Questions,
    status: Status,
    event: str,
    stages: Collection[str] | None = None,
) -> Evidence:
    """The evidence in a box's frames. What is not there is the run's fault, and ours only if the box broke.

    `stages` are those that were to be asked, all of them where it is None.
    """
    answers: dict[str, Array] = {}
    faults: dict[str, Fault] = {}
    for source, spec in specs.items():
        stage, _, question = source.partition("/")
        data = inbox.answers.get((stage, question))
        if stages is not None and stage not in stages:
            faults[source] = NOT_ASKED
        elif data is not None:
            try:
                answers |= {f"{source}/{name}": array for name, array in read_answer(data, spec).items()}
            except Rejected as rejected:
                faults[source] = Fault("student", str(rejected))
        elif (stage, question) in inbox.notes:
            message, ours = inbox.notes[stage, question]
            faults[source] = Fault("ours" if ours else "student", message)
        elif status is Status.BOX_ERROR or inbox.faults:
            faults[source] = Fault("ours", (inbox.faults or [event])[0])
        elif inbox.finished and inbox.stages.get(stage) not in ENDED_BY_STUDENT:
            faults[source] = Fault("ours", f"the probe gave no answer to {source}")
        else:
            faults[source] = Fault("student", event or "the notebook's process ended before this could be asked")
    flat = {f"{stage}/{name}": array for stage, asked in questions.items() for name, array in asked.items()}
    return Evidence(flat, answers, faults)


def trained_state(inbox: Inbox, part: str, max_mb: float) -> dict[str, Array]:
    """The trained numbers as plain arrays, empty where there are none that can be used."""
    data = inbox.answers.get((f"trained.{part}", "state"))
    if data is None or len(data) > max_mb * 1e6:
        return {}
    try:
        return read_tensors(data)
    except Rejected:
        return {}


def merged(first: Evidence, second: Evidence) -> Evidence:
    """Both boxes' evidence; the second's word counts where both speak."""
    faults = {**first.faults, **second.faults}
    answered = {name.rpartition("/")[0] for name in {**first.answers, **second.answers}}
    return Evidence(
        {**first.questions, **second.questions},
        {**first.answers, **second.answers},
        {source: fault for source, fault in faults.items() if source not in answered},
    )
