"""The supervisor against a dishonest runner: on any output of a box, `supervise` ends with a status and a sentence."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass

import psutil
import pytest
from small_exercise import running

from grader.errors import BoxError
from grader.records import Limits, Status
from grader.sandbox.backend import Command, Contents
from grader.sandbox.in_box.frames import Address, Answer, At, RunnerFault, Stage, StageEnd, Unanswered
from grader.sandbox.isolation import backend_named
from grader.sandbox.received_frames import Inbox
from grader.sandbox.supervisor import SandboxResult, Supervisor

START = """
import json, os, struct, sys, time
def raw(data):
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()
def send(name, data=b""):
    data = data if isinstance(data, bytes) else json.dumps(data).encode()
    raw(struct.pack(">II", len(name.encode()), len(data)) + name.encode() + data)
"""


@dataclass
class FakeBackend:
    """Runs a script instead of a box."""

    script: str
    name: str = "fake"
    without: frozenset[str] = frozenset()

    def command(self, contents: Contents, limits: Limits, *, gpu: bool) -> Command:
        return Command([sys.executable, "-S", "-c", START + self.script], {})


def run_script(script: str, questions: dict[str, bytes] | None = None, **limits: float) -> SandboxResult:
    """The result of a run of the script."""
    supervisor = Supervisor(FakeBackend(script), {}, running.rubric(**limits).limits, gpu=False)
    return supervisor.supervise(running.plan(), lambda stage, _: (questions or {}).get(stage), lambda _: None)


def inbox(**limits: float) -> Inbox:
    return Inbox(running.rubric(**limits).limits)


@pytest.mark.parametrize(
    ("script", "event"),
    [
        ("raw(b'\\xff' * 1000)", "frame name of 4294967295 bytes, at most 200 allowed"),
        ("raw(struct.pack('>II', 3, 2**32 - 1) + b'abc')", "frame of 4294967295 bytes, at most 6000000 allowed"),
        ("raw(struct.pack('>II', 2, 0) + b'\\xff\\xff')", "frame name is not UTF-8"),
        ("raw(struct.pack('>II', 4, 9) + b'done')", "the stream ended inside a frame"),
    ],
)
def test_nonsense_on_the_pipe_ends_the_run_with_one_sentence(script: str, event: str) -> None:
    run = run_script(script)
    assert run.status is Status.KILLED
    assert run.event == f"the run was ended: it sent back too much data, or data of the wrong form ({event})"


def test_a_runner_that_says_nothing_is_a_box_that_did_not_start() -> None:
    run = run_script("print('an error of ours', file=sys.stderr); sys.exit(1)")
    assert (run.status, run.event) == (Status.BOX_ERROR, "the sandbox did not start")
    assert "an error of ours" in run.log_tail


def test_a_runner_that_never_ends_is_ended() -> None:
    run = run_script("send('at', {'cell': 0})\ntime.sleep(60)", wall_s=1)
    assert (run.status, run.event) == (Status.TIMEOUT, "the run was ended: it took longer than 1 s")
    assert run.wall_s < 5


def test_a_flood_on_the_log_keeps_its_end() -> None:
    run = run_script("sys.stderr.write('x' * 30_000_000 + 'the end'); send('done')")
    assert run.status is Status.OK
    assert len(run.log_tail) <= 20_000
    assert run.log_tail.endswith("the end")


def test_questions_are_given_by_stage_and_refused_otherwise() -> None:
    script = "send('want/a.b'); send('want/no.thing'); time.sleep(0.5); got = os.read(0, 10**6)\n"
    script += "send('unanswered/a.b/got', {'error': got.decode('latin1')[-60:]}); send('done')"
    message = run_script(script, {"a.b": b"QUESTIONS"}).inbox.unanswered[Address("a.b/got")].error
    assert "questions/a.bQUESTIONS" in message
    assert message.endswith("refused/no.thing")


def test_everything_is_over_when_supervise_returns() -> None:
    before = psutil.Process().num_fds()
    run_script("import subprocess\nsubprocess.Popen(['sleep', '77'])\nsend('done')\ntime.sleep(0.5)")
    assert not [p for p in psutil.process_iter(["cmdline"]) if p.info["cmdline"] == ["sleep", "77"]]
    assert psutil.Process().num_fds() <= before


def test_hostile_frames_are_counted_or_cleaned_and_never_raise() -> None:
    box = inbox()
    frames: list[tuple[str, bytes]] = [
        ("", b""),
        ("cell", b"{}"),
        ("cell/²", b"{}"),
        ("cell/-1", b"{}"),
        ("cell/99999999999999999999", b'{"status": "ok", "seconds": 1}'),
        ("cell/1", b'{"status": "ok", "seconds": NaN}'),
        ("cell/1", b'{"status": "ok", "seconds": 1' + b"0" * 900 + b"}"),
        ("cell/1", b'{"status": ["ok"], "seconds": 1}'),
        ("cell/1", b"[" * 100_000),
        ("cell/1", b"[1, 2]"),
        ("cell/1", b"\xff\xfe"),
        ("at", b'{"cell": 1' + b"0" * 900 + b"}"),
        ("at", b"7"),
        ("unanswered/a/b/c", b'{"error": {"a": 1}}'),
        ("stage/" + "s" * 150, b'{"status": 5}'),
        ("fault", b'{"message": null}'),
        ("unknown/kind", b"{}"),
    ]
    for name, data in frames:
        box.put(name, data)
    assert box.cells == {}
    assert box.running == At()


def test_text_of_the_box_can_be_printed_and_written() -> None:
    box = inbox()
    box.put("unanswered/s.t/q", b'{"error": "a\\ud800b\\u001b[31mc\\nd\\u202ee"}')
    box.put("at", b'{"stage": "\\u001b]0;title\\u0007"}')
    assert box.running == At()
    box.put("fault", b'{"message": "\\u001b]0;title\\u0007"}')
    box.put("cell/1", b'{"status": "error", "seconds": 1, "error": "' + b"e" * 5000 + b'"}')
    assert box.unanswered[Address("s.t/q")].error == "a b [31mc d e"
    assert box.faults == ["]0;title"]
    assert len(box.cells[1].error) <= 400


@pytest.mark.parametrize("asked", ["end", "clear", "", "nonsense", 5, None, ["end"], {"end": 1}])
def test_the_request_of_a_cell_is_one_of_two_words_or_missing(asked: object) -> None:
    box = inbox()
    box.put("cell/1", json.dumps({"status": "ok", "seconds": 1, "asked": asked, "outputs": []}).encode())
    assert box.cells[1].asked == (asked if asked in ("end", "clear") else "")


def test_a_cell_that_is_reported_again_without_outputs_keeps_them() -> None:
    box = inbox()
    box.put("cell/1", b'{"status": "ok", "seconds": 1, "outputs": [{"output_type": "stream"}]}')
    box.put("cell/1", b'{"status": "died", "seconds": 1}')
    assert (box.cells[1].status, box.outputs[1]) == ("died", [{"output_type": "stream"}])


def test_answers_after_the_seal_change_nothing() -> None:
    box = inbox()
    box.put("answer/trained.one/state", b"first")
    box.put("answer/trained.one/state", b"second")
    box.sealed.add(Stage("trained.one"))
    box.put("answer/trained.one/state", b"forged")
    box.put("unanswered/trained.one/history", b'{"error": "forged", "ours": true}')
    assert box.answers == {Address("trained.one/state"): b"second"}
    assert box.unanswered == {}


def test_frames_of_a_box_are_limited_in_bytes_and_number() -> None:
    box = inbox(evidence_mb=1)
    for n in range(5000):
        box.put(f"answer/s.t/{n}", b"")
        box.put(f"unanswered/s.t/n{n}", b"{}")
        box.put(f"stage/s.{n}", b'{"status": "ok"}')
        box.put("fault", b"{}")
    assert len(box.answers) == Answer.bound.frames == 1000
    assert len(box.unanswered) == Unanswered.bound.frames == 1000
    assert len(box.stages) == StageEnd.bound.frames == 1000
    assert len(box.faults) == RunnerFault.bound.frames == 20
    box = inbox(evidence_mb=1)
    box.put("answer/s.t/0", b"x" * 600_000)
    box.put("answer/s.t/1", b"x" * 600_000)
    assert list(box.answers) == ["s.t/0"]
    assert "limit of 1 MB" in box.unanswered[Address("s.t/1")].error
    assert sum(map(len, box.answers.values())) <= 1_000_000
    assert box.room_bytes >= 4096


def test_an_unknown_backend_is_refused() -> None:
    with pytest.raises(BoxError, match=r"^isolation 'jail': expected one of bubblewrap, container, user, none$"):
        backend_named("jail")
