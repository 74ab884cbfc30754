"""What a box has sent so far: bounded, checked for form, and otherwise still just bytes."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from grader.records import CellRun, Limits

CELL_STATUSES = {"ok", "error", "timeout", "died", "skipped"}
MAX_TEXT = 400


@dataclass
class Inbox:
    """Frames by kind; a later frame of the same name replaces the earlier one, but never after `seal`."""

    limits: Limits
    started: bool = False
    finished: bool = False
    cells: dict[int, CellRun] = field(default_factory=dict)
    outputs: dict[int, list[Any]] = field(default_factory=dict)
    answers: dict[tuple[str, str], bytes] = field(default_factory=dict)
    notes: dict[tuple[str, str], tuple[str, bool]] = field(default_factory=dict)  # (message, ours)
    stages: dict[str, str] = field(default_factory=dict)
    running: dict[str, Any] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)  # the runner's own
    sealed: set[str] = field(default_factory=set)  # stages whose answers may no longer change
    malformed: int = 0
    _evidence_bytes: int = 0
    _output_bytes: int = 0

    @property
    def room_bytes(self) -> int:
        """How large the next frame may be."""
        evidence = self.limits.evidence_mb * 1e6 - self._evidence_bytes
        output = self.limits.output_mb * 1e6 - self._output_bytes
        return max(4096, int(max(evidence, output)))

    def put(self, name: str, data: bytes) -> dict[str, Any] | None:
        """Files a frame; returns what the box says is running, when that is what the frame says."""
        self.started = True
        kind, _, rest = name.partition("/")
        stage, _, question = rest.partition("/")
        if kind == "answer" and question:
            self._evidence_bytes += len(data)
            if stage not in self.sealed and self._evidence_bytes <= self.limits.evidence_mb * 1e6:
                self.answers[stage, question] = data
                self.notes.pop((stage, question), None)
            return None
        if kind == "done":
            self.finished = True
            return None
        content = _object(data)
        if content is None:
            self.malformed += 1
        elif kind == "at":
            self.running = {key: value for key, value in content.items() if isinstance(value, str | int)}
            return self.running
        elif kind == "cell" and rest.isdigit():
            self._output_bytes += len(data)
            self._put_cell(int(rest), content)
        elif kind == "note" and question:
            message = str(content.get("error", ""))[:MAX_TEXT]
            if stage not in self.sealed and len(self.notes) < 1000 and (stage, question) not in self.answers:
                self.notes[stage, question] = (message, content.get("ours") is True)
        elif kind == "stage" and len(self.stages) < 1000:
            self.stages[stage] = str(content.get("status", ""))[:20]
        elif kind == "event" and len(self.faults) < 20:
            self.faults.append(str(content.get("ours", ""))[:MAX_TEXT])
        return None

    def _put_cell(self, index: int, content: dict[str, Any]) -> None:
        status, seconds = content.get("status"), content.get("seconds")
        if index > 10 * self.limits.cells or status not in CELL_STATUSES or not isinstance(seconds, int | float):
            self.malformed += 1
            return
        error = str(content.get("error", ""))[:MAX_TEXT]
        self.cells[index] = CellRun(index=index, status=str(status), seconds=float(seconds), error=error)
        outputs = content.get("outputs")
        if isinstance(outputs, list) and self._output_bytes <= self.limits.output_mb * 1e6:
            self.outputs[index] = outputs


def _object(data: bytes) -> dict[str, Any] | None:
    """The JSON object in the bytes, or None."""
    try:
        content = json.loads(data)
    except (ValueError, RecursionError):
        return None
    return content if isinstance(content, dict) else None
