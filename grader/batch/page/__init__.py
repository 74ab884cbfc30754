"""The page of a class, in one file: it loads nothing from elsewhere, escapes all text and can be read without scripts.

Sorting, searching and filtering need the page's own short script, which the page's policy allows by its digest.
"""

from __future__ import annotations

import math
import statistics
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from grader.batch.class_records import STATE_WORDS, GradebookRow, StudentState, counted
from grader.batch.gradebooks.entries import extent_of, out_of, sort_key
from grader.batch.progress import in_two_units
from grader.batch.similar import SMALL, SimilarPair, most_sharing
from grader.records import CheckVerdict, GradeReport, ItemVerdict, Outcome, Rubric
from grader.report.html_page import html_page
from grader.report.text import plain, points_text
from grader.report.totals import is_left_out, is_lost
from grader.report.words import reasons_for_person

_MOST_FAILED = 15
_MOST_ALIKE = 40
_MOST_LINES = 120  # shown of a student's code
NOT_ON_ROSTER = "not on the roster"
SET_BY_HAND = "points that were set by hand"
_LEAST_CLASS = 3  # graded submissions from which on a remark may be about the class instead of each submission
_SHARED = {  # kind of a remark that most submissions of a class may have -> its words
    "outputs_missing": "have no outputs in most of their code cells: they were saved without outputs, or never run."
}
_ATTENTION = {StudentState.LOOK, StudentState.FAILED, StudentState.REFUSED}

BINS = 20  # of the histogram


@dataclass(frozen=True, slots=True)
class Bar:
    """A bar of the histogram: submissions with points from `low` to below `high`; the last bar includes full points."""

    low: float
    high: float
    count: int


@dataclass(frozen=True, slots=True)
class FailedCheck:
    """A check that cost points, and how many submissions lost how much; `check` is empty for points set by hand."""

    item: str
    check: str
    title: str
    count: int
    share: float  # of the graded submissions
    mean_lost_milli: float  # of the submissions that lost something


def class_page(
    rows: Sequence[GradebookRow],
    rubric: Rubric,
    title: str,
    similar: Sequence[SimilarPair] = (),
    pictures: Mapping[str, bytes] | None = None,
    files: Mapping[str, bool] | None = None,
) -> str:
    """The page; `pictures` are WebP images drawn by each submission's models, by key.

    `files` are the gradebooks beside the page: name -> whether the file has the row of at least one student.
    """
    ordered = sorted(rows, key=sort_key)
    graded = [row for row in rows if row.report is not None]
    bars, strangers, shared = histogram(rows, rubric), _strangers(rows), shared_remarks(rows)
    compared = sum(row.submission is not None and row.state is not StudentState.REFUSED for row in rows)
    return html_page(
        "grader.batch.page/class.html.j2",
        ("grader.batch.page/class.css",),
        scripts=("grader.batch.page/class.js",),
        title=title,
        files=files or {},
        empty="no points yet" if any(row.student for row in rows) else "no roster",
        shared=[_shared_words(kind, count, len(graded)) for kind, count in shared.items()],
        sharing=most_sharing(compared),
        small=compared < SMALL,
        rows=ordered,
        items=rubric.items,
        max_milli=out_of(rows, rubric),
        partial=_partial(rows, rubric),
        parts=_parts(rubric),
        counts=[counted(state, count) for state, count in counts(rows)],
        spread=spread(rows),
        bars=bars,
        x_ticks=ticks(bars[-1].high),
        y_ticks=ticks(max(bar.count for bar in bars), whole=True),
        counted_are="submissions" if any(row.team for row in rows) else "students",
        failed=failed_most(rows)[:_MOST_FAILED],
        mixed=mixed(rows),
        attention=[row for row in ordered if row.state in _ATTENTION or row.key in strangers],
        strangers=strangers,
        similar=similar[:_MOST_ALIKE],
        names={row.key: _name(row) for row in rows},
        pictures=pictures or {},
        late=any(row.report.late and row.report.late.days for row in graded if row.report),
        seconds=[row.report.wall_s for row in graded if row.report],
        STATES=STATE_WORDS,
        NOT_ON_ROSTER=NOT_ON_ROSTER,
        in_two_units=in_two_units,
        flags=lambda row: _flags(row, strangers, shared),
        lost_checks=_lost_checks,
        mean=statistics.fmean,
        name=_name,
        numbered=_numbered,
        order=lambda row: " ".join(sort_key(row)[:2]),
        reasons=lambda row: _reasons(row, strangers),
        rounded=lambda milli: f"{milli / 1000:.1f}",
        short=lambda item_id: item_id.partition(".")[2].replace("_", " "),
    )


def _partial(rows: Sequence[GradebookRow], rubric: Rubric) -> str:
    """The warning that the class was not graded in full; empty if it was."""
    if not extent_of(rows):
        return ""
    graded, most = points_text(out_of(rows, rubric)), points_text(rubric.points_milli)
    return f"Not graded in full: points are out of {graded}, not {most}. A dash marks items that were not graded."


def _parts(rubric: Rubric) -> list[tuple[str, int]]:
    """Each part and its number of items, in the rubric's order."""
    counts_of_parts: dict[str, int] = {}
    for item in rubric.items:
        part = item.part
        counts_of_parts[part] = counts_of_parts.get(part, 0) + 1
    return list(counts_of_parts.items())


def _name(row: GradebookRow) -> str:
    return ", ".join(student.name or student.id for student in row.students) or row.key


def _strangers(rows: Sequence[GradebookRow]) -> frozenset[str]:
    """The keys of the submissions that belong to no student on the roster; empty for a class without a roster."""
    has_roster = any(row.student for row in rows)
    return frozenset(row.key for row in rows if has_roster and row.student is None)


def _reasons(row: GradebookRow, strangers: Collection[str]) -> tuple[str, ...]:
    """Why the row needs attention, most urgent first."""
    reasons = reasons_for_person(row.report) if row.report else ()
    stranger = f"{NOT_ON_ROSTER}, so only gradebook.csv has a row for it"
    return (
        *((row.reason,) if row.reason else ()),
        *((stranger,) if row.key in strangers else ()),
        *reasons,
    )


def _lost_checks(item: ItemVerdict) -> list[CheckVerdict]:
    return [check for check in item.checks if is_lost(check)]


def shared_remarks(rows: Sequence[GradebookRow]) -> dict[str, int]:
    """The kinds of `_SHARED` of which most graded submissions of a class have a remark, and the number of these."""
    graded = reports(rows)
    kinds = [{remark.kind for remark in report.remarks} for report in graded]
    count_of = {kind: sum(kind in of_report for of_report in kinds) for kind in _SHARED}
    return {kind: count for kind, count in count_of.items() if len(graded) >= _LEAST_CLASS and 2 * count > len(graded)}


def _shared_words(kind: str, count: int, graded: int) -> str:
    of_all = f"All {graded}" if count == graded else f"{count} of {graded}"
    return f"{of_all} graded submissions {_SHARED[kind]}"


def _flags(row: GradebookRow, strangers: Collection[str], shared: Collection[str]) -> str:
    """The filters of the page that show this row; remarks of the kinds `shared` are shown once for the whole class."""
    flags = ["look"] if row.state in _ATTENTION else []
    flags += ["look", "stranger"] if row.key in strangers else []
    if row.report is not None:
        checks = [check for item in row.report.items for check in item.checks]
        flags += ["borderline"] if any(check.borderline for check in checks) else []
        flags += ["override"] if any(item.override for item in row.report.items) else []
        flags += ["remark"] if any(remark.kind not in shared for remark in row.report.remarks) else []
    return " ".join(flags)


def _numbered(source: str, marked: frozenset[int]) -> list[tuple[str, bool]]:
    """The lines of a student's code as shown, each with whether the other student's code has it too."""
    lines = source.split("\n")[:_MOST_LINES]
    numbered = []
    for number, line in enumerate(lines):
        depth = len(line) - len(line.lstrip(" \t"))
        numbered.append((" " * min(depth, 40) + plain(line, 160), number in marked))
    return numbered


def reports(rows: Sequence[GradebookRow]) -> list[GradeReport]:
    """The reports of all graded submissions."""
    return [row.report for row in rows if row.report is not None]


def counts(rows: Sequence[GradebookRow]) -> list[tuple[StudentState, int]]:
    """The number of rows in each state, in the order of `StudentState`, without states that no row has."""
    count_of = Counter(row.state for row in rows)
    return [(state, count_of[state]) for state in StudentState if count_of[state]]


def spread(rows: Sequence[GradebookRow]) -> dict[str, float]:
    """Mean, quartiles, lowest and highest of the points in thousandths; empty if nothing was graded."""
    points = [report.points_milli for report in reports(rows)]
    if not points:
        return {}
    low, middle, high = statistics.quantiles(points, n=4, method="inclusive") if len(points) > 1 else points * 3
    quartiles = {"mean": statistics.fmean(points), "lower quartile": low, "median": middle, "upper quartile": high}
    return quartiles | {"lowest": min(points), "highest": max(points)}


def histogram(rows: Sequence[GradebookRow], rubric: Rubric) -> list[Bar]:
    """The number of submissions by points, in `BINS` bars of equal width from 0 to the maximum of what was graded."""
    most = out_of(rows, rubric)
    count_of_bar = Counter(min(BINS - 1, report.points_milli * BINS // most) for report in reports(rows))
    return [Bar(n * most / BINS / 1000, (n + 1) * most / BINS / 1000, count_of_bar[n]) for n in range(BINS)]


def ticks(most: float, *, whole: bool = False) -> list[float]:
    """Marks of an axis from 0 to at least `most`, five steps or fewer; with `whole`, integers only.

    >>> ticks(100), ticks(3, whole=True), ticks(41, whole=True)
    ([0, 20, 40, 60, 80, 100], [0, 1, 2, 3], [0, 10, 20, 30, 40, 50])
    """
    tenth = 10.0 ** math.floor(math.log10(max(most, 1e-3) / 5))
    steps = [factor * tenth for factor in (1, 2, 5, 10) if not whole or factor * tenth >= 1]
    step = next((step for step in steps if most / step <= 5.000001), 1.0)
    return [_exact(number * step) for number in range(max(1, math.ceil(most / step - 1e-6)) + 1)]


def _exact(number: float) -> float:
    rounded = round(number, 6)
    return int(rounded) if rounded == int(rounded) else rounded


def failed_most(rows: Sequence[GradebookRow]) -> list[FailedCheck]:
    """The checks that cost points, the most costly for the whole class first."""
    lost: dict[tuple[str, str], list[float]] = defaultdict(list)
    titles: dict[tuple[str, str], str] = {}
    graded = reports(rows)
    for report in graded:
        for item in report.items:
            for check, milli in _costs(item).items():
                lost[item.id, check].append(milli)
                titles[item.id, check] = next((c.title for c in item.checks if c.id == check), SET_BY_HAND)
    checks = [
        FailedCheck(item, check, titles[item, check], len(of), len(of) / len(graded), statistics.fmean(of))
        for (item, check), of in lost.items()
    ]
    return sorted(checks, key=lambda check: (-check.count * check.mean_lost_milli, check.item, check.check))


def _costs(item: ItemVerdict) -> dict[str, float]:
    """The thousandths that each failed check cost in the end; they add up to what the item lost.

    A check that was not graded because another one failed counts with that one. Points that were given back are taken
    off in proportion, since a report does not say for which check they were given. Points set by hand belong to no
    check; their loss is under the empty name.
    """
    if item.override is not None:
        lost = item.max_points_milli - item.points_milli
        return {"": lost} if lost > 0 else {}
    failed = [check for check in item.checks if check.outcome in {Outcome.FAILED, Outcome.PARTIAL}]
    costs: dict[str, float] = defaultdict(float)
    for check in failed:
        costs[check.id] += check.max_points_milli - check.points_milli
    for check in item.checks if item.outcome is not Outcome.NEEDS_REVIEW else ():
        if check.outcome is Outcome.SKIPPED and not is_left_out(check):
            cause = next((other for other in failed if check.message.endswith(other.title)), check)
            costs[cause.id] += check.max_points_milli
    left = 1 - item.gained_milli / max(1, sum(costs.values()))
    return {check: milli * left for check, milli in costs.items() if milli * left > 0}


def mixed(rows: Sequence[GradebookRow]) -> list[str]:
    """Warnings that the class was graded with several versions of the rubric or the grader."""
    warnings = []
    for name in ("rubric", "grader"):
        count_of = Counter(report.checksums.get(name, "")[:12] for report in reports(rows))
        if len(count_of) > 1:
            which = ", ".join(f"{checksum} ({count} submissions)" for checksum, count in count_of.most_common(4))
            warnings.append(
                f"These points come from {len(count_of)} versions of the {name}: {which}. Regrade the class."
            )
    return warnings
