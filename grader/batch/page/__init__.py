"""One self-contained page of a class: nothing is loaded from elsewhere, every word is escaped, no script is needed.

Sorting, searching and filtering are the page's own few lines of script, which the page's policy knows by their digest.
"""

from __future__ import annotations

import base64
import hashlib
import statistics
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from jinja2 import Environment, StrictUndefined, Template
from markupsafe import Markup

from grader.batch.class_records import GradebookRow, StudentState
from grader.batch.gradebooks.entries import extent_of, out_of
from grader.batch.progress import clock
from grader.batch.similar import SimilarPair
from grader.records import CheckVerdict, GradeReport, ItemVerdict, Outcome, Rubric
from grader.report.text import of_points, plain, points_text
from grader.report.words import (
    LONGEST,
    OUTCOME_MARKS,
    OUTCOME_WORDS,
    follow_notes,
    is_judged,
    is_lost,
    item_points,
    judged_milli,
    judged_points,
    late_sentence,
    reasons_for_person,
    shown_outcome,
)

_POLICY = (
    "default-src 'none'; img-src data:; style-src 'sha256-{style}'; script-src 'sha256-{script}'; "
    "base-uri 'none'; form-action 'none'"
)
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
class Failed:
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
    style, script = _file("class.css"), _file("class.js")
    ordered = sorted(rows, key=lambda row: (_name(row).casefold(), row.key))
    graded = [row for row in rows if row.report is not None]
    return _template().render(
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
        style=Markup(style),  # ours, from beside this file
        script=Markup(script),
        policy=_POLICY.format(style=_digest(style), script=_digest(script)),
    )


def _partial(rows: Sequence[GradebookRow], rubric: Rubric) -> str:
    """What a reader must know of a class that was not graded in full; empty where it was."""
    if not extent_of(rows):
        return ""
    judged, most = points_text(out_of(rows, rubric)), points_text(rubric.points_milli)
    return f"Not graded in full: points are out of {judged}, not {most}. A dash marks what was not judged."


def _parts(rubric: Rubric) -> list[tuple[str, int]]:
    """Each part with how many items it has, in order."""
    found: dict[str, int] = {}
    for item in rubric.items:
        part = item.id.partition(".")[0]
        found[part] = found.get(part, 0) + 1
    return list(found.items())


def _digest(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


@cache
def _template() -> Template:
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True
    )
    environment.filters |= {
        "plain": _plain,
        "points": points_text,
        "rounded": lambda milli: f"{milli / 1000:.1f}",
        "webp": lambda data: "data:image/webp;base64," + base64.b64encode(data).decode(),
        "short": lambda identity: identity.partition(".")[2].replace("_", " "),
        "clock": clock,
    }
    environment.globals |= {
        "STATES": STATE_WORDS,
        "COUNTED": COUNTED,
        "MARKS": OUTCOME_MARKS,
        "WORDS": OUTCOME_WORDS,
        "LOST": _lost,
        "flags": _flags,
        "item_points": item_points,
        "judged": lambda item: judged_milli([item]),
        "is_judged": is_judged,
        "judged_points": judged_points,
        "late_sentence": late_sentence,
        "follow_notes": follow_notes,
        "mean": statistics.fmean,
        "name": _name,
        "numbered": _numbered,
        "of_points": of_points,
        "reasons": _reasons,
        "shown_outcome": shown_outcome,
    }
    return environment.from_string(_file("class.html.j2"))


def _file(name: str) -> str:
    return files("grader.batch.page").joinpath(name).read_text(encoding="utf-8")


def _plain(text: object, kind: str = "message") -> str:
    return plain(str(text), LONGEST[kind])


def _name(row: GradebookRow) -> str:
    return ", ".join(student.name or student.id for student in row.students) or row.key


def _reasons(row: GradebookRow) -> tuple[str, ...]:
    """Why a person has to look."""
    found = reasons_for_person(row.report) if row.report else ()
    return ((row.reason,) if row.reason else ()) + found


def _lost(item: ItemVerdict) -> list[CheckVerdict]:
    return [check for check in item.checks if is_lost(check)]


def _flags(row: GradebookRow) -> str:
    """What the page can be filtered by."""
    found = ["look"] if row.state in {StudentState.LOOK, StudentState.FAILED, StudentState.REFUSED} else []
    if row.report is not None:
        checks = [check for item in row.report.items for check in item.checks]
        found += ["borderline"] if any(check.borderline for check in checks) else []
        found += ["override"] if any(item.override for item in row.report.items) else []
        found += ["remark"] if row.report.remarks else []
    return " ".join(found)


def _numbered(source: str, marked: frozenset[int]) -> list[tuple[str, bool]]:
    """The lines of a region as they may be shown, and whether the other one has them too."""
    lines = source.split("\n")[:_MOST_LINES]
    made = []
    for number, line in enumerate(lines):
        depth = len(line) - len(line.lstrip(" \t"))
        made.append((" " * min(depth, 40) + plain(line, 160), number in marked))
    return made


def reports(rows: Sequence[GradebookRow]) -> list[GradeReport]:
    """The reports there are."""
    return [row.report for row in rows if row.report is not None]


def counts(rows: Sequence[GradebookRow]) -> list[tuple[StudentState, int]]:
    """How many stand where, in the order of `StudentState`; states that nobody has are left out."""
    found = Counter(row.state for row in rows)
    return [(state, found[state]) for state in StudentState if found[state]]


def spread(rows: Sequence[GradebookRow]) -> dict[str, float]:
    """Mean, quartiles and ends of the points in thousandths; empty where nothing was graded."""
    points = [report.points_milli for report in reports(rows)]
    if not points:
        return {}
    low, middle, high = statistics.quantiles(points, n=4, method="inclusive") if len(points) > 1 else points * 3
    made = {"mean": statistics.fmean(points), "lower quartile": low, "median": middle, "upper quartile": high}
    return made | {"lowest": min(points), "highest": max(points)}


def histogram(rows: Sequence[GradebookRow], rubric: Rubric) -> list[Bar]:
    """How many submissions have how many points, in bars of equal width from none to all that were judged."""
    most = out_of(rows, rubric)
    found = Counter(min(BINS - 1, report.points_milli * BINS // most) for report in reports(rows))
    return [Bar(n * most / BINS / 1000, (n + 1) * most / BINS / 1000, found[n]) for n in range(BINS)]


def failed_most(rows: Sequence[GradebookRow]) -> list[Failed]:
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


def mixed(rows: Sequence[GradebookRow]) -> list[str]:
    """What should be one for the whole class and is not, a sentence each."""
    told = []
    for name in ("rubric", "grader"):
        found = Counter(report.checksums.get(name, "")[:12] for report in reports(rows))
        if len(found) > 1:
            which = ", ".join(f"{checksum} ({count})" for checksum, count in found.most_common(4))
            told.append(f"{len(found)} states of the {name} stand behind these points: {which}; regrade the class.")
    return told
