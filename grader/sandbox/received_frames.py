"""The frames that a box has sent so far, bounded and checked for form; their content is not trusted."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from grader.records import CellRun, Limits
from grader.sandbox.in_box.frames import (
    MAX_ESCAPED,
    MAX_FRAMES,
    Address,
    Answer,
    At,
    Cell,
    Done,
    Malformed,
    Printed,
    RunnerFault,
    Stage,
    StageEnd,
    StageStatus,
    Unanswered,
    Want,
    from_box,
)
from grader.sandbox.in_box.wire import WireError
from grader.store.bounded import Unreadable, json_value, values_in

MAX_VALUES = 2_000_000  # lists, texts and numbers in the outputs of all cells; each takes about 100 bytes when parsed
MAX_CELL_EXTRA = 500_000  # bytes that a cell's error and the structure of the JSON may take in addition
MAX_CELLS_FACTOR = 10  # times the cells that a notebook may have: restored cells are added


@dataclass
class Inbox:
    """Frames by kind; a later frame of the same name replaces the earlier one, except in a stage that is `sealed`."""

    limits: Limits
    started: bool = False
    finished: bool = False
    cells: dict[int, CellRun] = field(default_factory=dict)
    outputs: dict[int, list[Any]] = field(default_factory=dict)
    answers: dict[Address, bytes] = field(default_factory=dict)
    unanswered: dict[Address, Unanswered] = field(default_factory=dict)
    stages: dict[Stage, StageStatus] = field(default_factory=dict)
    running: At = field(default_factory=At)
    faults: list[str] = field(default_factory=list)  # errors of the runner itself
    sealed: set[Stage] = field(default_factory=set)  # stages whose answers may no longer change
    _evidence_bytes: int = 0
    _output_bytes: int = 0
    _values_left: int = MAX_VALUES
    _frames: int = 0
    _progress_frames: int = 0
    _printed_frames: int = 0

    @property
    def room_bytes(self) -> int:
        """The largest permitted size of the next frame, in bytes."""
        evidence = self.limits.evidence_mb * 1e6 - self._evidence_bytes
        output = self.limits.output_mb * 1e6 - self._output_bytes
        return max(4096, int(max(evidence, output)))

    def put(self, name: str, data: bytes) -> Want | At | Printed | None:
        """Stores a frame; returns it if the supervisor must act on it: to send questions, or to show progress.

        Raises:
            WireError: the box has sent too many frames.
        """
        self.started = True
        self._frames += 1
        if self._frames > MAX_FRAMES:
            raise WireError(f"more than {MAX_FRAMES} frames")
        try:
            frame = from_box(name, data)
        except Malformed:
            self._output_bytes += len(data)  # it counts as printed output, so that there is a limit
            return None
        match frame:
            case Want():
                return frame
            case At():
                self.running = frame
                self._progress_frames += 1
                return frame if self._progress_frames <= At.bound.frames else None
            case Printed():
                self._printed_frames += 1
                return frame if self._printed_frames <= Printed.bound.frames else None
            case Cell():
                self._put_cell(frame, data)
            case Answer():
                self._put_answer(frame)
            case Unanswered():
                self._put_unanswered(frame)
            case StageEnd() if len(self.stages) < StageEnd.bound.frames:
                self.stages[frame.stage] = frame.status
            case RunnerFault() if len(self.faults) < RunnerFault.bound.frames:
                self.faults.append(frame.message)
            case Done():
                self.finished = True
        return None

    def _put_unanswered(self, frame: Unanswered) -> None:
        address = frame.address
        if (
            address.stage not in self.sealed
            and address not in self.answers
            and len(self.unanswered) < Unanswered.bound.frames
        ):
            self.unanswered[address] = frame

    def _put_answer(self, answer: Answer) -> None:
        address, size = answer.address, len(answer.tensors)
        if address.stage in self.sealed or len(self.answers) >= Answer.bound.frames:
            return
        if self._evidence_bytes + size > self.limits.evidence_mb * 1e6:
            message = f"the answers are larger than the limit of {self.limits.evidence_mb:g} MB"
            self._put_unanswered(Unanswered(address, message))
            return
        self._evidence_bytes += size
        self.answers[address] = answer.tensors
        self.unanswered.pop(address, None)

    def _put_cell(self, cell: Cell, data: bytes) -> None:
        self._output_bytes += len(data)
        if cell.index > MAX_CELLS_FACTOR * self.limits.cells:
            return
        self.cells[cell.index] = CellRun(cell.index, cell.status, cell.seconds, cell.error, cell.asked)
        if cell.outputs is not None and (outputs := self._read(cell.outputs)) is not None:
            self.outputs[cell.index] = outputs

    def _read(self, outputs: bytes) -> list[Any] | None:
        """Returns the outputs; None if they are malformed, or exceed the limit of the cell or of all cells."""
        limit = MAX_ESCAPED * self.limits.cell_output_mb * 1e6 + MAX_CELL_EXTRA
        if len(outputs) > limit or self._output_bytes > self.limits.output_mb * 1e6:
            return None
        if (count := values_in(outputs, self._values_left)) > self._values_left:
            return None
        self._values_left -= count
        try:
            content = json_value(outputs, most_values=MAX_VALUES, lenient=True)
        except Unreadable:
            return None
        return content if isinstance(content, list) else None
