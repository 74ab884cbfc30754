"""Runs the doctor's cells in boxes and returns what each printed and how it ended."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from grader.grading.plan import plan_frame
from grader.records import Interface, Limits
from grader.sandbox.backend import IN_BOX, IN_BOX_FOLDER, PROBE, Backend
from grader.sandbox.in_box.frames import CellStep
from grader.sandbox.supervisor import SandboxResult, Supervisor

LIMITS = Limits(
    wall_s=300,
    cell_s=60,
    probe_s=60,
    question_s=60,
    replay_s=0,
    kernel_restarts=4,
    memory_mb=4000,
    gpu_memory_mb=2000,
    processes=100,
    disk_mb=20,
    output_mb=8,
    cell_output_mb=0.5,
    evidence_mb=1,
    notebook_mb=1,
    cells=100,
)
BUSY = ("busy", "stubborn")
BUSY_S = 3  # after which a busy cell is interrupted


@dataclass(frozen=True)
class CellOutcome:
    """The JSON object that one cell printed, if any, and how the cell ended."""

    status: str
    answers: Mapping[str, Any]
    printed: int  # characters
    seconds: float


@dataclass(frozen=True)
class BoxOutcome:
    """One box: its cells by name, and how the run ended as the supervisor saw it."""

    cells: Mapping[str, CellOutcome]
    result: SandboxResult


def run_box(backend: Backend, cells: Mapping[str, str], limits: Limits = LIMITS, *, gpu: bool = False) -> BoxOutcome:
    """Runs the cells one after the other in a box that holds only the grader's in-box code.

    Raises:
        BoxError: the box could not be built.
    """
    steps = [
        CellStep(index, source, BUSY_S if name in BUSY else limits.cell_s)
        for index, (name, source) in enumerate(cells.items())
    ]
    with tempfile.TemporaryDirectory(prefix="doctor-") as empty:
        contents = {IN_BOX: IN_BOX_FOLDER, PROBE: Path(empty)}
        supervisor = Supervisor(backend, contents, limits, gpu=gpu)
        result = supervisor.supervise(plan_frame(steps, Interface(), limits), lambda *_: None, lambda _: None)
    return BoxOutcome({name: _cell_outcome(result, index) for index, name in enumerate(cells)}, result)


def _cell_outcome(result: SandboxResult, index: int) -> CellOutcome:
    cell = result.inbox.cells.get(index)
    texts = [
        output["text"]
        for output in result.inbox.outputs.get(index, [])
        if isinstance(output, dict) and isinstance(output.get("text"), str)
    ]
    text = "".join(texts)
    if cell is None:
        return CellOutcome("missing", {}, len(text), 0.0)
    return CellOutcome(cell.status, _object(text), len(text), cell.seconds)


def _object(text: str) -> Mapping[str, Any]:
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}
