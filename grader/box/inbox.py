"""What a box has sent so far: bounded, checked for form, and otherwise still just bytes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from grader.bounded import Unreadable, json_value, values_in
from grader.in_box.wire import WireError
from grader.notebook.format import one_line
from grader.records import CellRun, Limits

CELL_STATUSES = ("ok", "error", "timeout", "died", "skipped")  # looked up by equality: a status may be anything
ASKED = ("end", "clear")
MAX_TEXT = 400
MAX_NAMES = 1000  # of answers, notes and stages
MAX_CELLS = 100_000
MAX_SECONDS = 1e6
MAX_FRAMES = 100_000  # an honest run of a thousand cells sends some thousands
MAX_TOLD = 20_000  # of them that say what is running: each is shown to a person
MAX_SMALL = 20_000  # bytes of a frame that holds a sentence
MAX_VALUES = 2_000_000  # lists, texts and numbers in the outputs of all cells: parsed, each takes a hundred bytes
OUTPUTS = b', "outputs": ['  # what the runner writes last; in a text these quotes would be escaped
MAX_CELL_FACTOR = 6  # bytes that JSON may take for one character
MAX_CELL_EXTRA = 500_000  # for the error and the structure


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
    _values_left: int = MAX_VALUES
    _frames: int = 0
    _told: int = 0

    @property
    def room_bytes(self) -> int:
        """How large the next frame may be."""
        evidence = self.limits.evidence_mb * 1e6 - self._evidence_bytes
        output = self.limits.output_mb * 1e6 - self._output_bytes
        return max(4096, int(max(evidence, output)))

    def put(self, name: str, data: bytes) -> dict[str, Any] | None:
        """Files a frame; returns what the box says is running, when that is what the frame says.

        Raises:
            WireError: where the box sends frames without end.
        """
        self.started = True
        self._frames += 1
        if self._frames > MAX_FRAMES:
            raise WireError(f"more than {MAX_FRAMES} frames")
        kind, _, rest = name.partition("/")
        stage, _, question = rest.partition("/")
        if kind == "answer" and question:
            self._put_answer(stage, question, data)
        elif kind == "done":
            self.finished = True
        elif kind == "cell" and rest.isascii() and rest.isdigit():
            self._put_cell(int(rest), data)
        elif (content := _object(data)) is None:
            self.malformed += 1
        elif kind == "at":
            return self._put_running(content)
        elif kind == "note" and question:
            if stage not in self.sealed and len(self.notes) < MAX_NAMES and (stage, question) not in self.answers:
                self.notes[stage, question] = (_text(content.get("error")), content.get("ours") is True)
        elif kind == "stage" and len(self.stages) < MAX_NAMES:
            self.stages[stage] = _text(content.get("status"))
        elif kind == "event" and len(self.faults) < 20:
            self.faults.append(_text(content.get("ours")))
        return None

    def _put_answer(self, stage: str, question: str, data: bytes) -> None:
        if stage in self.sealed or len(self.answers) >= MAX_NAMES:
            return
        if self._evidence_bytes + len(data) > self.limits.evidence_mb * 1e6:
            message = f"the answers have more than the {self.limits.evidence_mb:g} MB that are taken"
            if len(self.notes) < MAX_NAMES and (stage, question) not in self.answers:
                self.notes[stage, question] = (message, False)
            return
        self._evidence_bytes += len(data)
        self.answers[stage, question] = data
        self.notes.pop((stage, question), None)

    def _put_running(self, content: dict[str, Any]) -> dict[str, Any] | None:
        self.running = {}
        if type(cell := content.get("cell")) is int and 0 <= cell < MAX_CELLS:
            self.running["cell"] = cell
        elif "stage" in content:
            self.running["stage"] = _text(content["stage"])
        self._told += 1
        return self.running if self._told <= MAX_TOLD else None

    def _put_cell(self, index: int, data: bytes) -> None:
        self._output_bytes += len(data)
        content = self._with_outputs(data) or _object(data.partition(OUTPUTS)[0] + b"}")
        status, seconds = (content or {}).get("status"), (content or {}).get("seconds")
        plausible = isinstance(seconds, int | float) and 0 <= seconds < MAX_SECONDS  # NaN is not
        if content is None or index > 10 * self.limits.cells or status not in CELL_STATUSES or not plausible:
            self.malformed += 1
            return
        asked = next((known for known in ASKED if content.get("asked") == known), "")
        error = _text(content.get("error"))
        self.cells[index] = CellRun(index, str(status), float(content["seconds"]), error, asked)
        outputs = content.get("outputs")
        if isinstance(outputs, list):
            self.outputs[index] = outputs

    def _with_outputs(self, data: bytes) -> dict[str, Any] | None:
        """The cell as it was sent; None where its outputs are more than are kept, of the cell or of all."""
        limit = MAX_CELL_FACTOR * self.limits.cell_output_mb * 1e6 + MAX_CELL_EXTRA
        if len(data) > limit or self._output_bytes > self.limits.output_mb * 1e6:
            return None
        if (count := values_in(data, self._values_left)) > self._values_left:
            return None
        self._values_left -= count
        return _object(data, len(data), MAX_VALUES)


def _text(value: object) -> str:
    """The text on one line without control characters or lone surrogates: it is printed and written to files."""
    return one_line(value[: 4 * MAX_TEXT], MAX_TEXT) if isinstance(value, str) else ""


def _object(data: bytes, most_bytes: int = MAX_SMALL, most_values: int = MAX_SMALL) -> dict[str, Any] | None:
    """The JSON object in the bytes, or None; also where they are too many, or hold too much."""
    if len(data) > most_bytes:
        return None
    try:
        content = json_value(data, most_values=most_values, lenient=True)
    except Unreadable:
        return None
    return content if isinstance(content, dict) else None
