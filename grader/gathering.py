"""Turns what two boxes sent back into evidence: answers read against the specification, everything else a fault."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from grader.box.inbox import Inbox
from grader.evidence import AnswerSpec, Rejected, read_answer, read_tensors
from grader.exercise import Questions
from grader.records import LEFT_OUT, Array, Evidence, Fault, Status

# How a stage ends when the notebook has left nothing to ask in, or no way to ask.
LOST = {
    **dict.fromkeys(("timeout", "died", "skipped"), "the notebook's process ended before this could be asked"),
    "spoilt": "the grader's questions could not be put down: your code filled the box's disk or changed its folders",
    "interrupted": "the grader's questions were interrupted: your code leaves no threads or open files to the grader",
}
NOT_ASKED = Fault("nobody", LEFT_OUT)


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
        elif inbox.finished and inbox.stages.get(stage) not in LOST:
            faults[source] = Fault("ours", f"the probe gave no answer to {source}")
        else:
            faults[source] = Fault("student", event or LOST.get(inbox.stages.get(stage, ""), LOST["died"]))
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
