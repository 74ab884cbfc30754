"""The numbers that the class page shows: how points spread, what failed most, how long it took."""

from __future__ import annotations

import statistics
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from grader.batch.gradebooks.entries import out_of
from grader.batch.records import Row, State
from grader.records import GradeReport, Outcome, Rubric

BINS = 20


@dataclass(frozen=True, slots=True)
class Bar:
    """A bar of the histogram: submissions with points from `low` to below `high`; the last holds full points too."""

    low: float
    high: float
    count: int


@dataclass(frozen=True, slots=True)
class Failed:
    """A check that cost points, and how much of the class."""

    item: str
    check: str
    title: str
    count: int
    share: float  # of the graded submissions
    mean_lost_milli: float  # of those that lost something


def reports(rows: Sequence[Row]) -> list[GradeReport]:
    """The reports there are."""
    return [row.report for row in rows if row.report is not None]


def counts(rows: Sequence[Row]) -> list[tuple[State, int]]:
    """How many stand where, in the order of `State`; states that nobody has are left out."""
    found = Counter(row.state for row in rows)
    return [(state, found[state]) for state in State if found[state]]


def spread(rows: Sequence[Row]) -> dict[str, float]:
    """Mean, quartiles and ends of the points in thousandths; empty where nothing was graded."""
    points = [report.points_milli for report in reports(rows)]
    if not points:
        return {}
    low, middle, high = statistics.quantiles(points, n=4, method="inclusive") if len(points) > 1 else points * 3
    made = {"mean": statistics.fmean(points), "lower quartile": low, "median": middle, "upper quartile": high}
    return made | {"lowest": min(points), "highest": max(points)}


def histogram(rows: Sequence[Row], rubric: Rubric) -> list[Bar]:
    """How many submissions have how many points, in bars of equal width from none to all that were judged."""
    most = out_of(rows, rubric)
    found = Counter(min(BINS - 1, report.points_milli * BINS // most) for report in reports(rows))
    return [Bar(n * most / BINS / 1000, (n + 1) * most / BINS / 1000, found[n]) for n in range(BINS)]


def failed_most(rows: Sequence[Row]) -> list[Failed]:
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
    found = [
        Failed(item, check, titles[item, check], len(of), len(of) / len(graded), statistics.fmean(of))
        for (item, check), of in lost.items()
    ]
    return sorted(found, key=lambda one: (-one.count * one.mean_lost_milli, one.item, one.check))


def mixed(rows: Sequence[Row]) -> list[str]:
    """What should be one for the whole class and is not, a sentence each."""
    told = []
    for name in ("rubric", "grader"):
        found = Counter(report.checksums.get(name, "")[:12] for report in reports(rows))
        if len(found) > 1:
            which = ", ".join(f"{checksum} ({count})" for checksum, count in found.most_common(4))
            told.append(f"{len(found)} states of the {name} stand behind these points: {which}; regrade the class.")
    return told
