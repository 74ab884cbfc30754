"""The two pages of a run, and what every page has in common: escaping, formats, one style in the page, its policy.

`feedback.html` may be read by the student and everybody to whom they show it: no threshold, seed, measured number, path
or detail of the machine. `report.html`, for staff, adds what was measured, how the run went, and how to see it again.
Every string passes `plain` and then the template's own escaping; what slipped through would meet the page's policy.
"""

from __future__ import annotations

import base64
import hashlib
import math
import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment, StrictUndefined, Template
from markupsafe import Markup

from grader.records import CheckVerdict, Execution, Figure, GradeReport, ItemVerdict, Level, Measured
from grader.report.marks import Note, marks, notes, says
from grader.report.notebook import NotebookView
from grader.report.student_text import PERSON, UNDECIDED, open_box, told
from grader.report.text import of_points, plain, points_text
from grader.report.words import (
    LONGEST,
    OUTCOME_MARKS,
    OUTCOME_WORDS,
    STATUS_WORDS,
    by_part,
    follow_notes,
    is_complete,
    is_left_out,
    is_lost,
    isolation_note,
    isolation_warning,
    item_points,
    judged_milli,
    judged_points,
    late_sentence,
    reasons_for_person,
    sentence,
    shown_outcome,
    summary,
    told_student,
    trained_parts,
    undecided_milli,
)

_POLICY = "default-src 'none'; img-src data:; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"


@cache
def page_style(*names: str) -> tuple[Markup, str]:
    """The style sheets beside this file as one, and the policy that allows it and pictures of its own."""
    style = "".join(_file(name) for name in names)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return Markup(style), _POLICY.format(digest=digest)


@cache
def page_template(name: str) -> Template:
    """The template beside this file."""
    environment = Environment(
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    filters: dict[str, Callable[..., object]] = {
        "capitalized": lambda text: text[:1].upper() + text[1:],
        "data_uri": lambda png: "data:image/png;base64," + base64.b64encode(png).decode(),
        "made_here": lambda html: Markup(html),  # pieces that `grader.report` itself has made safe
        "plain": lambda text, kind="message": plain(text, LONGEST[kind]),
        "points": points_text,
        "seconds": _seconds,
        "sentence": sentence,
        "told": told,
    }
    environment.filters |= filters
    environment.globals |= {
        "LONGEST": LONGEST,
        "MARKS": OUTCOME_MARKS,
        "STATUS": STATUS_WORDS,
        "WORDS": OUTCOME_WORDS,
        "by_part": by_part,
        "follow_notes": follow_notes,
        "is_left_out": is_left_out,
        "is_lost": is_lost,
        "item_points": item_points,
        "judged_points": judged_points,
        "judged": judged_milli,
        "shown_outcome": shown_outcome,
        "of_points": of_points,
        "undecided": undecided_milli,
    }
    return environment.from_string(_file(name))


def _file(name: str) -> str:
    return files("grader.report").joinpath(name).read_text(encoding="utf-8")


def _seconds(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s"


_MOST = 100  # remarks, events or measured numbers shown; all of them are in report.json
_MOST_ROWS = 32  # of a comparison or a diff
_MOST_SHOWN = 12  # remarks with their comparison or diff; the others are in report.json
_MOST_LOG = 60  # last lines of what was written to the box's log
_DEEPEST = 40  # spaces of indentation
_MOST_REASONS = 8  # in the banner, which only points at what stands below
WIDTH, HEIGHT, MARGIN = 420, 46, 24  # of the bar of a level
_TRACK = 20  # from above
_NEAR = 74  # pixels: labels that are nearer would stand on each other


@dataclass(frozen=True, slots=True)
class Again:
    """Paths by which a run can be seen again, as they are typed in the project's folder."""

    notebook: str
    folder: str
    rubric: str


def report_html(
    report: GradeReport,
    figures: Sequence[Figure] = (),
    execution: Execution | None = None,
    again: Again | None = None,
) -> str:
    """One self-contained HTML page: points, reasons, measured numbers, pictures, remarks and conditions."""
    style, policy = page_style("page.css", "staff.css")
    return page_template("page.html.j2").render(
        r=report,
        figures=figures,
        style=style,
        policy=policy,
        summary=summary(report),
        late=late_sentence(report),
        reasons=reasons_for_person(report),
        warning=isolation_warning(report),
        isolation_note=isolation_note(report),
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
    )


def _code(line: str) -> str:
    """A line of a diff: its sign, its indentation, and what may be shown of the rest."""
    sign, rest = line[:1], line[1:]
    depth = len(rest) - len(rest.lstrip(" \t"))
    return plain(sign, 1) + " " * (min(depth, _DEEPEST) + (sign not in ("+", "-"))) + plain(rest, LONGEST["name"])


def _numbers(measured: Measured | Mapping[str, Any]) -> list[tuple[str, str]]:
    """Names and values as they are shown: four significant digits."""
    return [(plain(name, LONGEST["id"]), _number(value)) for name, value in list(measured.items())[:_MOST]]


def _measurements(check: CheckVerdict) -> Measured:
    """What was measured, and where the level stands between its two ends."""
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


def level_bar(level: Level) -> Markup:
    """An SVG of the scale: grey track, the stretch of partial credit, its two ends, and the value with its error.

    Nothing where a number is not finite. Colours come from the page's style.
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
    told = f"{level.name}: {level.value:.3g}; nothing at {level.zero_at:.3g}, full points at {level.full_at:.3g}"
    pieces = [
        Markup('<svg class="bar" viewBox="0 0 {} {}" role="img" aria-label="{}">').format(WIDTH, HEIGHT, told),
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
    """What each does, and the command as it is typed in the project's folder: seconds first, then a whole run."""
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
        ("Judge what this run answered again, under the rubric as it is now", regrade),
        ("Run the notebook again with the same questions", f'make {verb} SUBMISSION={name} OPTIONS="{options}"'),
    )


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
