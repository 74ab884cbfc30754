"""What would be graded, for whom and why: looked at before anything runs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich.table import Table
from rich.text import Text

from grader.batch.class_records import ClassSubmission, Student
from grader.report.text import plain

MAX_NAME = 60
MAX_TEXT = 200


@dataclass(frozen=True)
class Plan:
    """A class as a run would grade it."""

    layout: str
    handed_in: tuple[ClassSubmission, ...]
    missing: tuple[Student, ...]
    done: frozenset[str]  # the keys of those that have been graded as they would be
    remarks: tuple[str, ...]

    @property
    def all_sure(self) -> bool:
        """Whether nobody has to look at how the class was read."""
        return not self.remarks and not any(submission.refused or doubts(submission) for submission in self.handed_in)


def doubts(submission: ClassSubmission) -> list[str]:
    """What a person should look at, of whose it is and which file was taken."""
    return [remark.message for remark in submission.remarks if remark.needs_person]


def state(submission: ClassSubmission, done: frozenset[str]) -> str:
    """What a run would do."""
    return "refused" if submission.refused else "graded already" if submission.key in done else "to grade"


def summary(plan: Plan) -> str:
    """The class in one line."""
    states = [state(submission, plan.done) for submission in plan.handed_in]
    counts = [f"{states.count(word)} {word}" for word in dict.fromkeys(states)]
    doubtful = sum(bool(doubts(submission)) for submission in plan.handed_in)
    counts += [f"{doubtful} doubtful"] if doubtful else []
    counts += [f"{len(plan.missing)} with nothing handed in"] if plan.missing else []
    return f"{plan.layout}: {', '.join(counts)}"


def table(handed_in: Sequence[ClassSubmission]) -> Table:
    """A row for each submission: whose it is and what says so, which file is graded and why, what is in doubt."""
    rows = Table(show_lines=False, box=None, padding=(0, 2, 0, 0))
    for head in ("submission", "whose", "file"):
        rows.add_column(head, overflow="fold")
    nobody = "nobody on the roster" if any(submission.students for submission in handed_in) else "–"
    for submission in sorted(
        handed_in, key=lambda submission: (bool(submission.refused or doubts(submission)), submission.key)
    ):  # the odd ones last
        rows.add_row(
            Text(plain(submission.key, MAX_NAME)),
            Text(_whose(submission) or nobody),
            Text("\n".join(_file(submission))),
        )
    return rows


def missing_line(missing: Sequence[Student]) -> str:
    """Who has handed in nothing."""
    return "nothing handed in: " + ", ".join(plain(student.name or student.id, MAX_NAME) for student in missing)


def _whose(submission: ClassSubmission) -> str:
    names = ", ".join(plain(student.name or student.id, MAX_NAME) for student in submission.students)
    return f"{names} (by {submission.by})" if names else ""


def _file(submission: ClassSubmission) -> Iterator[str]:
    if submission.refused:
        yield f"refused: {plain(submission.refused, MAX_TEXT)}"
    else:
        yield f"{plain(submission.shown, MAX_TEXT)} ({submission.why})"
    for doubt in doubts(submission):
        yield f"look: {plain(doubt, MAX_TEXT)}"
    if submission.left_out and not any(
        remark.kind == "other_notebook" and remark.needs_person for remark in submission.remarks
    ):
        yield f"left out: {plain(', '.join(submission.left_out), MAX_TEXT)}"
    if submission.when:
        yield f"handed in {submission.when:%Y-%m-%d %H:%M}{submission.when:%Z}"
    if any(remark.kind == "late" for remark in submission.remarks):
        yield "late, as the download says"
