"""The records of a class: students, their submissions, the jobs to run, and the rows of a gradebook.

The folder of a class, `OUT`, is `runs/<name of the submissions' folder>` unless `--out` names another:

    OUT/class.json               each submission, its student, and where its file is
    OUT/submissions/<key>/       one run folder per submission, as `grade` writes it
    OUT/unpacked/<key>/          notebooks from archives
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
from grader.report.totals import counted_milli, graded_milli


class StudentState(StrEnum):
    """The state of a submission, or of a student without one."""

    GRADED = "graded"
    LOOK = "look"  # graded, but needs manual review
    REFUSED = "refused"  # the file cannot be graded: not a notebook, not JSON, or too large; no points were given
    FAILED = "failed"  # a grader fault; the next run tries again
    WAITING = "waiting"  # not graded yet
    MISSING = "missing"  # on the roster, but without a submission


STATE_WORDS: Mapping[StudentState, str] = {
    StudentState.GRADED: "graded",
    StudentState.LOOK: "needs manual review",
    StudentState.REFUSED: "not gradable",
    StudentState.FAILED: "grader fault",
    StudentState.WAITING: "not graded yet",
    StudentState.MISSING: "no submission",
}
_COUNTED: Mapping[StudentState, tuple[str, str]] = {  # singular, plural
    StudentState.LOOK: ("needs manual review", "need manual review"),
    StudentState.FAILED: ("grader fault", "grader faults"),
    StudentState.MISSING: ("without a submission", "without a submission"),
}


def counted(state: StudentState, count: int) -> str:
    """A number of submissions in a state, in words: "2 need manual review"."""
    return f"{count} {_COUNTED[state][count != 1] if state in _COUNTED else STATE_WORDS[state]}"


@dataclass(frozen=True, slots=True)
class Student:
    """A student of the course."""

    id: str  # by which the course's systems know the student
    name: str = ""
    email: str = ""
    columns: Mapping[str, str] = field(default_factory=dict)  # all columns of the roster, by its own headings


@dataclass(frozen=True, slots=True)
class ClassSubmission:
    """One submission, as found in the download."""

    key: str  # safe as a folder's name, unique in its class, the same in every run
    path: Path  # the notebook, or the file submitted instead of one
    shown: str  # its path below the submissions' folder, for display: "archive.zip: work/vae.ipynb"
    student: Student | None = None
    remarks: tuple[Remark, ...] = ()  # for instance that an older notebook lay beside it
    refused: str = ""  # why it cannot be graded, one line for the student; `path` is then the file that was found
    team: tuple[Student, ...] = ()  # the other members of the team
    by: str = ""  # what matched it with the student: "student id and name"
    why: str = ""  # why this file was chosen among those that were submitted
    left_out: tuple[str, ...] = ()  # the notebooks that were not chosen
    when: datetime | None = None  # the time of submission, by the download or the roster; in the course's time zone

    @property
    def names(self) -> list[str]:
        """The names that an override may use for it: each student's id, name and email address."""
        return [name for s in self.students for name in dict.fromkeys((s.id, s.name, s.email)) if name]

    @property
    def students(self) -> tuple[Student, ...]:
        """All students of this submission who are on the roster."""
        return (self.student, *self.team) if self.student else self.team


@dataclass(frozen=True, slots=True)
class Job:
    """One submission to grade: everything a worker needs, on this machine or another one."""

    key: str
    notebook: Path
    folder: Path  # the run folder; the job is done once it holds a report
    rubric: Path
    isolation: str = "bubblewrap"
    parts: tuple[str, ...] | None = None  # the parts to train; None: all of them, (): none
    seed: str | None = None  # 32 hexadecimal digits
    remarks: tuple[Remark, ...] = ()  # from finding and matching the file
    replace: bool = False  # a weaker run may take the place of a stronger one


@dataclass(frozen=True, slots=True)
class JobResult:
    """The result of a job; its state is GRADED, LOOK, REFUSED or FAILED."""

    key: str
    state: StudentState
    reason: str = ""  # one line, for REFUSED and FAILED
    seconds: float = 0.0
    points_milli: int = 0
    max_points_milli: int = 0  # of what was graded; 0 if nothing was
    short_of_memory: bool = False  # perhaps because of the jobs beside it, so it is tried again alone


class Executor(Protocol):
    """Runs the jobs of a class, in worker processes on this machine or on a cluster.

    The result of each job is in the job's folder, wherever the job ran.
    """

    def run(self, jobs: Sequence[Job], started: Callable[[str], None], ended: Callable[[JobResult], None]) -> None:
        """Runs all jobs, and calls `ended` once for each, in any order and in the caller's thread."""


@dataclass(frozen=True, slots=True)
class GradebookRow:
    """The submission of one student or team, and its report."""

    key: str  # the submission's key, or the student's id if there is no submission
    state: StudentState
    student: Student | None = None
    submission: ClassSubmission | None = None
    report: GradeReport | None = None  # with overrides applied; None if nothing was graded
    folder: Path | None = None  # the run folder
    reason: str = ""
    team: tuple[Student, ...] = ()  # the other members of the team
    excused: bool = False  # a student who does not have to submit
    held: bool = False  # its points fell below the released ones, so no course system gets them

    @property
    def students(self) -> tuple[Student, ...]:
        """All students of this row who are on the roster."""
        return (self.student, *self.team) if self.student else self.team

    def each_student(self) -> Iterator[GradebookRow]:
        """One row per student, with the other members as the team; the row itself if no student was matched."""
        for student in self.students or (None,):
            yield replace(self, student=student, team=tuple(other for other in self.students if other is not student))

    @property
    def points_milli(self) -> int | None:
        """The points, or None if there is no report; a student without a submission has None, not 0."""
        return None if self.report is None else self.report.points_milli

    @property
    def counted_milli(self) -> int | None:
        """The points after the late penalty, or None if there is no report."""
        return None if self.report is None else counted_milli(self.report)

    @property
    def graded_milli(self) -> int | None:
        """The points that could be earned in what was graded, or None if there is no report."""
        return None if self.report is None else graded_milli(self.report.items)
