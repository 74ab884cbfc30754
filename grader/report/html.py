"""The report as one page for staff: no script, nothing loaded from elsewhere, nothing believed.

Every string passes `plain` and then the template's own escaping;
what slipped through would meet the page's policy.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment, StrictUndefined, Template
from markupsafe import Markup

from grader.records import CheckVerdict, Figure, GradeReport, Measured
from grader.report.plain import plain
from grader.report.points import of_points, points_text
from grader.report.words import (
    LONGEST,
    OUTCOME_MARKS,
    OUTCOME_WORDS,
    STATUS_WORDS,
    follow_notes,
    is_lost,
    isolation_warning,
    reasons_for_person,
    summary,
    undecided_milli,
)

_POLICY = "default-src 'none'; img-src data:; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
_MOST = 100  # remarks, events or measured numbers shown; all of them are in report.json
_MOST_ROWS = 32  # of a comparison or a diff
_MOST_SHOWN = 12  # remarks with their comparison or diff; the others are in report.json
_DEEPEST = 40  # spaces of indentation
_MOST_REASONS = 8  # in the banner, which only points at what stands below


def report_html(report: GradeReport, figures: Sequence[Figure] = ()) -> str:
    """One self-contained HTML page: points, reasons, measured numbers, pictures, remarks and conditions."""
    style = _file("page.css")
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return _template().render(
        r=report,
        figures=figures,
        style=Markup(style),  # ours, from beside this file
        policy=_POLICY.format(digest=digest),
        summary=summary(report),
        reasons=reasons_for_person(report),
        warning=isolation_warning(report),
        most_rows=_MOST_ROWS,
        most_shown=_MOST_SHOWN,
        most=_MOST,
        most_reasons=_MOST_REASONS,
    )


@cache
def _template() -> Template:
    environment = Environment(
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {
        "capitalized": lambda text: text[:1].upper() + text[1:],
        "code": _code,
        "data_uri": _data_uri,
        "measurements": _measurements,
        "numbers": _numbers,
        "plain": _plain,
        "points": points_text,
        "seconds": _seconds,
    }
    environment.globals |= {
        "LONGEST": LONGEST,
        "MARKS": OUTCOME_MARKS,
        "STATUS": STATUS_WORDS,
        "WORDS": OUTCOME_WORDS,
        "follow_notes": follow_notes,
        "is_lost": is_lost,
        "of_points": of_points,
        "undecided": undecided_milli,
    }
    return environment.from_string(_file("page.html.j2"))


def _file(name: str) -> str:
    return files("grader.report").joinpath(name).read_text(encoding="utf-8")


def _plain(text: str, kind: str = "message") -> str:
    return plain(text, LONGEST[kind])


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


def _seconds(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s"


def _data_uri(png: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(png).decode()
