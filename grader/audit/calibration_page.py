"""The calibration as a page: the result and one picture first, then the rule, each check's levels, and the tables.

The page is made from the tables in `docs/` alone, so that it can be drawn again without running a model.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from itertools import groupby

from grader.audit.calibration import ERRORS, LAST_RUNG, ModelScore, Threshold, faults, ladders
from grader.audit.calibration_tables import CLASSES, SIZES, Tables
from grader.exercise import Exercise, Reading
from grader.records import Rubric
from grader.report.text import points_text

MILD = 0.8  # a defective model that earns at least this share is named in the summary
_INTRO = (
    "A quality check measures a trained model and compares the number with two thresholds: no points up to",
    "`zero_at`, full points from `full_at`, and a share of the points in between. This page shows how well the",
    "thresholds separate correct models from defective ones, and how they were chosen.",
)
_OVERVIEW = (
    "![For each quality check, where correct and defective models lie between no points and full points]"
    "(calibration/overview.svg)",
    "",
    "Each strip is one check, each mark one trained model: correct models in the upper line, and in the lower line",
    "those defective ones that spoil this item's pictures. Better is to the right, and all checks are scaled to the",
    "same two thresholds; models beyond the edge are drawn at the edge. A defective model may lie far to the right in",
    "a check that does not measure its defect.",
)
_RULE = (
    "For each check, let H be the worst *ordinary* correct model and E the standard error between trainings.",
    "",
    f"- `full_at` is H - {ERRORS:g} E (H + {ERRORS:g} E where smaller is better), rounded to two digits in the",
    "  student's favour. Checks against tricks (copies, untrained models, samples from elsewhere) are more lenient.",
    "- `zero_at` and the points of each check were set by hand, so that each defect earns at most the share that its",
    "  entry in `corpus/models/` allows, with the blindly sorted strips and the ladders below in view.",
    "",
    "*Ordinary* models have the right components, the given constants, and both terms of the loss in the proportion",
    "that the notebook asks for; they were named before they were trained. *Weak* models are correct but poor designs,",
    "also named in advance, and may lose points. E is the pooled standard deviation over the seeds of the ordinary",
    "models that were trained with several seeds.",
)
_LEVELS = (
    "Open a check to see what its thresholds mean: pictures of the models that lie nearest to no points, half of the",
    "points and full points, beside the reference. They are always the first pictures of a model; none is chosen.",
)
_LADDERS = (
    "A ladder is one defect in growing severity. The table shows the share of the points for pictures that each rung",
    "earns in the items that the defect spoils, before follow-through; points lost for the code come on top. A worse",
    f"rung must not earn more than a milder one, and the last rung earns at most {100 * LAST_RUNG:.0f} %.",
)
_BLIND = (
    "Two viewers who had no part in setting the thresholds sorted the strips of all models independently, shuffled and",
    "without names or numbers, into *no* (not what was asked for), *acceptable* and *good*. The table counts strips",
    "that both sorted into the same class. A strip may be sorted as *no* for another reason than the check's (noise is",
    "sharp), and an accepted strip may earn nothing in one check: `deep_and_narrow`, a weak design, explains 0.37 of",
    "the variance. `python -m grader calibrate --to-sort DIR` writes the sheets; the sorting is in",
    "`calibration_sorted.csv`.",
)
_READER = (
    "The checks read digits with one convolutional network, the judge. A second reader of another kind, without",
    "convolutions and trained on the original digits only, read the same samples. Where the two disagree, a picture is",
    "hard to read: shares of recognised digits are not known more precisely than that.",
)


@dataclass(frozen=True)
class PageContent:
    """Everything that the page shows; `words` says what a level of a check means, by check."""

    tables: Tables
    rubric: Rubric
    exercise: Exercise
    words: Mapping[str, str]


def page(content: PageContent) -> str:
    """The page as Markdown; its pictures lie in `calibration/` beside it."""
    tables = content.tables
    lines = ["# Calibration of the quality checks", "", *_INTRO, "", *_summary(tables), *_OVERVIEW, ""]
    lines += ["## The rule", "", *_RULE, "", "## The checks", "", *_LEVELS, "", *_levels(content)]
    lines += ["## Ladders", "", *_LADDERS, "", *_ladders(tables.models)]
    lines += ["## Sorted blind", "", *_BLIND, "", *_blind(tables)]
    if tables.readings:
        lines += ["## How reliably digits are read", "", *_READER, ""]
        lines += _folded("Both readers, per model and digit", _readings(tables.readings))
    lines += ["## Tables", "", *_made(tables.made), *_folded("All thresholds, with their errors", _table(tables.rows))]
    lines += _folded(f"All {len(tables.models)} trained models", _models(tables.models))
    return "\n".join([*lines, ""])


def _summary(tables: Tables) -> Iterator[str]:
    models, rows, troubles = tables.models, tables.rows, faults(tables.rows, tables.models)
    ordinary = [score for score in models if score.group == "ordinary"]
    full = sum(score.points_milli == score.max_milli for score in ordinary)
    wide = sum(not row.margin.fault for row in rows)
    weak = [score for score in models if score.group == "weak"]
    defective = [score for score in models if score.group == "defective"]
    allowed = sum(score.share <= score.most for score in defective)
    first = sum(score.group == "first" for score in models)
    yield f"**What was tried.** {len(rows)} checks, measured on {len(models)} trained models of known quality:"
    yield f"{len(ordinary)} ordinary correct ones, {len(weak)} weak but correct ones, {first} with the constants of the"
    yield from (f"first notebook, and {len(defective)} defective ones.", "", "**Result.**", "")
    yield f"- {full} of {len(ordinary)} ordinary correct models earn full points in every check."
    yield f"- {wide} of {len(rows)} thresholds leave at least {ERRORS:g} standard errors to the worst of these models."
    yield f"- {allowed} of {len(defective)} defective models earn at most the share that their defect allows."
    if losing := [score for score in weak if score.points_milli < score.max_milli]:
        yield f"- Weak designs that lose points, with the share that they keep: {_shares(losing)}."
    mild = [score for score in defective if score.share >= MILD and not score.training]
    if slight := [score for score in mild if score.ladder]:
        yield f"- Slight defects that keep at least {_percent(MILD)}, as intended: {_shares(slight)}."
    yield from ("", "**What needs attention.**", "")
    yield from (f"- {trouble}." for trouble in troubles)
    if hidden := [score for score in mild if not score.ladder]:
        yield f"- Pictures do not show these defects, so checks of the code must find them: {_shares(hidden)}."
    elif not troubles:
        yield "- Nothing."
    yield ""


def _shares(scores: Sequence[ModelScore]) -> str:
    return ", ".join(f"{_plain(score.name)} ({_percent(score.share)})" for score in scores)


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def _levels(content: PageContent) -> Iterator[str]:
    """A table of the checks of each item; below it, each check in words and pictures."""
    titles = {item.id: item.title for item in content.rubric.items}
    points = {(item.id, spec.check): spec.points_milli for item in content.rubric.items for spec in item.checks}
    for item, of_item in groupby(content.tables.rows, key=lambda row: row.item):
        rows = list(of_item)
        yield from (f"### {titles[item]} (`{item}`)", "")
        yield "| check | points | no points at | full points from |"
        yield "| --- | ---: | ---: | ---: |"
        for row in rows:
            worth = points_text(points[item, row.check])
            yield f"| {_plain(row.check)} | {worth} | {row.zero_at:g} | {row.full_at:g} |"
        yield ""
        for row in rows:
            yield from _level(content, row, points[item, row.check])


def _level(content: PageContent, row: Threshold, points_milli: int) -> Iterator[str]:
    words, name = content.words[row.check], f"{row.item}.{row.check}"
    full, zero = (words.format(value=end, percent=100 * end) for end in (row.full_at, row.zero_at))
    title = f"{content.exercise.checks[row.check].title.rstrip('.')} ({points_text(points_milli)} points)"
    lines = (
        f"Full points: {full}. No points: {zero}.",
        "",
        f"![Pictures of models near no points, half of the points and full points, and of the reference: {name}]"
        f"(calibration/{name}.strips.png)",
        "",
        f"![Where each model lies: {name}](calibration/{name}.svg)",
        "",
    )
    yield from _folded(title, lines)


def _folded(title: str, lines: Iterator[str] | Sequence[str]) -> Iterator[str]:
    yield from ("<details>", f"<summary>{escape(title, quote=False)}</summary>", "", *lines, "</details>", "")


def _ladders(models: Sequence[ModelScore]) -> Iterator[str]:
    yield from ("| ladder | share of the points per rung, from mild to severe |", "| --- | --- |")
    for ladder, rungs in ladders(models).items():
        yield f"| {ladder} | {', '.join(f'{_plain(rung.model)} {_percent(rung.share)}' for rung in rungs)} |"
    yield ""


def _blind(tables: Tables) -> Iterator[str]:
    ratings = tables.ratings
    if not ratings:
        yield from ("The strips of these models have not been sorted yet.", "")
        return
    same = sum(rating.first == rating.second for rating in ratings)
    apart = sum({rating.first, rating.second} == {"no", "good"} for rating in ratings)
    yield f"Both viewers chose the same class for {same} of {len(ratings)} strips; {apart} were *no* for one and *good*"
    yield from ("for the other.", "", *_folded("The sorted strips per check", _classes(tables)))


def _classes(tables: Tables) -> Iterator[str]:
    yield "| check | best *no* | *acceptable*, worst to best | worst *good* | thresholds: no points, full points |"
    yield "| --- | ---: | --- | ---: | --- |"
    chosen = {(rating.item, rating.model): rating.first for rating in tables.ratings if rating.first == rating.second}
    for row in tables.rows:
        sign = 1 if row.full_at > row.zero_at else -1
        here = [m for m in tables.measurements if (m.item, m.check) == (row.item, row.check) and not m.training]
        ranked = sorted((m for m in here if math.isfinite(m.value)), key=lambda m: sign * m.value)
        no, acceptable, good = ([m.value for m in ranked if chosen.get((m.item, m.model)) == name] for name in CLASSES)
        cells = [
            f"{no[-1]:.3g}" if no else "",
            f"{acceptable[0]:.3g} to {acceptable[-1]:.3g}" if acceptable else "",
            f"{good[0]:.3g}" if good else "",
        ]
        yield f"| {row.item}: {_plain(row.check)} | {' | '.join(cells)} | {row.zero_at:g}, {row.full_at:g} |"
    yield ""


def _readings(readings: Sequence[Reading]) -> Iterator[str]:
    digits = range(10)
    yield f"| samples of | both read the same digit | {' | '.join(map(str, digits))} |"
    yield "| --- | ---: |" + " ---: |" * 10
    for reading in readings:
        read = " | ".join(f"{100 * reading.read[d]:.0f} ({100 * reading.agreed[d]:.0f})" for d in digits)
        yield f"| {_plain(reading.name)} | {_percent(reading.agreement)} | {read} |"
    yield from (
        "",
        "Under each digit: the percentage of samples that the judge reads as this digit; in brackets, the percentage",
        "of these that the second reader reads as the same digit.",
        "",
    )


def _made(made: Mapping[str, str]) -> Iterator[str]:
    sizes = ", ".join(f"{made[name]} {name.replace('_', ' ')}" for name in SIZES if name in made)
    tools = ", ".join(f"{name} {version}" for name, version in made.items() if name not in SIZES)
    yield from (
        f"`make calibrate` measured these models with {sizes} each ({tools}).",
        "`python -m grader calibrate --redraw` makes this page again from the tables beside it: `calibration.csv`",
        "(thresholds), `calibration_models.csv` (every value), `calibration_first.csv` (thresholds from the constants",
        "of the first notebook), `calibration_read.csv`, `calibration_sorted.csv` and `calibration_made.csv`.",
        "",
    )


def _table(rows: Sequence[Threshold]) -> Iterator[str]:
    yield from (
        "| check | worst ordinary model | median | error of draws | E | `full_at` by the rule | `zero_at`, `full_at` |",
        "| --- | --- | ---: | ---: | ---: | ---: | --- |",
    )
    for row in rows:
        worst = f"{row.worst:.3g} {_plain(row.worst_model)}"
        yield (
            f"| {row.item}: {_plain(row.check)} | {worst} | {row.median:.3g} | {row.draw_error:.2g} "
            f"| {row.total_error:.2g} | {row.full_by_rule:g} | {row.zero_at:g}, {row.full_at:g} |"
        )
    yield ""


def _models(models: Sequence[ModelScore]) -> Iterator[str]:
    yield from (
        "Correct models count in every item that they were trained for, defective ones in the items whose pictures the",
        "defect spoils.",
        "",
        "| model | group | points for pictures | share |",
        "| --- | --- | ---: | ---: |",
    )
    for model in models:
        points = f"{points_text(model.points_milli)} of {points_text(model.max_milli)}"
        yield f"| {_plain(model.name)} | {model.group} | {points} | {_percent(model.share)} |"
    yield ""


def _plain(name: str) -> str:
    return name.replace("_", " ")
