"""Damaged streams of frames end a run with a sentence or are filed; what was filed can be graded, shown and written."""

from __future__ import annotations

import base64
import io
import json
from typing import Any

import numpy as np
import pytest
from hostile_forms import FORMS, Form, check_reason
from hostile_mutations import BYTE_DAMAGE, JSON_DAMAGE, bytes_damaged, json_damaged
from safetensors.numpy import save
from small_exercise import notebook, running

from grader.evidence import save_evidence
from grader.grading.answers import decode_answers, merge_evidence, trained_state
from grader.grading.plan import executed_notebook
from grader.grading.run import QuestionSource
from grader.grading.verdicts import item_verdicts
from grader.notebook.clean_cells import clean_outputs
from grader.notebook.format import dump_notebook
from grader.records import CellRun, Status
from grader.sandbox.in_box import frames
from grader.sandbox.in_box.frames import (
    MAX_FRAMES,
    Address,
    Answer,
    At,
    Cell,
    CellStatus,
    Done,
    RunnerFault,
    StageEnd,
    StageStatus,
    Unanswered,
    Want,
)
from grader.sandbox.in_box.wire import HEADER, WireError, read_frame, write_frame
from grader.sandbox.received_frames import MAX_VALUES, Inbox
from grader.skeleton.exercise.plugin import TwoNumbers

RUBRIC = running.rubric()
TOY = TwoNumbers()
QUESTIONS = TOY.questions(np.random.default_rng(1), RUBRIC.sizes)
X = QUESTIONS["components.one"]["x"]
NOTEBOOK = running.restored(notebook.submission()).notebook

Frame = tuple[str, bytes]


def json_bytes(content: object) -> bytes:
    return json.dumps(content).encode()


def honest() -> list[Frame]:
    """What an honest run of the toy sends."""
    stream = {"output_type": "stream", "name": "stdout", "text": "weight 2.0\n"}
    picture = {
        "output_type": "display_data",
        "data": {"image/png": "iVBORw0KGgo=", "text/plain": "<F>"},
        "metadata": {},
    }
    sent: list[frames.Frame] = []
    for index in range(4):
        outputs = json_bytes([stream, picture])
        sent += [At(cell=index), Cell(index, CellStatus.OK, 0.25 + index, outputs=outputs)]
    for address, arrays in (
        (Address.of("components", "one", "function"), {"y": 2 * X}),
        (Address.of("trained", "one", "history"), {"history": X[:5] ** 2 + 1}),
        (Address.of("trained", "one", "state"), {"decoder/weight": np.float32([2])}),
        (Address.of("quality", "one", "apply"), {"y": 2 * X}),
    ):
        stage = address.stage
        sent += [At(stage=stage), Want(stage), Answer(address, save(arrays)), StageEnd(stage, StageStatus.OK)]
    sent += [
        Unanswered(Address.of("components", "two", "function"), "ValueError: no"),
        RunnerFault("the prelude failed"),
        Done(),
    ]
    return [frame.encode() for frame in sent]


def received(stream: io.BytesIO) -> tuple[Inbox, str]:
    """What the supervisor files of the stream, and why it stopped reading where it did not read all."""
    inbox, giver = Inbox(RUBRIC.limits), QuestionSource(QUESTIONS, ())
    try:
        while (frame := read_frame(stream, inbox.room_bytes)) is not None:
            name, data = frame
            if isinstance(request := inbox.put(name, data), Want):
                giver(request.stage, inbox)
    except WireError as error:
        return inbox, str(error)
    return inbox, ""


def check(stream: bytes) -> Inbox:
    """The property: whatever was filed becomes evidence, verdicts, an executed notebook and events."""
    inbox, reason = received(io.BytesIO(stream))
    if reason:
        check_reason(reason)
    texts = [run.error for run in inbox.cells.values()] + [frame.error for frame in inbox.unanswered.values()]
    for text in (*texts, *inbox.faults, *inbox.stages.values(), inbox.running.stage or ""):
        assert not text or text.isprintable()
        assert len(text) <= 400
    assert all(isinstance(run, CellRun) and 0 <= run.seconds < 1e6 for run in inbox.cells.values())
    specs = TOY.answer_specs(RUBRIC.sizes)
    evidence = decode_answers(inbox, specs, QUESTIONS, Status.KILLED if reason else Status.OK, reason)
    TOY.second_questions(evidence, {part: trained_state(inbox, part, RUBRIC.limits.evidence_mb) for part in TOY.parts})
    items = item_verdicts(merge_evidence(evidence, evidence), RUBRIC, TOY.checks)
    assert all(0 <= item.points_milli <= item.max_points_milli for item in items)
    save_evidence(evidence)
    outputs = {index: list(clean_outputs(cell_outputs)) for index, cell_outputs in inbox.outputs.items()}
    dump_notebook(executed_notebook(NOTEBOOK, inbox.cells, outputs)).encode()
    return inbox


def stream_of(listed: list[Frame]) -> bytes:
    stream = io.BytesIO()
    for name, data in listed:
        try:
            write_frame(stream, name, data)
        except (WireError, UnicodeEncodeError):  # what cannot be sent is sent raw
            stream.write(HEADER.pack(len(name), len(data)) + name.encode("utf-8", "replace") + data)
    return stream.getvalue()


def as_text(listed: list[Frame]) -> str:
    """The frames as JSON in which the frames' own JSON can be damaged, too."""
    return json.dumps([[name, _readable(data)] for name, data in listed])


def _readable(data: bytes) -> Any:
    try:
        return json.loads(data) if data else ""
    except ValueError:
        return "base64:" + base64.b64encode(data).decode()


def as_frames(damaged: Any) -> list[Frame]:
    frame_list = []
    for entry in damaged if isinstance(damaged, list) else [damaged]:
        name, content = entry if isinstance(entry, list) and len(entry) == 2 else ("at", entry)
        if isinstance(content, str) and content.startswith("base64:"):
            data = base64.b64decode(content.removeprefix("base64:").encode("ascii", "replace") + b"==")
        else:
            data = json_bytes(content) if content != "" else b""
        frame_list.append((name if isinstance(name, str) else json.dumps(name), data))
    return frame_list


def test_frames_of_an_ordinary_run_are_stored_unchanged() -> None:
    inbox = check(stream_of(honest()))
    assert (len(inbox.cells), len(inbox.answers), len(inbox.unanswered), inbox.finished) == (4, 4, 1, True)
    assert inbox.faults == ["the prelude failed"]
    assert [frames.from_box(*frame).encode() for frame in honest()] == honest()  # none is dropped
    assert as_frames(json.loads(as_text(honest()))) == honest()


@FORMS
def test_a_stream_with_damaged_frames_is_filed_or_ended(form: Form) -> None:
    text = as_text(honest())
    form.holds(JSON_DAMAGE, lambda damage: check(stream_of(as_frames(json_damaged(text, damage)))))


@FORMS
def test_a_stream_with_damaged_bytes_is_filed_or_ended(form: Form) -> None:
    stream = stream_of(honest())
    form.holds(BYTE_DAMAGE, lambda damage: check(bytes_damaged(stream, damage)))


def cell(index: int, outputs: bytes) -> Frame:
    return f"cell/{index}", b'{"status": "ok", "seconds": 1, "error": "", "outputs": [%b]}' % outputs


@pytest.mark.parametrize(
    "outputs",
    [
        b"[],{}," * MAX_VALUES + b"0",
        b"[" * 100_000,
        b'"x", ' * 3_000_000 + b'"y"',
        b'{"data": ' * 5000,
    ],
    ids=["more values than are kept", "too deep", "more bytes than are kept", "cut off"],
)
def test_how_a_cell_ended_is_known_also_where_its_outputs_are_dropped(outputs: bytes) -> None:
    inbox = Inbox(RUBRIC.limits)
    inbox.put(*cell(3, outputs))
    assert inbox.cells[3].status == "ok"
    assert not inbox.outputs


def test_the_outputs_of_all_cells_together_are_bounded_and_commas_in_a_text_do_not_count() -> None:
    text = b'{"output_type": "stream", "name": "stdout", "text": "%b"}' % (b"1, " * 100_000)
    inbox = Inbox(running.rubric(output_mb=1000, cell_output_mb=10).limits)
    for index in range(60):
        inbox.put(*cell(index, text))
    assert len(inbox.outputs) == 60
    for index in range(60, 100):
        inbox.put(*cell(index, b"0," * 100_000 + b"0"))
    assert 60 < len(inbox.outputs) <= 60 + MAX_VALUES // 100_000
    assert len(inbox.cells) == 100


def test_endless_frames_end_the_run_and_are_not_all_reported() -> None:
    inbox = Inbox(RUBRIC.limits)
    reports = sum(inbox.put("at", b'{"cell": 1}') is not None for _ in range(MAX_FRAMES))
    assert reports == At.bound.frames
    with pytest.raises(WireError, match="frames"):
        inbox.put("done", b"")


def test_an_answer_beyond_the_limit_is_the_students_own_loss() -> None:
    inbox = Inbox(running.rubric(evidence_mb=0.001).limits)
    inbox.put("answer/quality.one/apply", save({"y": X}))
    inbox.put("answer/components.one/function", save({"y": np.zeros(5000, np.float32)}))
    inbox.put("stage/components.one", b'{"status": "ok"}')
    inbox.put("done", b"")
    evidence = decode_answers(inbox, TOY.answer_specs(RUBRIC.sizes), QUESTIONS, Status.OK, "")
    fault = evidence.faults["components.one/function"]
    assert (fault.blame, "limit of 0.001 MB" in fault.message) == ("student", True)
    assert "quality.one/apply/y" in evidence.answers
