"""The report as one page for staff: no script, nothing loaded from elsewhere, nothing believed.

Students read `feedback.html`; this page adds what was measured, how the run went, and how to see it again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from grader.records import CheckVerdict, Execution, Figure, GradeReport, Measured
from grader.report.bars import level_bar
from grader.report.page_environment import page_style, page_template
from grader.report.plain import plain
from grader.report.reproduce import commands
from grader.report.words import LONGEST, isolation_warning, reasons_for_person, summary

_MOST = 100  # remarks, events or measured numbers shown; all of them are in report.json
_MOST_ROWS = 32  # of a comparison or a diff
_MOST_SHOWN = 12  # remarks with their comparison or diff; the others are in report.json
_MOST_LOG = 60  # lines
_DEEPEST = 40  # spaces of indentation
_MOST_REASONS = 8  # in the banner, which only points at what stands below


def report_html(report: GradeReport, figures: Sequence[Figure] = (), execution: Execution | None = None) -> str:
    """One self-contained HTML page: points, reasons, measured numbers, pictures, remarks and conditions."""
    style, policy = page_style("page.css", "staff.css")
    return page_template("page.html.j2").render(
        r=report,
        figures=figures,
        style=style,
        policy=policy,
        summary=summary(report),
        reasons=reasons_for_person(report),
        warning=isolation_warning(report),
        execution=execution,
        commands=commands(report),
        bar=level_bar,
        code=_code,
        log_lines=_log_lines,
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


def _log_lines(log: str) -> list[str]:
    """The last lines of what was written to the box's log, each as one safe line."""
    return [plain(line, LONGEST["title"]) for line in log.splitlines()[-_MOST_LOG:]]
