"""The frames that cross the boundary of the box, in either direction, each as a record with its size limit.

A frame is a name and bytes (`wire.py`). Its name is its kind and, for most kinds, a slash and its subject:
`unanswered/components.vae/encoder`. `docs/wall.md` has a table of all kinds. The supervisor imports the same file that
is copied into the box, so this file needs only the standard library. Student code in the box may write frames, too, so
`from_box` trusts nothing that it reads.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from enum import StrEnum
from functools import partial
from typing import Any, ClassVar, Self, TypeVar

MAX_FRAMES = 100_000  # of all kinds from one box; a normal run of a thousand cells sends a few thousand
MAX_TEXT = 400  # characters of a sentence
MAX_ADDRESS = 180  # characters, so that it fits in a frame's name
MAX_CELLS = 100_000
MAX_SECONDS = 1e6
MAX_ESCAPED = 6  # bytes that JSON may take for one character
SMALL = 20_000  # bytes of a frame that holds a sentence
LARGE = 1 << 28  # bytes of a frame that the grader writes
_OUTPUTS = b', "outputs": ['  # starts the last field of a cell's frame; within a text, its quotes would be escaped
_WORD = re.compile(r"[\w-]+")

Source = str  # code, passed on unchanged
Index = int  # of a cell, below MAX_CELLS
Seconds = float  # as a box has measured them, below MAX_SECONDS

E = TypeVar("E", bound=StrEnum)
V = TypeVar("V")


class Malformed(ValueError):
    """A frame of an unknown kind or with invalid fields, or a text that is not an address."""


class _Name(str):
    """A name under which arrays are stored: a stage for its questions, an address for its answer."""

    __slots__ = ()

    def array(self, name: str) -> str:
        """The name in the evidence of an array stored under this name."""
        return f"{self}/{name}"

    def holds(self, name: str) -> bool:
        """Whether the other name begins with this one: an answer of the stage, or an array."""
        return name.startswith(f"{self}/")


class Stage(_Name):
    """A stage of the probe, `kind.part`, for instance `components.vae`; `Malformed` for any other text."""

    __slots__ = ()

    def __new__(cls, text: str) -> Self:
        """The stage with this name."""
        words = text.split(".")
        if len(text) > MAX_ADDRESS or len(words) != 2 or not all(map(_WORD.fullmatch, words)):
            raise Malformed("a stage is `kind.part`")
        return super().__new__(cls, text)

    @classmethod
    def of(cls, kind: str, part: str) -> Self:
        """The stage of this kind for this part."""
        return cls(f"{kind}.{part}")

    @property
    def kind(self) -> str:
        """`components`, `ended`, `sampling`, `trained`, `quality`, `decode`, `replace`, or the exercise's own."""
        return self.split(".")[0]

    @property
    def part(self) -> str:
        """The part of the exercise that the stage asks about."""
        return self.split(".")[1]

    def question(self, name: str) -> Address:
        """The address of one of the stage's questions."""
        return Address(f"{self}/{name}")

    def arrays(self, among: Mapping[str, Any]) -> dict[str, Any]:
        """Returns the arrays of this stage's questions, by their own names."""
        return {name.removeprefix(f"{self}/"): among[name] for name in among if self.holds(name)}


class Address(_Name):
    """One question of a stage, `stage/question`, for instance `components.vae/encoder`; `Malformed` for other text."""

    __slots__ = ()

    def __new__(cls, text: str) -> Self:
        """The address with this name."""
        stage, _, question = text.partition("/")
        Stage(stage)
        if len(text) > MAX_ADDRESS or not _WORD.fullmatch(question):
            raise Malformed("an address is `stage/question`")
        return super().__new__(cls, text)

    @classmethod
    def of(cls, kind: str, part: str, question: str) -> Self:
        """The address of this question in the stage of this kind for this part."""
        return cls(f"{kind}.{part}/{question}")

    @property
    def stage(self) -> Stage:
        """The stage in which the question is asked."""
        return Stage(self.partition("/")[0])

    @property
    def question(self) -> str:
        """The question's name in its stage."""
        return self.partition("/")[2]


class CellStatus(StrEnum):
    """How a cell ended."""

    OK = "ok"
    ERROR = "error"
    TIMEOUT = "timeout"
    DIED = "died"  # the Python process ended while the cell ran
    SKIPPED = "skipped"  # there was no Python process left to run it


class StageStatus(StrEnum):
    """How a stage ended."""

    OK = "ok"
    ERROR = "error"
    TIMEOUT = "timeout"
    DIED = "died"
    SKIPPED = "skipped"
    DAMAGED = "damaged"  # the grader's files in the box were changed, or there was no room for them
    INTERRUPTED = "interrupted"


class CellRequest(StrEnum):
    """A request of a cell that was not carried out: to end the Python process, or to delete all variables."""

    NOTHING = ""
    END = "end"
    CLEAR = "clear"


class Replay(StrEnum):
    """Whether a new kernel runs a cell again: always, if it was quick, or never."""

    ALWAYS = "always"
    QUICK = "quick"
    NEVER = "never"


@dataclass(frozen=True)
class CellStep:
    """A step of the plan: a cell that is run."""

    index: int
    source: Source
    timeout_s: float
    replay: Replay = Replay.NEVER
    definitions: Source = ""  # its imports, functions, classes and plain values: run again if the whole cell is not


@dataclass(frozen=True)
class StageStep:
    """A step of the plan: a stage of the probe; the runner requests its questions from the supervisor."""

    stage: Stage
    timeout_s: float
    question_s: float  # for each question
    again: bool = False  # even if it has been answered, because its names have been redefined since then


Step = CellStep | StageStep


@dataclass(frozen=True)
class Bound:
    """The limits for one kind of frame."""

    frames: int = MAX_FRAMES  # in a run
    size: int | None = None  # bytes of data in each; None if `limit` applies
    limit: str = ""  # the name of the rubric's limit for all frames of the kind together


@dataclass(frozen=True)
class Frame:
    """A record of one kind of frame; its fields are in the data, except the one in its name."""

    kind: ClassVar[str]
    bound: ClassVar[Bound]
    about: ClassVar[str] = ""  # the field in the frame's name

    def encode(self) -> tuple[str, bytes]:
        """The frame's name and data."""
        return f"{self.kind}/{getattr(self, self.about)}" if self.about else self.kind, self.data()

    def data(self) -> bytes:
        """The frame's data: a tensor file, or its fields as JSON with texts cut to their limits, or nothing."""
        values = {field.name: getattr(self, field.name) for field in fields(self) if field.name != self.about}
        if "tensors" in values:
            return bytes(values["tensors"])
        values = {name: value[:MAX_TEXT] if isinstance(value, str) else value for name, value in values.items()}
        return json.dumps(values, default=asdict).encode() if values else b""

    @classmethod
    def decode(cls, about: str, data: bytes) -> Self:
        """Returns the record of the frame; `about` is its name after the kind. Raises `Malformed` if it is invalid."""
        record: Self = _record(cls, {**cls.read(data), cls.about: about})
        return record

    @classmethod
    def read(cls, data: bytes) -> dict[str, Any]:
        """Returns the fields in the data as they were sent, unchecked."""
        names = {field.name for field in fields(cls)} - {cls.about}
        return {"tensors": data} if names == {"tensors"} else _object(data, cls.bound.size or SMALL) if names else {}


@dataclass(frozen=True)
class Warm(Frame):
    """Start a kernel and import these modules, while the plan is not known yet."""

    kind = "warm"
    bound = Bound(1, LARGE)
    imports: tuple[str, ...]
    cell_output_bytes: int


@dataclass(frozen=True)
class Plan(Frame):
    """The cells to run and the stages to ask, in this order."""

    kind = "plan"
    bound = Bound(1, LARGE)
    steps: tuple[Step, ...]
    interface: Mapping[str, Any]  # only the probe interprets it
    given: Mapping[str, Any]  # names of provided cells whose current values are sent, and the `stages` that send them
    kernel_restarts: int
    replay_max_s: float  # a slower cell is not run again in a new kernel
    replay_timeout_s: float
    cell_output_bytes: int
    answer_bytes: int


@dataclass(frozen=True)
class StageQuestions(Frame):
    """A stage's questions, as the bytes of a tensor file."""

    kind = "questions"
    bound = Bound(size=LARGE)
    about = "stage"
    stage: Stage
    tensors: bytes


@dataclass(frozen=True)
class Refused(Frame):
    """A stage gets no questions: it has none, they are answered, or it is not their turn."""

    kind = "refused"
    bound = Bound(size=0)
    about = "stage"
    stage: Stage


@dataclass(frozen=True)
class At(Frame):
    """The cell of the notebook or the stage of the probe that is running now; false if it is neither."""

    kind = "at"
    bound = Bound(20_000, SMALL)
    cell: Index | None = None
    stage: Stage | None = None

    def __bool__(self) -> bool:
        return self.cell is not None or self.stage is not None


@dataclass(frozen=True)
class Printed(Frame):
    """The last line that the running cell has printed, perhaps empty; sent every few seconds, to be shown."""

    kind = "printed"  # the student's code can forge it, so it is only shown, and no result depends on it
    bound = Bound(10_000, 5000)
    line: str


@dataclass(frozen=True)
class Cell(Frame):
    """A cell has ended. Sent again, without outputs, if the cell turns out to have killed a kernel later."""

    kind = "cell"
    bound = Bound(limit="output_mb")
    about = "index"
    index: Index
    status: CellStatus
    seconds: Seconds
    error: str = ""
    asked: CellRequest = CellRequest.NOTHING
    outputs: bytes | None = None  # a JSON list, which is not parsed here

    def data(self) -> bytes:
        values = {"status": self.status, "seconds": round(self.seconds, 3), "error": self.error[:MAX_TEXT]}
        head = json.dumps({**values, "asked": self.asked}).encode()
        return head if self.outputs is None else head[:-1] + _OUTPUTS[:-1] + self.outputs + b"}"

    @classmethod
    def read(cls, data: bytes) -> dict[str, Any]:
        head, mark, rest = data.partition(_OUTPUTS)
        if not mark:
            return {**_object(data, SMALL), "outputs": None}
        return {**_object(head + b"}", SMALL), "outputs": b"[" + rest.removesuffix(b"}")}


@dataclass(frozen=True)
class Want(Frame):
    """The runner asks for a stage's questions."""

    kind = "want"
    bound = Bound(size=0)
    about = "stage"
    stage: Stage


@dataclass(frozen=True)
class Answer(Frame):
    """The answer to a question, as the bytes of a tensor file, which `grader.evidence` reads."""

    kind = "answer"
    bound = Bound(1000, limit="evidence_mb")
    about = "address"
    address: Address
    tensors: bytes


@dataclass(frozen=True)
class Unanswered(Frame):
    """The reason why a question has no answer, and whether it is a grader fault."""

    kind = "unanswered"
    bound = Bound(1000, SMALL)
    about = "address"
    address: Address
    error: str
    ours: bool = False


@dataclass(frozen=True)
class StageEnd(Frame):
    """All questions of a stage have been asked."""

    kind = "stage"
    bound = Bound(1000, SMALL)
    about = "stage"
    stage: Stage
    status: StageStatus


@dataclass(frozen=True)
class RunnerFault(Frame):
    """The runner has failed, which is a grader fault."""

    kind = "fault"
    bound = Bound(20, SMALL)
    message: str


@dataclass(frozen=True)
class Done(Frame):
    """The plan has been run to its end."""

    kind = "done"
    bound = Bound(1, 0)


TO_BOX: tuple[type[Frame], ...] = (Warm, Plan, StageQuestions, Refused)
FROM_BOX: tuple[type[Frame], ...] = (At, Printed, Cell, Want, Answer, Unanswered, StageEnd, RunnerFault, Done)
RECORDED: Mapping[str, type[Frame]] = {".safetensors": Answer, ".json": Unanswered}  # by the file's suffix


def to_box(name: str, data: bytes) -> Frame:
    """Returns the record of a frame that the supervisor has sent; raises `Malformed` if it is invalid."""
    return _decoded(TO_BOX, name, data)


def from_box(name: str, data: bytes) -> Frame:
    """Returns the record of a frame from a box, with printable texts and bounded numbers; raises `Malformed`."""
    return _decoded(FROM_BOX, name, data)


def recorded(stage: Stage, file_name: str, data: bytes) -> Frame:
    """The frame of a file that the recorder wrote: a tensor file, or why there is none; raises `Malformed`."""
    question, dot, suffix = file_name.rpartition(".")
    if (kind := RECORDED.get(dot + suffix)) is None:
        raise Malformed("no file of the recorder's")
    return kind.decode(stage.question(question), data)


def _decoded(kinds: tuple[type[Frame], ...], name: str, data: bytes) -> Frame:
    kind, slash, about = name.partition("/")
    record = next((frame for frame in kinds if frame.kind == kind and bool(frame.about) == bool(slash)), None)
    if record is None or (record.bound.size is not None and len(data) > record.bound.size):
        raise Malformed("no such frame")
    return record.decode(about, data)


def _object(data: bytes, most_bytes: int) -> dict[str, Any]:
    if len(data) > most_bytes:
        raise Malformed("too large")
    try:
        content = json.loads(data.decode())
    except (ValueError, RecursionError):
        raise Malformed("no JSON") from None
    return _plain(dict, content)


def _record(cls: type[Any], sent: object) -> Any:
    """Returns the record made of the fields that were sent, each read according to its type."""
    values = _plain(dict, sent)
    return cls(**{field.name: READ[str(field.type)](values.get(field.name)) for field in fields(cls)})


def _list(read: Callable[[object], Any], value: object) -> tuple[Any, ...]:
    return tuple(map(read, _plain(list, value)))


def _plain(kind: type[V], value: object) -> V:
    if not isinstance(value, kind):
        raise Malformed(f"no {kind.__name__}")
    return value


def _or_none(read: Callable[[object], V], value: object) -> V | None:
    try:
        return read(value)
    except Malformed:
        return None


def _index(value: object) -> int:
    number = int(value) if isinstance(value, str) and value.isascii() and value.isdigit() else value
    if type(number) is not int or not 0 <= number < MAX_CELLS:
        raise Malformed("no index")
    return number


def _seconds(value: object) -> float:
    if not isinstance(value, int | float) or not 0 <= value < MAX_SECONDS:  # NaN is not
        raise Malformed("no seconds")
    return float(value)


def _member(words: type[E], value: object, otherwise: E | None = None) -> E:
    """Returns the enumeration's member; looked up by equality, because the value may be of any type."""
    member = next((word for word in words if word == value), otherwise)
    if member is None:
        raise Malformed("no such word")
    return member


def _line(value: object) -> str:
    """Returns the text as one line without control characters or lone surrogates, for terminals and files."""
    if not isinstance(value, str):
        return ""
    printable = "".join(character if character.isprintable() else " " for character in value[: 4 * MAX_TEXT])
    line = " ".join(printable.split())
    return line if len(line) <= MAX_TEXT else line[: MAX_TEXT - 3].rstrip() + "..."


# How a field is read from a value of any type, by its annotation above.
READ: Mapping[str, Callable[[Any], Any]] = {
    "Stage": lambda value: Stage(_plain(str, value)),
    "Stage | None": partial(_or_none, lambda value: Stage(_plain(str, value))),
    "Address": lambda value: Address(_plain(str, value)),
    "CellStatus": partial(_member, CellStatus),
    "StageStatus": partial(_member, StageStatus),
    "CellRequest": partial(_member, CellRequest, otherwise=CellRequest.NOTHING),
    "Replay": partial(_member, Replay),
    "Index": _index,
    "Index | None": partial(_or_none, _index),
    "Seconds": _seconds,
    "int": partial(_plain, int),
    "float": lambda value: value if isinstance(value, int) else _plain(float, value),
    "bool": lambda value: value is True,
    "str": _line,
    "Source": partial(_plain, str),
    "bytes": partial(_plain, bytes),  # from `read`, never from JSON
    "bytes | None": lambda value: value if isinstance(value, bytes) else None,
    "Mapping[str, Any]": partial(_plain, dict),
    "tuple[str, ...]": partial(_list, _line),
    "tuple[Step, ...]": partial(
        _list, lambda sent: _record(StageStep if "stage" in _plain(dict, sent) else CellStep, sent)
    ),
}
