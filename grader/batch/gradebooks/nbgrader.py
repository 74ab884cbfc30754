"""`gradebook-nbgrader.csv`: the columns that `nbgrader export` writes, for programs that read such a file.

The plugin is `CsvExportPlugin` (https://github.com/jupyter/nbgrader, nbgrader/plugins/export.py); its file has no byte
order mark. It writes 0.0 for students without a submission; here the cell is empty, unless the course sets 0.
"""

from __future__ import annotations

from collections.abc import Sequence

from grader.batch.class_records import GradebookRow
from grader.batch.gradebooks.entries import GradebookSettings, csv_file, first_last, out_of, points
from grader.records import Rubric
from grader.report.text import cell, points_text
from grader.report.totals import penalty_milli

NAME = "gradebook-nbgrader.csv"
PERSON = ["assignment", "duedate", "timestamp", "student_id", "last_name", "first_name", "email"]
SCORES = ["raw_score", "late_submission_penalty", "score", "max_score"]


def files(rows: Sequence[GradebookRow], rubric: Rubric, settings: GradebookSettings) -> dict[str, bytes]:
    """One row per student; without a roster, the submission's key serves as the student id."""
    table = [[*PERSON, *SCORES]]
    for row in rows:
        first, last = first_last(row)
        who = (row.student.id, last, first, row.student.email) if row.student else (row.key, last, first, "")
        got = points(row, settings)
        late = row.report.late if row.report else None
        penalty = penalty_milli(row.report) if row.report else 0
        earned = points_text(row.report.points_milli) if row.report and got else got
        scores = [earned, points_text(penalty) if got else "", got, points_text(out_of(rows, rubric))]
        times = (late.deadline, late.handed_in) if late else ("", "")
        table.append([cell(settings.assignment), *map(cell, (*times, *who)), *scores])
    return {NAME: csv_file(table)}
