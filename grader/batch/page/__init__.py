"""One self-contained page of a class: nothing is loaded from elsewhere, every word is escaped, no script is needed.

Sorting, searching and filtering are the page's own few lines of script, which the page's policy knows by their digest.
"""

from __future__ import annotations

import statistics
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from grader.batch.class_records import GradebookRow, StudentState
from grader.batch.gradebooks.entries import extent_of, out_of
from grader.batch.progress import clock
from grader.batch.similar import SimilarPair
from grader.records import CheckVerdict, GradeReport, ItemVerdict, Outcome, Rubric
from grader.report.html_page import html_page
from grader.report.text import plain, points_text
from grader.report.totals import is_lost
from grader.report.words import reasons_for_person

_MOST_FAILED = 15
_MOST_ALIKE = 40
_MOST_LINES = 120  # of a region that is shown
STATE_WORDS: Mapping[StudentState, str] = {
    StudentState.GRADED: "graded",
    StudentState.LOOK: "needs a look",
    StudentState.REFUSED: "not gradable",
    StudentState.FAILED: "failed",
    StudentState.WAITING: "waiting",
    StudentState.MISSING: "nothing handed in",
}

COUNTED: Mapping[StudentState, str] = {
    **STATE_WORDS,
    StudentState.LOOK: "to look at",
    StudentState.MISSING: "who handed in nothing",
}

BINS = 20  # of the histogram


@dataclass(frozen=True, slots=True)
class Bar:
    """A bar of the histogram: submissions with points from `low` to below `high`; the last holds full points too."""

    low: float
    high: float
    count: int


@dataclass(frozen=True, slots=True)
class FailedCheck:
    """A check that cost points, and how much of the class."""

    item: str
    check: str
    title: str
    count: int
    share: float  # of the graded submissions
    mean_lost_milli: float  # of those that lost something


def class_page(
    rows: Sequence[GradebookRow],
    rubric: Rubric,
    title: str,
    similar: Sequence[SimilarPair] = (),
    pictures: Mapping[str, bytes] | None = None,
) -> str:
    """The page; `pictures` are WebP images of what each submission's models draw, by key."""
    ordered = sorted(rows, key=lambda row: (_name(row).casefold(), row.key))
    graded = [row for row in rows if row.report is not None]
    return html_page(
        "grader.batch.page/class.html.j2",
        ("grader.batch.page/class.css",),
        script="grader.batch.page/class.js",
        title=title,
        rows=ordered,
        items=rubric.items,
        max_milli=out_of(rows, rubric),
        partial=_partial(rows, rubric),
        parts=_parts(rubric),
        counts=counts(rows),
        spread=spread(rows),
        bars=histogram(rows, rubric),
        failed=failed_most(rows)[:_MOST_FAILED],
        mixed=mixed(rows),
        looks=[row for row in ordered if row.state in {StudentState.LOOK, StudentState.FAILED, StudentState.REFUSED}],
        similar=similar[:_MOST_ALIKE],
        names={row.key: _name(row) for row in rows},
        pictures=pictures or {},
        late=any(row.report.late and row.report.late.days for row in graded if row.report),
        seconds=[row.report.wall_s for row in graded if row.report],
        STATES=STATE_WORDS,
        COUNTED=COUNTED,
        clock=clock,
        flags=_flags,
        lost_checks=_lost_checks,
        mean=statistics.fmean,
        name=_name,
        numbered=_numbered,
        reasons=_reasons,
        rounded=lambda milli: f"{milli / 1000:.1f}",
        short=lambda item_id: item_id.partition(".")[2].replace("_", " "),
    )


def _partial(rows: Sequence[GradebookRow], rubric: Rubric) -> str:
    """What a reader must know of a class that was not graded in full; empty where it was."""
    if not extent_of(rows):
        return ""
    judged, most = points_text(out_of(rows, rubric)), points_text(rubric.points_milli)
    return f"Not graded in full: points are out of {judged}, not {most}. A dash marks what was not judged."


def _parts(rubric: Rubric) -> list[tuple[str, int]]:
    """Each part with how many items it has, in order."""
    counts_of_parts: dict[str, int] = {}
    for item in rubric.items:
        part = item.id.partition(".")[0]
        counts_of_parts[part] = counts_of_parts.get(part, 0) + 1
    return list(counts_of_parts.items())


def _name(row: GradebookRow) -> str:
    return ", ".join(student.name or student.id for student in row.students) or row.key


def _reasons(row: GradebookRow) -> tuple[str, ...]:
    """Why a person has to look."""
    reasons = reasons_for_person(row.report) if row.report else ()
    return ((row.reason,) if row.reason else ()) + reasons


def _lost_checks(item: ItemVerdict) -> list[CheckVerdict]:
    return [check for check in item.checks if is_lost(check)]


def _flags(row: GradebookRow) -> str:
    """What the page can be filtered by."""
    flags = ["look"] if row.state in {StudentState.LOOK, StudentState.FAILED, StudentState.REFUSED} else []
    if row.report is not None:
        checks = [check for item in row.report.items for check in item.checks]
        flags += ["borderline"] if any(check.borderline for check in checks) else []
        flags += ["override"] if any(item.override for item in row.report.items) else []
        flags += ["remark"] if row.report.remarks else []
    return " ".join(flags)


def _numbered(source: str, marked: frozenset[int]) -> list[tuple[str, bool]]:
    """The lines of a region as they may be shown, and whether the other one has them too."""
    lines = source.split("\n")[:_MOST_LINES]
    numbered = []
    for number, line in enumerate(lines):
        depth = len(line) - len(line.lstrip(" \t"))
        numbered.append((" " * min(depth, 40) + plain(line, 160), number in marked))
    return numbered


def reports(rows: Sequence[GradebookRow]) -> list[GradeReport]:
    """The reports there are."""
    return [row.report for row in rows if row.report is not None]


def counts(rows: Sequence[GradebookRow]) -> list[tuple[StudentState, int]]:
    """How many stand where, in the order of `StudentState`; states that nobody has are left out."""
    count_of = Counter(row.state for row in rows)
    return [(state, count_of[state]) for state in StudentState if count_of[state]]


def spread(rows: Sequence[GradebookRow]) -> dict[str, float]:
    """Mean, quartiles and ends of the points in thousandths; empty where nothing was graded."""
    points = [report.points_milli for report in reports(rows)]
    if not points:
        return {}
    low, middle, high = statistics.quantiles(points, n=4, method="inclusive") if len(points) > 1 else points * 3
    quartiles = {"mean": statistics.fmean(points), "lower quartile": low, "median": middle, "upper quartile": high}
    return quartiles | {"lowest": min(points), "highest": max(points)}


def histogram(rows: Sequence[GradebookRow], rubric: Rubric) -> list[Bar]:
    """How many submissions have how many points, in bars of equal width from none to all that were judged."""
    most = out_of(rows, rubric)
    count_of_bar = Counter(min(BINS - 1, report.points_milli * BINS // most) for report in reports(rows))
    return [Bar(n * most / BINS / 1000, (n + 1) * most / BINS / 1000, count_of_bar[n]) for n in range(BINS)]


def failed_most(rows: Sequence[GradebookRow]) -> list[FailedCheck]:
    """The checks that cost points, those that cost the class most first."""
    lost: dict[tuple[str, str], list[int]] = defaultdict(list)
    titles: dict[tuple[str, str], str] = {}
    graded = reports(rows)
    for report in graded:
        for item in report.items:
            for check in item.checks:
                missing = check.max_points_milli - check.points_milli
                if missing and check.outcome in {Outcome.FAILED, Outcome.PARTIAL}:
                    lost[item.id, check.id].append(missing)
                    titles[item.id, check.id] = check.title
    checks = [
        FailedCheck(item, check, titles[item, check], len(of), len(of) / len(graded), statistics.fmean(of))
        for (item, check), of in lost.items()
    ]
    return sorted(checks, key=lambda check: (-check.count * check.mean_lost_milli, check.item, check.check))


def mixed(rows: Sequence[GradebookRow]) -> list[str]:
    """What should be one for the whole class and is not, a sentence each."""
    warnings = []
    for name in ("rubric", "grader"):
        count_of = Counter(report.checksums.get(name, "")[:12] for report in reports(rows))
        if len(count_of) > 1:
            which = ", ".join(f"{checksum} ({count})" for checksum, count in count_of.most_common(4))
            warnings.append(
                f"{len(count_of)} states of the {name} stand behind these points: {which}; regrade the class."
            )
    return warnings
