"""The nouns of a class: students, what they handed in, the work to do, and the lines of a gradebook.

The folder of a class, `OUT`, is `runs/<name of the submissions' folder>` unless told otherwise:

    OUT/class.json               who handed in what, and where it lies
    OUT/submissions/<key>/       one run folder a submission, as `grade` leaves it
    OUT/unpacked/<key>/          notebooks that came out of archives
    OUT/gradebook*.csv  OUT/class.html  OUT/history.jsonl  OUT/overrides.yaml
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from grader.records import GradeReport, Remark
from grader.report.totals import counted_milli, judged_milli


class StudentState(StrEnum):
    """Where a submission stands."""

    GRADED = "graded"
    LOOK = "look"  # graded, and a person must look
    REFUSED = "refused"  # the file cannot be graded: no notebook, no JSON, too large; no points were given
    FAILED = "failed"  # the grader's own fault; the next run tries again
    WAITING = "waiting"  # not graded yet
    MISSING = "missing"  # on the roster, but nothing was handed in


@dataclass(frozen=True, slots=True)
class Student:
    """Somebody who takes the course."""

    id: str  # by which the course's systems know them
    name: str = ""
    email: str = ""
    columns: Mapping[str, str] = field(default_factory=dict)  # all that the roster says, by its own headings


@dataclass(frozen=True, slots=True)
class ClassSubmission:
    """One submission, as it was found."""

    key: str  # safe as a folder's name, unique in its class, the same in every run
    path: Path  # the notebook, or the file that is none
    shown: str  # where a person finds it, below the submissions' folder: "archive.zip: work/vae.ipynb"
    student: Student | None = None
    remarks: tuple[Remark, ...] = ()  # for instance that an older notebook lay beside it
    refused: str = ""  # why there is nothing to grade, one line for the student; then `path` is what was found
    team: tuple[Student, ...] = ()  # who handed it in together with the student
    by: str = ""  # what told whose it is: "student id and name"
    why: str = ""  # why this file, of those that were handed in
    left_out: tuple[str, ...] = ()  # the others
    when: datetime | None = None  # it was handed in, as the download or the roster says; a time of the course's zone

    @property
    def names(self) -> list[str]:
        """By what a person may mean it: each student's id, name and address."""
        return [name for s in self.students for name in dict.fromkeys((s.id, s.name, s.email)) if name]

    @property
    def students(self) -> tuple[Student, ...]:
        """Everybody on the roster whose work it is."""
        return (self.student, *self.team) if self.student else self.team


@dataclass(frozen=True, slots=True)
class Job:
    """One submission to grade: everything a worker needs, on this machine or another one."""

    key: str
    notebook: Path
    folder: Path  # the run folder; its report says that the work is done
    rubric: Path
    isolation: str = "bubblewrap"
    parts: tuple[str, ...] | None = None  # those to train; None: all of them, (): components only
    seed: str | None = None  # 32 hexadecimal digits
    remarks: tuple[Remark, ...] = ()  # what was noticed while it was found
    replace: bool = False  # a weaker run may take the place of a stronger one


@dataclass(frozen=True, slots=True)
class JobResult:
    """What became of a job; `StudentState` GRADED, LOOK, REFUSED or FAILED."""

    key: str
    state: StudentState
    reason: str = ""  # one line, for REFUSED and FAILED
    seconds: float = 0.0
    points_milli: int = 0
    max_points_milli: int = 0  # of what was judged; 0 where nothing was
    short_of_memory: bool = False  # beside others it may have been the others': it is tried again alone


class Executor(Protocol):
    """Who does the work of a class: a process pool on this machine, or a cluster's scheduler.

    Tries each job once; what came of it is in the job's folder, whoever did the work.
    """

    def run(self, jobs: Sequence[Job], started: Callable[[str], None], ended: Callable[[JobResult], None]) -> None:
        """Every job has been tried; `ended` was called for each, in any order, from the caller's own thread."""


@dataclass(frozen=True, slots=True)
class GradebookRow:
    """What one student or one team handed in, and its report."""

    key: str  # the submission's, or the student's id where nothing was handed in
    state: StudentState
    student: Student | None = None
    handed_in: ClassSubmission | None = None
    report: GradeReport | None = None  # with a person's decisions applied; None where nothing was graded
    folder: Path | None = None  # the run folder
    reason: str = ""
    team: tuple[Student, ...] = ()  # who handed it in together with the student
    excused: bool = False  # of somebody who has handed in nothing, and need not
    held: bool = False  # it would fall below what was released: no system is given its points

    @property
    def students(self) -> tuple[Student, ...]:
        """Everybody on the roster whose row it is."""
        return (self.student, *self.team) if self.student else self.team

    def each_student(self) -> Iterator[GradebookRow]:
        """One row per student, with the other members as the team; the row itself if no student is known."""
        for student in self.students or (None,):
            yield replace(self, student=student, team=tuple(other for other in self.students if other is not student))

    @property
    def points_milli(self) -> int | None:
        """The points, or None where none were given; somebody who handed in nothing has none, not zero."""
        return None if self.report is None else self.report.points_milli

    @property
    def counted_milli(self) -> int | None:
        """The points without what handing in late costs, or None where none were given."""
        return None if self.report is None else counted_milli(self.report)

    @property
    def judged_milli(self) -> int | None:
        """What the points are out of: what was judged; None where nothing was."""
        return None if self.report is None else judged_milli(self.report.items)
