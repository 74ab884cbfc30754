"""`gradebook-gradescope.csv`: the columns of Gradescope's "Download Grades", for programs that read such an export.

Gradescope does not import points from a file; its points come from the autograder. Its guides (https://guides.gradescope.com)
list no columns, so these follow its exports, for instance `1: Honor Pledge (0.0 pts)` for a question. Columns that only
Gradescope can fill are empty. Its exports have no byte order mark.
"""

from __future__ import annotations

from collections.abc import Sequence

from grader.batch.class_records import GradebookRow, StudentState
from grader.batch.gradebooks.entries import GradebookSettings, csv_file, first_last, out_of, points
from grader.records import Rubric
from grader.report.text import cell, points_text
from grader.report.totals import is_graded

NAME = "gradebook-gradescope.csv"
PERSON = ["First Name", "Last Name", "SID", "Email"]
TOTAL = ["Total Score", "Max Points", "Status"]
ONLY_THEIRS = ["Submission ID", "Submission Time", "Lateness (H:M:S)", "View Count", "Submission Count"]


def files(rows: Sequence[GradebookRow], rubric: Rubric, settings: GradebookSettings) -> dict[str, bytes]:
    """One row per student, graded or not, and one column per item."""
    questions = [f"{n}: {item.title} ({item.points_milli / 1000} pts)" for n, item in enumerate(rubric.items, 1)]
    table = [[*PERSON, *TOTAL, *ONLY_THEIRS, *map(cell, questions)]]
    for row in rows:
        if row.student is None:
            continue
        total = points(row, settings)
        status = "Missing" if row.state is StudentState.MISSING else "Graded" if total else "Ungraded"
        items = row.report.items if row.report and total else ()
        earned = {item.id: points_text(item.points_milli) for item in items if is_graded(item)}
        person = map(cell, (*first_last(row), row.student.id, row.student.email))
        cells = [*person, total, points_text(out_of(rows, rubric)), status, *([""] * len(ONLY_THEIRS))]
        table.append([*cells, *(earned.get(item.id, "") for item in rubric.items)])
    return {NAME: csv_file(table)}
