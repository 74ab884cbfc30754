"""Made-up reports and rows of the toy exercise."""

from __future__ import annotations

from small_exercise import running

from grader.batch.class_records import ClassSubmission, GradebookRow, Student, StudentState
from grader.records import GradeReport, ItemVerdict, Outcome, Remark, Status

RUBRIC = running.rubric()
CANVAS = {"Student": "Lovelace, Ada", "ID": "4001", "SIS User ID": "101", "SIS Login ID": "ada", "Section": "CV 1"}
ADA = Student("101", "Ada Lovelace", "ada@uni.example", CANVAS)
ZOE = Student("103", "Zoë Müller", "zoe@uni.example", {"Username": "zoe", "First name": "Zoë", "Last name": "Müller"})


def report(points: tuple[int, ...], *, look: bool = False) -> GradeReport:
    items = tuple(
        ItemVerdict(item.id, item.title, Outcome.PARTIAL, milli, item.points_milli, ())
        for item, milli in zip(RUBRIC.items, points, strict=True)
    )
    remarks = (Remark("late", "the download marks this submission as late"),)
    return GradeReport(
        submission="x",
        points_milli=sum(points),
        max_points_milli=RUBRIC.points_milli,
        device="cpu",
        status=Status.OK,
        isolation="bubblewrap",
        needs_person=look,
        items=items,
        remarks=(*remarks, Remark("shadow", "a given name was taken", needs_person=True)) if look else remarks,
        events=(),
        seed="0" * 32,
        checksums={"rubric": "ab" * 32, "grader": "cd" * 32},
        versions={},
        wall_s=12.3,
        created="2026-11-01T10:00:00+00:00",
    )


def row(key: str, state: StudentState, student: Student | None, points: tuple[int, ...] | None = None) -> GradebookRow:
    submission = ClassSubmission(key, running.Path("x.ipynb"), "x.ipynb", student)
    grade_report = None if points is None else report(points, look=state is StudentState.LOOK)
    return GradebookRow(key, state, student, submission, grade_report, None, "no JSON" if points is None else "")


FULL = tuple(item.points_milli for item in RUBRIC.items)
LESS = (FULL[0] - 750, *FULL[1:])
