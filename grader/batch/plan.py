"""What would be graded, for whom and why: looked at before anything runs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich.table import Table
from rich.text import Text

from grader.batch.class_records import ClassSubmission, Student
from grader.report.text import plain

SHOWN = 60
LONGEST = 200


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
        return not self.remarks and not any(one.refused or doubts(one) for one in self.handed_in)


def doubts(one: ClassSubmission) -> list[str]:
    """What a person should look at, of whose it is and which file was taken."""
    return [remark.message for remark in one.remarks if remark.needs_person]


def state(one: ClassSubmission, done: frozenset[str]) -> str:
    """What a run would do."""
    return "refused" if one.refused else "graded already" if one.key in done else "to grade"


def summary(plan: Plan) -> str:
    """The class in one line."""
    states = [state(one, plan.done) for one in plan.handed_in]
    counted = [f"{states.count(word)} {word}" for word in dict.fromkeys(states)]
    doubtful = sum(bool(doubts(one)) for one in plan.handed_in)
    counted += [f"{doubtful} doubtful"] if doubtful else []
    counted += [f"{len(plan.missing)} with nothing handed in"] if plan.missing else []
    return f"{plan.layout}: {', '.join(counted)}"


def table(handed_in: Sequence[ClassSubmission]) -> Table:
    """A row for each submission: whose it is and what says so, which file is graded and why, what is in doubt."""
    made = Table(show_lines=False, box=None, padding=(0, 2, 0, 0))
    for head in ("submission", "whose", "file"):
        made.add_column(head, overflow="fold")
    nobody = "nobody on the roster" if any(one.students for one in handed_in) else "–"
    for one in sorted(handed_in, key=lambda one: (bool(one.refused or doubts(one)), one.key)):  # the odd ones last
        made.add_row(Text(plain(one.key, SHOWN)), Text(_whose(one) or nobody), Text("\n".join(_file(one))))
    return made


def missing_line(missing: Sequence[Student]) -> str:
    """Who has handed in nothing."""
    return "nothing handed in: " + ", ".join(plain(student.name or student.id, SHOWN) for student in missing)


def _whose(one: ClassSubmission) -> str:
    names = ", ".join(plain(student.name or student.id, SHOWN) for student in one.students)
    return f"{names} (by {one.by})" if names else ""


def _file(one: ClassSubmission) -> Iterator[str]:
    if one.refused:
        yield f"refused: {plain(one.refused, LONGEST)}"
    else:
        yield f"{plain(one.shown, LONGEST)} ({one.why})"
    for doubt in doubts(one):
        yield f"look: {plain(doubt, LONGEST)}"
    if one.left_out and not any(remark.kind == "other_notebook" and remark.needs_person for remark in one.remarks):
        yield f"left out: {plain(', '.join(one.left_out), LONGEST)}"
    if one.when:
        yield f"handed in {one.when:%Y-%m-%d %H:%M}{one.when:%Z}"
    if any(remark.kind == "late" for remark in one.remarks):
        yield "late, as the download says"
