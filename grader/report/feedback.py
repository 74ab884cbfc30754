"""The page that a student reads: what was right, what was lost and why, pictures, and the notebook with its marks.

Everything here may be read by the student and everybody to whom they show it: no threshold, seed, measured number,
path or detail of the machine.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from grader.records import CheckVerdict, Figure, GradeReport, ItemVerdict
from grader.report.notebook.marks import Note, marks, notes, says
from grader.report.notebook.view import NotebookView
from grader.report.page_environment import page_style, page_template
from grader.report.student_text import PERSON, UNDECIDED, open_box
from grader.report.words import is_lost, late_sentence, summary, told_student, undecided_milli


def feedback_html(
    report: GradeReport,
    figures: Sequence[Figure] = (),
    view: NotebookView | None = None,
    names: Mapping[str, Sequence[str]] | None = None,
) -> str:
    """One self-contained HTML page; `names` are those that the student wrote for each item."""
    style, policy = page_style("page.css", "feedback.css")
    beside = marks(report, view.places, names or {}) if view else {}
    return page_template("feedback.html.j2").render(
        r=report,
        figures=[figure for figure in figures if not figure.for_staff],
        view=view,
        marks=beside,
        cell_of={mark.number: cell for cell, here in sorted(beside.items(), reverse=True) for mark in here},
        style=style,
        policy=policy,
        summary=summary(report),
        told=told_student(report),
        late=late_sentence(report),
        open_box=open_box(report),
        person=PERSON if report.needs_person or any(map(undecided_milli, report.items)) else "",
        undecided_note=UNDECIDED,
        lost_checks=_lost_checks,
    )


def _lost_checks(item: ItemVerdict) -> list[tuple[Note, list[CheckVerdict]]]:
    """What was lost, each reason once, with the checks that give it."""
    lost = [check for check in item.checks if is_lost(check)]
    return [(note, [check for check in lost if says(check) == (note.outcome, note.message)]) for note in notes(lost)]
