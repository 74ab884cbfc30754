"""The two pages of a run.

`feedback.html` is for the student, who may show it to anybody: it has no threshold, seed, measured number, path or
detail of the machine. `report.html`, for staff, adds measured numbers, how the run went, and how to repeat it. Every
string passes `plain` and then the template's escaping; the page's policy blocks anything that passes both.
"""

from __future__ import annotations

import math
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from grader.records import CheckVerdict, Execution, Figure, GradeReport, Measured, MeasuredValue
from grader.report.comments import comments_by_cell
from grader.report.folding import cell_sections, has_comment
from grader.report.html_page import SHEET, html_page
from grader.report.lost_points import (
    NOT_YET,
    cause_elsewhere,
    cause_sentence,
    failed_cell,
    hint_on,
    is_affected,
    item_cause,
    item_losses,
    not_written_anywhere,
    place_of,
    unwritten_mark,
    unwritten_name,
)
from grader.report.notebook_view import NotebookView
from grader.report.plane import SCRIPT, STYLE, plane_views
from grader.report.student_text import PERSON, UNDECIDED, notebook_name, open_box
from grader.report.text import plain, points_text
from grader.report.totals import graded_milli, is_complete, is_lost, trained_parts, undecided_milli
from grader.report.words import (
    LONGEST,
    isolation_remark,
    isolation_warning,
    late_sentence,
    outcomes_of,
    override_remarks,
    reasons_for_person,
    student_remarks,
    summary,
)

_MOST = 100  # remarks, events or measured numbers shown; all of them are in report.json
_MOST_ROWS = 32  # of a comparison or a diff
_MOST_SHOWN = 12  # remarks with their comparison or diff; the others are in report.json
_MOST_LOG = 60  # last lines of the box's log
_MOST_PICTURES = 4  # on the student's page before they are folded
_DEEPEST = 40  # spaces of indentation
_MOST_REASONS = 8  # in the banner; all of them are further below on the page
WIDTH, HEIGHT, MARGIN = 420, 46, 24  # of a level's bar, in pixels
_TRACK = 20  # the track's distance from the top
_NEAR = 74  # pixels: labels that are nearer would overlap


@dataclass(frozen=True, slots=True)
class Again:
    """Paths for repeating a run, as they are typed in the project's folder."""

    notebook: str
    folder: str
    rubric: str


def report_html(
    report: GradeReport,
    figures: Sequence[Figure] = (),
    execution: Execution | None = None,
    again: Again | None = None,
    view: NotebookView | None = None,
) -> str:
    """One self-contained HTML page: points, reasons, measured numbers, pictures, remarks and conditions."""
    return html_page(
        "grader.report/report.html.j2",
        (SHEET, "grader.report/report.css"),
        r=report,
        score=_score(report),
        figures=[figure for figure in figures if figure.plane is None],
        summary=summary(report),
        late=late_sentence(report),
        reasons=reasons_for_person(report),
        warning=isolation_warning(report),
        decisions=override_remarks(report),
        isolation_remark=isolation_remark(report),
        execution=execution,
        commands=commands(report, again),
        bar=level_bar,
        code=_code,
        log_lines=lambda log: [plain(line, LONGEST["title"]) for line in log.splitlines()[-_MOST_LOG:]],
        measurements=_measurements,
        numbers=_numbers,
        most_rows=_MOST_ROWS,
        most_shown=_MOST_SHOWN,
        most=_MOST,
        most_reasons=_MOST_REASONS,
        cause_of=lambda item: item_cause(item, report.items, view),
    )


def _score(report: GradeReport) -> tuple[str, str, str]:
    return points_text(report.points_milli), points_text(graded_milli(report.items)), "points"


def _code(line: str) -> str:
    """A line of a diff as safe text: its sign, its indentation, and the rest, cut."""
    sign, rest = line[:1], line[1:]
    depth = len(rest) - len(rest.lstrip(" \t"))
    return plain(sign, 1) + " " * (min(depth, _DEEPEST) + (sign not in ("+", "-"))) + plain(rest, LONGEST["name"])


def _numbers(measured: Measured | Mapping[str, Any]) -> list[tuple[str, str]]:
    """Names and values as they are shown: four significant digits."""
    return [(plain(name, LONGEST["id"]), _number(value)) for name, value in list(measured.items())[:_MOST]]


def _measurements(check: CheckVerdict) -> Measured:
    """The measured numbers of a check; if it has a level, also the level's value, standard error and thresholds."""
    if check.level is None:
        return check.measured
    level = check.level
    ends = {"standard error": level.standard_error, "nothing at": level.zero_at, "full at": level.full_at}
    return {level.name: level.value, **check.measured, **ends}


def _number(value: float | int | str) -> str:
    if isinstance(value, str):
        return plain(value, LONGEST["title"])
    if isinstance(value, int):
        return plain(str(value), LONGEST["number"])
    return f"{float(value):.4g}"


def level_bar(level: MeasuredValue) -> Markup:
    """An SVG of the scale: grey track, the range of partial credit, its two ends, and the value with its error.

    Empty if a number is not finite. Colours come from the page's style.
    """
    numbers = (level.value, level.standard_error, level.zero_at, level.full_at)
    if not all(map(math.isfinite, numbers)):
        return Markup("")
    ends = (level.zero_at, level.full_at)
    low = min(*ends, level.value - level.standard_error)
    high = max(*ends, level.value + level.standard_error)
    spread = (high - low) or abs(high) or 1.0

    def at(value: float) -> float:
        return round(MARGIN + (value - low) / spread * (WIDTH - 2 * MARGIN), 1)

    left, right = sorted(map(at, ends))
    value, error = at(level.value), level.standard_error / spread * (WIDTH - 2 * MARGIN)
    label = f"{level.name}: {level.value:.3g}; nothing at {level.zero_at:.3g}, full points at {level.full_at:.3g}"
    pieces = [
        Markup('<svg class="bar" viewBox="0 0 {} {}" role="img" aria-label="{}">').format(WIDTH, HEIGHT, label),
        _rect("track", 0, WIDTH, _TRACK - 2, 4),
        _rect("partial", left, right - left, _TRACK - 3, 6),
    ]
    good = at(level.full_at)
    start, width = (good, WIDTH - good) if level.full_at >= level.zero_at else (0.0, good)
    pieces.append(_rect("good", start, width, _TRACK - 3, 6))
    apart = right - left >= _NEAR
    for end, name, line in ((level.zero_at, "0 at", 1), (level.full_at, "full at", 1 if apart else 2)):
        x = at(end)
        anchor = "start" if x < 60 else "end" if x > WIDTH - 60 else "middle"
        text = Markup('<text x="{}" y="{}" text-anchor="{}">{} {:.3g}</text>')
        pieces.append(Markup('<path d="M{} {}v10"/>').format(x, _TRACK - 5))
        pieces.append(text.format(x, _TRACK + 5 + 10 * line, anchor, name, end))
    anchor = "start" if value < 60 else "end" if value > WIDTH - 60 else "middle"
    pieces.append(_rect("error", round(value - error, 1), max(round(2 * error, 1), 0.5), _TRACK - 1, 2))
    pieces.append(Markup('<circle cx="{}" cy="{}" r="5"/>').format(value, _TRACK))
    pieces.append(
        Markup('<text class="value" x="{}" y="11" text-anchor="{}">{:.3g}</text>').format(value, anchor, level.value)
    )
    pieces.append(Markup("</svg>"))
    return Markup("").join(pieces)


def _rect(kind: str, x: float, width: float, y: float, height: float) -> Markup:
    rect = Markup('<rect class="{}" x="{}" y="{}" width="{}" height="{}"/>')
    return rect.format(kind, x, y, round(width, 1), height)


def commands(report: GradeReport, again: Again | None = None) -> tuple[tuple[str, str], ...]:
    """Descriptions and commands, as typed in the project's folder: first a re-grade, then a whole run."""
    trained = sorted(trained_parts(report))
    verb = "grade" if trained else "check"
    name = shlex.quote(again.notebook if again else f"{report.submission}.ipynb")
    folder = shlex.quote(again.folder) if again else "<this folder>"
    isolation = re.split(r"[: ]", report.isolation, maxsplit=1)[0]  # the option's word
    options = f"--seed {report.seed}" + (f" --isolation {isolation}" if isolation in ("user", "none") else "")
    if trained and not is_complete(report):
        options += "".join(f" --parts {part}" for part in trained)
    if again and again.rubric != "rubric.yaml":
        options += f" --rubric {shlex.quote(again.rubric)}"
    regrade = f".venv/bin/python -m grader regrade {folder}"
    return (
        ("Re-grade the stored answers under the current rubric", regrade),
        ("Run the notebook again with the same seed", f'make {verb} SUBMISSION={name} OPTIONS="{options}"'),
    )


def feedback_html(
    report: GradeReport,
    figures: Sequence[Figure] = (),
    view: NotebookView | None = None,
    names: Mapping[str, Sequence[str]] | None = None,
) -> str:
    """One self-contained HTML page for the student; `names` are the notebook's names for each item."""
    planes = plane_views(figures)
    comments = comments_by_cell(report, view, names or {}) if view else {}
    return html_page(
        "grader.report/feedback.html.j2",
        (SHEET, "grader.report/feedback.css", *([STYLE] if planes else [])),
        scripts=("grader.report/feedback.js", *([SCRIPT] if planes else [])),
        planes=planes,
        r=report,
        name=notebook_name(report.submission),
        score=_score(report),
        figures=[figure for figure in figures if not figure.for_staff and figure.plane is None],
        most_pictures=_MOST_PICTURES,
        view=view,
        comments=comments,
        groups=cell_sections(view, comments) if view else (),
        has_comment=lambda index: view is not None and has_comment(view, comments, index),
        cell_of={comment.number: cell for cell, here in sorted(comments.items(), reverse=True) for comment in here},
        failed_cell=lambda item: failed_cell(item, view),
        place_of=lambda loss: place_of(loss, view.written) if view else None,
        is_affected=lambda loss, item: is_affected(loss, item, view),
        cause_of=lambda item: cause_elsewhere(item, report.items, view),
        all_unwritten=lambda item: unwritten_mark(item, view),
        cause_sentence=lambda cell: cause_sentence(cell, view) if view else "",
        item_losses=lambda item: item_losses(item, view),
        lost_ids=lambda item: [check.id for check in item.checks if is_lost(check)],
        outcomes_of=outcomes_of,
        is_unwritten=lambda here: all(loss.message.startswith(NOT_YET) for comment in here for loss in comment.losses),
        hint_on=hint_on,
        not_written=unwritten_name,
        not_written_anywhere=not_written_anywhere(report.items, view),
        summary=summary(report),
        student_remarks=student_remarks(report),
        late=late_sentence(report),
        open_box=open_box(report),
        person=PERSON if report.needs_person or any(map(undecided_milli, report.items)) else "",
        undecided_remark=UNDECIDED,
    )
