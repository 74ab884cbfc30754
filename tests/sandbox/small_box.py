"""A real box with a few lines of Python instead of the runner: no Jupyter, so it takes a fraction of a second."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Collection
from pathlib import Path
from typing import Any

from small_exercise import running

from grader.sandbox.backend import IN_BOX, Backend
from grader.sandbox.bubblewrap import Bubblewrap
from grader.sandbox.in_box.frames import Address
from grader.sandbox.supervisor import SandboxResult, Supervisor

RUNNER = """
import ctypes, json, os, socket, struct, sys, time
libc = ctypes.CDLL(None, use_errno=True)
def send(name, data):
    os.write(1, struct.pack(">II", len(name), len(data)) + name.encode() + data)
def tell(value):
    send("answer/small.box/value", json.dumps(value).encode())
def tried(act):
    try:
        return ["through", act()]
    except OSError as error:
        return ["refused", error.errno]
send("at", b"{}")
"""


def run_script(
    script: str, without: Collection[str] = (), backend: Backend | None = None, **limits: float
) -> SandboxResult:
    """The result of a box in which the script has run, instead of the runner; it has `tell` and `tried`."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)
        path.chmod(0o755)
        (path / "runner.py").write_text(f"{RUNNER}\n{script}\nsend('done', b'')\n")
        settings = running.rubric(**limits).limits
        supervisor = Supervisor(backend or Bubblewrap(without), {IN_BOX: path}, settings, gpu=False)
        return supervisor.supervise(running.plan(), lambda *_: None, lambda _: None)


def answer_of(script: str, without: Collection[str] = (), **limits: float) -> Any:
    """The script's answer; None where the run was ended before."""
    run = run_script(script, without, **limits)
    answer = run.inbox.answers.get(Address("small.box/value"))
    if answer is None and run.status != "killed":
        raise AssertionError(f"{run.event}: {run.log_tail[-400:]}")
    return json.loads(answer) if answer else None
