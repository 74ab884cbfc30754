"""The plan of a class, to check before anything runs: what would be graded, for whom and why."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich.table import Table
from rich.text import Text

from grader.batch.class_records import ClassSubmission, Student, StudentState, counted
from grader.report.text import plain

MAX_NAME = 60
MAX_TEXT = 200


@dataclass(frozen=True)
class ClassPlan:
    """A class as it would be graded."""

    layout: str
    submissions: tuple[ClassSubmission, ...]
    missing: tuple[Student, ...]
    done: frozenset[str]  # the keys of the submissions that are up to date
    remarks: tuple[str, ...]

    @property
    def all_sure(self) -> bool:
        """Whether every submission was matched and chosen without doubt."""
        return not self.remarks and not any(submission.refused or doubts(submission) for submission in self.submissions)


def doubts(submission: ClassSubmission) -> list[str]:
    """Doubts about the student or about the choice of the file, for staff to check by hand."""
    return [remark.message for remark in submission.remarks if remark.needs_person]


def state(submission: ClassSubmission, done: frozenset[str]) -> str:
    """What a run would do with the submission."""
    return "refused" if submission.refused else "graded already" if submission.key in done else "to grade"


def summary(plan: ClassPlan) -> str:
    """The class in one line."""
    states = [state(submission, plan.done) for submission in plan.submissions]
    words = {"graded already": "up to date", "refused": "not gradable"}
    counts = [f"{states.count(word)} {words.get(word, word)}" for word in dict.fromkeys(states)]
    doubtful = sum(bool(doubts(submission)) for submission in plan.submissions)
    counts += [f"{doubtful} to check"] if doubtful else []
    counts += [counted(StudentState.MISSING, len(plan.missing))] if plan.missing else []
    return f"{plan.layout}: {', '.join(counts)}"


def table(submissions: Sequence[ClassSubmission]) -> Table:
    """A row per submission: its student and how it was matched, the file and why it was chosen, and any doubts."""
    rows = Table(show_lines=False, box=None, padding=(0, 2, 0, 0))
    for head in ("submission", "student", "file"):
        rows.add_column(head, overflow="fold")
    nobody = "not on the roster" if any(submission.students for submission in submissions) else "–"
    for submission in sorted(
        submissions, key=lambda submission: (bool(submission.refused or doubts(submission)), submission.key)
    ):  # doubtful submissions last
        rows.add_row(
            Text(plain(submission.key, MAX_NAME)),
            Text(_whose(submission) or nobody),
            Text("\n".join(_file(submission))),
        )
    return rows


def missing_line(missing: Sequence[Student]) -> str:
    """The students without a submission."""
    return "no submission: " + ", ".join(plain(student.name or student.id, MAX_NAME) for student in missing)


def _whose(submission: ClassSubmission) -> str:
    names = ", ".join(plain(student.name or student.id, MAX_NAME) for student in submission.students)
    return f"{names} (by {submission.by})" if names else ""


def _file(submission: ClassSubmission) -> Iterator[str]:
    if submission.refused:
        yield f"not gradable: {plain(submission.refused, MAX_TEXT)}"
    else:
        yield f"{plain(submission.shown, MAX_TEXT)} ({submission.why})"
    for doubt in doubts(submission):
        yield f"check: {plain(doubt, MAX_TEXT)}"
    if submission.left_out and not any(
        remark.kind == "other_notebook" and remark.needs_person for remark in submission.remarks
    ):
        yield f"not graded: {plain(', '.join(submission.left_out), MAX_TEXT)}"
    if submission.when:
        yield f"submitted {submission.when:%Y-%m-%d %H:%M}{submission.when:%Z}"
    if any(remark.kind == "late" for remark in submission.remarks):
        yield "late according to the download"
