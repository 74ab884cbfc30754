"""The grader's data types, as frozen dataclasses without I/O.

Points are integers of a thousandth (`*_milli`), so that sums are exact.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import PurePath
from typing import Any

from numpy.typing import NDArray

# Types shared with the code in the box, which cannot import the grader.
from grader.sandbox.in_box.frames import Address as Address
from grader.sandbox.in_box.frames import CellRequest as CellRequest
from grader.sandbox.in_box.frames import CellStatus as CellStatus
from grader.sandbox.in_box.frames import Stage as Stage

Array = NDArray[Any]
Notebook = dict[str, Any]  # a notebook in nbformat 4 JSON form
Measured = Mapping[str, float | int | str]
Numbers = Mapping[str, Mapping[str, Mapping[str, float]]]  # item -> check -> numbers by name


class Status(StrEnum):
    """How a run in the box ended. `BOX_ERROR` is never the student's fault."""

    OK = "ok"
    CELL_ERROR = "cell_error"
    TIMEOUT = "timeout"
    KILLED = "killed"
    BOX_ERROR = "box_error"


class Outcome(StrEnum):
    """The outcome of a check or an item. `NEEDS_REVIEW` is never the student's fault."""

    PASSED = "passed"
    PARTIAL = "partial"
    FAILED = "failed"
    SKIPPED = "skipped"
    NEEDS_REVIEW = "needs_review"

    @staticmethod
    def of_points(points_milli: int, max_points_milli: int) -> Outcome:
        """Passed with all points, partial with some, failed with none."""
        if points_milli == max_points_milli:
            return Outcome.PASSED
        return Outcome.PARTIAL if points_milli else Outcome.FAILED


@dataclass(frozen=True, slots=True)
class CheckSpec:
    """One check of an item: its name in the exercise, its worth and its numbers."""

    check: str
    points_milli: int
    params: Mapping[str, Any]
    presupposes: tuple[str, ...] = ()  # earlier checks of the item that must have earned something first
    measured: Measured = field(default_factory=dict)  # the measurements behind the numbers, by model


@dataclass(frozen=True, slots=True)
class RubricItem:
    """One line of the points table."""

    id: str
    title: str
    points_milli: int
    checks: tuple[CheckSpec, ...]

    @property
    def part(self) -> str:
        """The exercise's part that the item belongs to: what is before the dot of its id."""
        return self.id.partition(".")[0]

    def with_numbers(self, numbers: Mapping[str, Mapping[str, float]]) -> RubricItem:
        """The item whose checks have these numbers, by the check's name; others stay."""
        checks = [replace(check, params={**check.params, **numbers.get(check.check, {})}) for check in self.checks]
        return replace(self, checks=tuple(checks))


@dataclass(frozen=True, slots=True)
class Limits:
    """What one run in the box may use; every number comes from `rubric.yaml`."""

    wall_s: float  # the whole run
    cell_s: float  # one cell, after which it is interrupted
    probe_s: float  # one stage of the probe
    question_s: float  # one question of it
    replay_s: float  # a cell slower than this is not run again in a second kernel
    kernel_restarts: int  # how often a dead kernel is started again
    memory_mb: int
    gpu_memory_mb: int  # of the GPU, for each process of the box
    processes: int
    disk_mb: int  # each writable folder of the box
    output_mb: float  # all output of the cells
    cell_output_mb: float  # the output of one cell
    evidence_mb: float  # everything the probe records
    notebook_mb: float  # the submitted file
    cells: int  # in the submitted file


@dataclass(frozen=True, slots=True)
class Interface:
    """How a notebook's names, orders and options differ from the exercise's interface; absent entries do not differ."""

    names: Mapping[str, str] = field(default_factory=dict)  # the interface's name -> the notebook's
    arguments: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # function -> its order of them
    returns: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # function -> its order of values
    options: Mapping[str, str] = field(default_factory=dict)  # for instance labels: one_hot


@dataclass(frozen=True, slots=True)
class FollowThrough:
    """Whether a later item that an earlier mistake affected is graded again, and the points that this may give."""

    enabled: bool = False
    max_replaced: int = 1  # items of a part that may be replaced, those with the smallest share of points first
    share: float = 1.0  # of the later item's points that follow-through may give
    min_cost_milli: int = 0  # the least that a mistake costs, in its own item or in one that it affects
    min_earned: Mapping[str, float] = field(default_factory=dict)  # item -> share of its points, for a correct part


@dataclass(frozen=True, slots=True)
class Rubric:
    """`rubric.yaml`, validated and bound to an exercise."""

    title: str
    exercise: str  # the exercise's package, for instance "grader.exercises.vae_mnist"
    template: str  # path of the student template, relative to the rubric
    reference: str  # path of the solution notebook, as above; follow-through takes correct parts from it
    items: tuple[RubricItem, ...]
    limits: Limits
    interface: Interface
    sizes: Mapping[str, int]  # the size of the questions: draws, images, samples
    follow_through: FollowThrough
    points_step_milli: int  # partial credit is given in steps of this
    sha256: str
    earlier_templates: Mapping[str, Numbers] = field(default_factory=dict)  # path, as the template's -> its own numbers
    packages: tuple[str, ...] = ()  # that a notebook may import in addition to the grader's own

    @property
    def points_milli(self) -> int:
        """The maximum number of points."""
        return sum(item.points_milli for item in self.items)

    def for_template(self, name: str) -> Rubric:
        """The rubric with the numbers that hold for notebooks made from the template of that file name."""
        by_file_name = {PurePath(path).name: numbers for path, numbers in self.earlier_templates.items()}
        numbers = by_file_name.get(name, {})
        return replace(self, items=tuple(item.with_numbers(numbers.get(item.id, {})) for item in self.items))


@dataclass(frozen=True, slots=True)
class Comparison:
    """An output of the submitted notebook, and the output of the grader's run."""

    what: str  # for instance "loss, 10 of 10"
    saved: str
    again: str


@dataclass(frozen=True, slots=True)
class Remark:
    """A finding about a submission for staff; it costs no points by itself."""

    kind: str  # for instance "given_cell_changed"
    message: str  # one sentence for the instructor
    cell: int | None = None  # index in the submitted notebook
    needs_person: bool = False
    diff: tuple[str, ...] = ()  # lines with a sign: `-` only in the template, `+` only as submitted
    beside: tuple[Comparison, ...] = ()


@dataclass(frozen=True, slots=True)
class Submission:
    """A readable notebook, and the remarks from reading it."""

    name: str  # safe as a folder name
    sha256: str
    notebook: Notebook
    remarks: tuple[Remark, ...] = ()


@dataclass(frozen=True, slots=True)
class CellRun:
    """How one cell ended."""

    index: int
    status: CellStatus
    seconds: float
    error: str = ""  # "NameError: ...", at most a few hundred characters
    asked: CellRequest = CellRequest.NOTHING


@dataclass(frozen=True, slots=True)
class Execution:
    """One run in the box, measured from outside."""

    status: Status
    exit_code: int | None
    wall_s: float
    cpu_s: float
    peak_memory_mb: float
    device: str
    isolation: str
    cells: tuple[CellRun, ...] = ()
    events: tuple[str, ...] = ()  # one sentence each, in order: what happened
    log_tail: str = ""


AS_GRADER = "user as the grader"  # the isolation `user` where the box's processes were the grader's own account's
LEFT_OUT = "not graded in this run (needs training)"  # the message of a verdict on what this run did not train
_LEFT_OUT_BEFORE = "not judged: this run left it out"  # the same, as stored reports may have it


class Blame(StrEnum):
    """Whose fault it is that an answer is missing."""

    STUDENT = "student"  # the student's code raised an error, hung, or returned an invalid answer
    OURS = "ours"
    MACHINE = "machine"  # it may have worked on the student's machine, and cannot on the grading machine
    NOBODY = "nobody"  # the question was not due


@dataclass(frozen=True, slots=True)
class Fault:
    """Why an answer is missing: whose fault that is, and what happened."""

    blame: Blame
    message: str


UNANSWERED = Fault(Blame.STUDENT, "the notebook stopped before this could be tested")


@dataclass(frozen=True, slots=True)
class Evidence:
    """The questions and the box's answers, checked against the specification; nothing is executed to read it.

    Arrays are named by `Stage.array` and `Address.array`. Faults are named by an address, or by an array if only that
    one is missing.
    """

    questions: Mapping[str, Array]
    answers: Mapping[str, Array]
    faults: Mapping[str, Fault] = field(default_factory=dict)

    def fault(self, address: Address, *names: str) -> Fault:
        """Returns why these arrays of the answer are missing: one of them was unusable, or all are missing."""
        keys = (*(address.array(name) for name in names), address)
        if (known := next((self.faults[key] for key in keys if key in self.faults), None)) is not None:
            return known
        if any(address.stage.holds(key) for entries in (self.answers, self.faults) for key in entries):
            arrays = f"{' and '.join(names)} of " if any(address.holds(key) for key in self.answers) else ""
            return Fault(Blame.OURS, f"the check asks for {arrays}{address}, which the exercise does not specify")
        return UNANSWERED


@dataclass(frozen=True, slots=True)
class MeasuredValue:
    """A measured value and the two thresholds of partial credit; `zero_at` may be the larger."""

    name: str  # what was measured, for instance "explained variance"
    value: float
    standard_error: float  # of the value: how far other images and draws would move it
    zero_at: float
    full_at: float


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of a check, without points. `score` None means that it could not be graded automatically."""

    score: float | None  # in [0, 1]
    message: str  # for the student: what was expected, what was got
    hint: str = ""  # where to look, never the answer
    measured: Measured = field(default_factory=dict)
    level: MeasuredValue | None = None
    borderline: bool = False  # within its own sampling error of a threshold; the better side was given


@dataclass(frozen=True, slots=True)
class CheckVerdict:
    """A finding with the points that its score earns."""

    id: str
    title: str  # the sentence that is true when the check passes
    outcome: Outcome
    points_milli: int
    max_points_milli: int
    message: str
    hint: str = ""
    measured: Measured = field(default_factory=dict)
    level: MeasuredValue | None = None
    borderline: bool = False

    def __post_init__(self) -> None:
        if self.message == _LEFT_OUT_BEFORE:
            object.__setattr__(self, "message", LEFT_OUT)


@dataclass(frozen=True, slots=True)
class Override:
    """An instructor's decision about an item, which replaces the grader's verdict."""

    points_milli: int
    reason: str
    by: str
    when: str = ""
    was_milli: int = 0  # what the grader gave
    was_outcome: str = ""


@dataclass(frozen=True, slots=True)
class ItemVerdict:
    """One line of the report."""

    id: str
    title: str
    outcome: Outcome
    points_milli: int
    max_points_milli: int
    checks: tuple[CheckVerdict, ...]  # on the submission as it is
    lost_in: tuple[str, ...] = ()  # earlier items that were replaced before this one was graded again
    # Earlier items whose mistakes may affect this one, but which earned too little to be replaced -> the least share.
    not_replaced: Mapping[str, float] = field(default_factory=dict)
    gained_milli: int = 0  # the points given back, which are part of `points_milli` but of no check
    override: Override | None = None  # a decision of staff; `points_milli` and `outcome` are theirs

    @property
    def part(self) -> str:
        """The exercise's part that the item belongs to: what is before the dot of its id."""
        return self.id.partition(".")[0]


@dataclass(frozen=True, slots=True)
class Lateness:
    """When a notebook was submitted, and the penalty for lateness, which is kept apart from its points."""

    handed_in: str  # ISO 8601, with its zone
    deadline: str  # the same; the student's own deadline if they have one
    days: int  # started after the deadline; 0 if in time or excused
    percent: float  # deducted in total
    of_earned: bool = False  # True: of the earned points; False: of the maximum
    note: str = ""  # who granted more time or excused it, and why


@dataclass(frozen=True, slots=True)
class GradeReport:
    """The content of a report in any form."""

    submission: str
    points_milli: int
    max_points_milli: int
    device: str
    status: Status
    isolation: str
    needs_person: bool
    items: tuple[ItemVerdict, ...]
    remarks: tuple[Remark, ...]
    events: tuple[str, ...]
    seed: str  # the run's secret, in hexadecimal
    checksums: Mapping[str, str]  # notebook, rubric, grader, questions, evidence
    versions: Mapping[str, str]
    wall_s: float
    created: str  # ISO 8601, UTC
    template: str = ""  # file name of the template that the notebook comes from
    late: Lateness | None = None  # if the course has a deadline and the time of submission is known


@dataclass(frozen=True, slots=True)
class Plane:
    """Makes a figure interactive: its PNG is a sheet of equal tiles, one for each point of a plane.

    A plane has `side` times `side` points, the highest row first. There is one plane, or one for each choice,
    `per_row` of them side by side.
    """

    side: int
    reach: float  # both coordinates run from -reach to reach
    choices: tuple[str, ...] = ()
    choices_are: str = ""  # what the choices are, as a heading
    per_row: int = 1
    dots: tuple[tuple[float, float, str], ...] = ()  # x, y and label of what is shown on the map
    note: str = ""  # what the two directions are


@dataclass(frozen=True, slots=True)
class Figure:
    """A picture for the report, drawn by us from evidence."""

    id: str
    title: str
    caption: str
    png: bytes
    in_strip: bool = False  # shows pictures of a model, on the page of a class
    for_staff: bool = False  # shows what students must not see: hidden images, thresholds
    alt: str = ""  # alternative text; by default, the title
    plane: Plane | None = None  # students move through it on their page; the staff's page does not show it
