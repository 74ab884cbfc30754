"""The answers of boxes become evidence, and each missing answer becomes a fault with a cause."""

from __future__ import annotations

import numpy as np
import pytest
from safetensors.numpy import save
from small_exercise import running

from grader.evidence import ArraySpec
from grader.grading.answers import decode_answers, merge_evidence, trained_state
from grader.grading.run import QuestionSource
from grader.records import Address, Blame, Evidence, Fault, Stage, Status
from grader.sandbox.in_box.frames import Answer, Frame, RunnerFault, StageEnd, StageStatus, Unanswered
from grader.sandbox.received_frames import Inbox
from grader.skeleton.exercise.plugin import TwoNumbers

FUNCTION, APPLY = Address.of("components", "one", "function"), Address.of("quality", "one", "apply")
STATE = Address.of("trained", "one", "state")
SPECS = {FUNCTION: {"y": ArraySpec("float", 3)}, APPLY: {"y": ArraySpec("float", 3)}}
NUMBERS = save({"y": np.ones(3, dtype=np.float32)})


def inbox(*frames: Frame) -> Inbox:
    """A box that has sent these frames."""
    box = Inbox(running.rubric().limits)
    for frame in frames:
        box.put(*frame.encode())
    return box


def fault_of(box: Inbox, status: Status = Status.OK, event: str = "") -> Fault:
    return decode_answers(box, SPECS, {}, status, event).faults["components.one/function"]


def test_answers_become_evidence_beside_the_questions() -> None:
    questions = {Stage("components.one"): {"x": np.zeros(2)}}
    evidence = decode_answers(inbox(Answer(FUNCTION, NUMBERS)), SPECS, questions, Status.OK, "")
    assert evidence.answers["components.one/function/y"].tolist() == [1, 1, 1]
    assert evidence.questions["components.one/x"].tolist() == [0, 0]
    assert list(evidence.faults) == ["quality.one/apply"]


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_an_unusable_array_does_not_affect_the_others(bad: float) -> None:
    specs = {FUNCTION: {"y": ArraySpec("float", 3), "grad_y": ArraySpec("float", 3)}}
    sent = save({"y": np.ones(3, dtype=np.float32), "grad_y": np.array([1, bad, 2], dtype=np.float32)})
    evidence = decode_answers(inbox(Answer(FUNCTION, sent)), specs, {}, Status.OK, "")
    assert list(evidence.answers) == [FUNCTION.array("y")]
    why = Fault(Blame.STUDENT, "grad y contains NaN or infinity")
    assert evidence.fault(FUNCTION, "y", "grad_y") == why
    assert merge_evidence(evidence, Evidence({}, {FUNCTION.array("grad_y"): np.ones(1)})).faults == {}
    assert merge_evidence(evidence, evidence).fault(FUNCTION, "grad_y") == why
    assert evidence.fault(APPLY, "y").message == "the notebook stopped before this could be tested"


@pytest.mark.parametrize(
    ("frames", "status", "event", "fault"),
    [
        ((), Status.OK, "", Fault(Blame.STUDENT, "the notebook's Python process ended before this could be tested")),
        ((), Status.TIMEOUT, "took too long", Fault(Blame.STUDENT, "took too long")),
        ((), Status.BOX_ERROR, "the sandbox did not start", Fault(Blame.OURS, "the sandbox did not start")),
        ((RunnerFault("broke"),), Status.OK, "", Fault(Blame.OURS, "broke")),
        (
            (Unanswered(FUNCTION, "raised"), RunnerFault("broke")),
            Status.OK,
            "",
            Fault(Blame.STUDENT, "raised"),
        ),
        (
            (Unanswered(FUNCTION, "raised", ours=True),),
            Status.OK,
            "",
            Fault(Blame.OURS, "raised"),
        ),
        (
            (Answer(FUNCTION, b"junk"),),
            Status.OK,
            "",
            Fault(Blame.STUDENT, "the answer is not a tensor file"),
        ),
        (
            (Answer(FUNCTION.stage.question("other"), NUMBERS),),
            Status.OK,
            "",
            Fault(Blame.STUDENT, "the notebook's Python process ended before this could be tested"),
        ),
    ],
)
def test_every_missing_answer_is_a_fault(frames: tuple[Frame, ...], status: Status, event: str, fault: Fault) -> None:
    assert fault_of(inbox(*frames), status, event) == fault


def test_questions_that_were_not_due_blame_no_one() -> None:
    box = inbox(Answer(FUNCTION, NUMBERS))
    evidence = decode_answers(box, SPECS, {}, Status.OK, "", stages={Stage("components.one")})
    assert evidence.faults["quality.one/apply"].blame is Blame.NOBODY
    assert "components.one/function/y" in evidence.answers


def test_trained_parameters_are_read_with_care() -> None:
    state = save({"decoder/weight": np.ones(2, dtype=np.float32), "other": np.ones(1, dtype=np.float32)})
    box = inbox(Answer(STATE, state))
    assert set(trained_state(box, "one", 1)) == {"decoder/weight", "other"}
    assert trained_state(box, "two", 1) == {}
    assert trained_state(box, "one", 1e-6) == {}
    assert trained_state(inbox(Answer(STATE, b"junk")), "one", 1) == {}


def test_the_second_box_adds_answers_and_replaces_faults() -> None:
    first = Evidence({"q": np.zeros(1)}, {"a.a/b/y": np.zeros(1)}, {"c.c/d": Fault(Blame.STUDENT, "first")})
    faults = {"a.a/b": Fault(Blame.STUDENT, "second"), "e.e/f": Fault(Blame.OURS, "third")}
    both = merge_evidence(first, Evidence({}, {"c.c/d/y": np.ones(1)}, faults))
    assert set(both.answers) == {"a.a/b/y", "c.c/d/y"}
    assert dict(both.faults) == {"e.e/f": Fault(Blame.OURS, "third")}


def test_trained_numbers_are_sealed_before_the_questions_about_quality_are_given() -> None:
    toy = TwoNumbers()
    giver = QuestionSource(toy.questions(np.random.default_rng(0), {"numbers": 4}), ())
    box = inbox(Answer(STATE, b"first"))
    assert giver(Stage("components.one"), box) is not None
    assert giver(Stage("trained.one"), box) is not None
    assert box.sealed == set()
    assert giver(Stage("quality.one"), box) is not None
    assert box.sealed == {"trained.one"}
    box.put(*Answer(STATE, b"forged").encode())
    assert box.answers[STATE] == b"first"


def test_questions_are_given_again_only_for_what_is_unanswered_and_at_most_three_times() -> None:
    giver = QuestionSource(TwoNumbers().questions(np.random.default_rng(0), {"numbers": 4}), ())
    box = inbox()
    assert giver(Stage("decode.one"), box) is None
    assert giver(Stage("non.sense"), box) is None
    assert giver(Stage("components.one"), box) is not None
    box.put(*StageEnd(FUNCTION.stage, StageStatus.OK).encode())
    assert giver(Stage("components.one"), box) is None
    box.put(*Unanswered(FUNCTION, "raised").encode())
    assert giver(Stage("components.one"), box) is not None
    assert giver(Stage("components.one"), box) is not None
    assert giver(Stage("components.one"), box) is None
