"""The calibration as a page: the result, one table and one picture first, then the rule, pictures, and the tables.

The page is made from the tables in `docs/` alone, so that it can be drawn again without running a model.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from itertools import groupby

from grader.audit.calibration import (
    ERRORS,
    LAST_RUNG,
    SPREAD,
    ModelMeasurement,
    ModelScore,
    Threshold,
    faults,
    ladders,
)
from grader.audit.calibration_levels import ShownModel, amount, bound, bounds, caption, in_plain_words
from grader.audit.calibration_tables import CLASSES, SIZES, StripRating, Tables
from grader.checks import BORDERLINE
from grader.exercise import Exercise, Reading
from grader.records import Rubric
from grader.report.text import points_text

MILD = 0.8  # a defective model that earns at least this share is named in the summary
_INTRO = (
    "A quality check measures a trained model and compares the number with two thresholds: no points up to",
    "`zero_at`, full points from `full_at`, and a share of the points in between, rounded to `points_step`. Full",
    "points are given only from `full_at`, so a check that is worth a single step is all or nothing. A value within",
    f"{BORDERLINE:g} standard errors (of its own draws) of a threshold gets the better side. This page shows where",
    "correct and defective models lie between the thresholds, and how the thresholds were chosen.",
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
    "For each check, let H be the worst *ordinary* correct model and E the standard deviation between training seeds.",
    "",
    f"- `full_at` is H - {ERRORS:g} E (H + {ERRORS:g} E where smaller is better), rounded to two digits in the",
    "  student's favour. Checks against tricks (copies, untrained models, samples from elsewhere) are more lenient.",
    "- `zero_at` and the points of each check were set by hand, so that each defect earns at most the share that its",
    "  entry in `corpus/models/` allows, with the blindly sorted strips and the ladders below in view.",
    "",
    "*Ordinary* models have the right components, the given constants, and both terms of the loss in the proportion",
    "that the notebook asks for; they were named before they were trained. *Weak* models are correct but poor designs,",
    "also named in advance, and may lose points. E is pooled over the ordinary models that were trained with several",
    "seeds. All of them answered the same questions, so E does not include the draw of questions; the *error of draws*",
    "estimates it from the measurement itself.",
)
_CHECKS = (
    "*Worst correct* is the worst ordinary model. *Best defective that loses points* is the best of the models",
    "that spoil the item's pictures and lose points for their value in this check; defective models that get full",
    'points here are not in that column. "Earned 0" between the thresholds means that another check failed first, or',
    "that the check is worth a single step.",
)
_LEVELS = (
    "What the thresholds look like: for each check, pictures of the models nearest to no points, to half of the points",
    "and to full points, and of the reference. They are always the first pictures of a model; none is chosen. The",
    "captions in the pictures name a level and the value of the model; the list above each picture also says what the",
    "model earned, and where no model is near the level.",
)
_DIFFERENT = "differ"  # in the table of sorted strips
_LADDERS = (
    "A ladder is one defect in growing severity. The table shows the share of the points for pictures that each rung",
    "earns in the items that the defect spoils, before follow-through; points lost for the code come on top. A worse",
    f"rung must not earn more than a milder one, and the last rung earns at most {100 * LAST_RUNG:.0f} %.",
)
_BLIND = (
    "Two viewers sorted the strips independently, shuffled and without names or numbers, into *no* (not what was asked",
    "for), *acceptable* and *good*. `calibration_sorted.csv` holds both sortings, and does not record who the viewers",
    "were. A viewer sees a whole strip, so the table compares the class with all picture points of the item. A strip",
    "may look good and earn little: copies of training images look like digits. `python -m grader calibrate --to-sort",
    "DIR` writes the sheets.",
)
_READER = (
    "The checks read digits with one convolutional network, the classifier. A second reader of another kind, without",
    "convolutions and trained on the original digits only, read the same samples. Where the two disagree, a picture is",
    "hard to read: shares of recognised digits are not known more precisely than that.",
)


@dataclass(frozen=True)
class PageContent:
    """Everything that the page shows; `words` has the meaning of a level, by check."""

    tables: Tables
    rubric: Rubric
    exercise: Exercise
    words: Mapping[str, str]
    shown: Mapping[tuple[str, str], Sequence[ShownModel]] = field(default_factory=dict)  # by item and check
    spoils: Mapping[str, Sequence[str]] = field(default_factory=dict)  # model -> the items whose pictures it spoils


def page(content: PageContent) -> str:
    """The page as Markdown; its pictures are in `calibration/` beside it."""
    tables = content.tables
    lines = ["# Calibration of the quality checks", "", *_INTRO, "", *_summary(tables)]
    lines += ["## The checks", "", *_OVERVIEW, "", *_CHECKS, "", *_checks(content), ""]
    lines += ["## The rule", "", *_RULE, "", "## Pictures of the levels", "", *_LEVELS, "", *_levels(content)]
    lines += ["## Ladders", "", *_LADDERS, "", *_ladders(tables.models)]
    lines += ["## Sorted blind", "", *_BLIND, "", *_blind(tables)]
    if tables.readings:
        lines += ["## How reliably digits are read", "", *_READER, ""]
        lines += _folded("Both readers, per model and digit", _readings(tables.readings))
    lines += ["## Tables", "", *_conditions(tables.made)]
    lines += _folded("All thresholds, with their errors", _table(tables.rows))
    lines += _folded(f"All {len(tables.models)} trained models", _models(tables.models))
    return "\n".join([*lines, ""])


def _summary(tables: Tables) -> Iterator[str]:
    models, rows, troubles = tables.models, tables.rows, faults(tables.rows, tables.models)
    weak = [score for score in models if score.group == "weak"]
    ordinary = [score for score in models if score.group == "ordinary"]
    defective = [score for score in models if score.group == "defective"]
    first = sum(score.group == "first" for score in models)
    yield f"**What was tried.** {len(rows)} checks, measured on {len(models)} trained models of known quality:"
    yield f"{len(ordinary)} ordinary correct ones, {len(weak)} weak but correct ones, {first} with the constants of the"
    yield from (f"first notebook, and {len(defective)} defective ones.", "", "**Result.**", "")
    yield from _by_construction(rows, ordinary)
    yield from _limits(defective)
    if losing := [score for score in weak if score.points_milli < score.max_milli]:
        yield f"- Weak designs that lose points, with the share that they keep: {_shares(losing)}."
    mild = [score for score in defective if score.share >= MILD and not score.training]
    if slight := [score for score in mild if score.ladder]:
        yield f"- Milder variants of defects that keep at least {_percent(MILD)}, as intended: {_shares(slight)}."
    yield from ("", "**What needs attention.**", "")
    yield from (f"- {trouble}." for trouble in troubles)
    if hidden := [score for score in mild if not score.ladder]:
        yield f"- Pictures do not show these defects, so checks of the code must find them: {_shares(hidden)}."
    elif not troubles:
        yield "- Nothing."
    yield ""


def _by_construction(rows: Sequence[Threshold], ordinary: Sequence[ModelScore]) -> Iterator[str]:
    """The results that the rule itself ensures, which say nothing about other models."""
    designs = len({score.model for score in ordinary})
    full, wide = sum(score.points_milli == score.max_milli for score in ordinary), sum(not r.margin.fault for r in rows)
    if full == len(ordinary):
        whose = f"all {designs} ordinary correct designs ({full} trainings) earn"
    else:
        whose = f"only {full} of {len(ordinary)} trainings of the {designs} ordinary correct designs earn"
    leave = "every threshold leaves" if wide == len(rows) else f"only {wide} of {len(rows)} thresholds leave"
    yield f"- By construction, {whose} full points in every check, and"
    yield f"  {leave} at least {ERRORS:g} times the {SPREAD} to the worst of them:"
    yield "  thresholds follow the worst of these models. This does not show how other correct designs would fare."


def _limits(defective: Sequence[ModelScore]) -> Iterator[str]:
    """How many of the defective models with a stated limit keep it."""
    limited = [score for score in defective if score.most < 1]
    within, others = sum(score.share <= score.most for score in limited), len(defective) - len(limited)
    yield f"- {within} of {len(limited)} defective models with a stated limit earn at most that share of the points."
    yield f"  The other {others} have no limit of their own and are only shown; the ladders below compare some of them."


def _shares(scores: Sequence[ModelScore]) -> str:
    return ", ".join(f"{in_plain_words(score.name)} ({_percent(score.share)})" for score in scores)


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def _checks(content: PageContent) -> Iterator[str]:
    """One table of all checks: thresholds, the worst correct model, and the best defective one that loses points."""
    titles = {item.id: item.title for item in content.rubric.items}
    points = {(item.id, spec.check): spec.points_milli for item in content.rubric.items for spec in item.checks}
    yield "| check | points | full points | no points | worst correct | best defective that loses points |"
    yield "| --- | ---: | --- | --- | --- | --- |"
    for item, of_item in groupby(content.tables.rows, key=lambda row: row.item):
        yield f"| **{titles[item]}** (`{item}`) |  |  |  |  |  |"
        for row in of_item:
            words, (below, beyond) = content.words[row.check], bounds(row)
            worth, full = points_text(points[item, row.check]), bound(words, row.full_at, beyond)
            none, worst = f"{below} {amount(words, row.zero_at)}", f"{amount(words, row.worst)}"
            yield (
                f"| {_title(content, row)} | {worth} | {full} | {none} "
                f"| {worst} ({in_plain_words(row.worst_model)}) | {_best_defective(content, row)} |"
            )
    yield ""


def _title(content: PageContent, row: Threshold) -> str:
    return content.exercise.checks[row.check].title.rstrip(".")


def _best_defective(content: PageContent, row: Threshold) -> str:
    """The best of the models that spoil the item and lose points for their value in the check."""
    sign = 1 if row.full_at > row.zero_at else -1
    losing = [
        m
        for m in _of_check(content.tables, row)
        if m.group == "defective"
        and row.item in (content.spoils.get(m.model) or [row.item])
        and m.points_milli < m.max_milli
        and sign * m.value < sign * row.full_at  # not because of a check that this one presupposes
    ]
    if not losing:
        return "none"
    best = max(losing, key=lambda m: sign * m.value)
    value = amount(content.words[row.check], best.value)
    return f"{value} ({in_plain_words(best.name)}), earned {points_text(best.points_milli)}"


def _of_check(tables: Tables, row: Threshold) -> list[ModelMeasurement]:
    return [m for m in tables.measurements if (m.item, m.check) == (row.item, row.check) and math.isfinite(m.value)]


def _levels(content: PageContent) -> Iterator[str]:
    """The pictures of each item, folded; above each, what the models in it earned."""
    titles = {item.id: item.title for item in content.rubric.items}
    points = {(item.id, spec.check): spec.points_milli for item in content.rubric.items for spec in item.checks}
    for item, of_item in groupby(content.tables.rows, key=lambda row: row.item):
        lines = [line for row in of_item for line in _level(content, row, points[item, row.check])]
        yield from _folded(f"{titles[item]} ({item})", lines)


def _level(content: PageContent, row: Threshold, points_milli: int) -> Iterator[str]:
    name = f"{row.item}.{row.check}"
    worth = f"{points_text(points_milli)} {'point' if points_milli == 1000 else 'points'}"
    yield from (f"**{_title(content, row)}** ({worth})", "")
    yield from (
        f"- {caption(shown, content.words[row.check])}" for shown in content.shown.get((row.item, row.check), ())
    )
    yield from (
        "",
        f"![Pictures of models near no points, half of the points and full points, and of the reference: {name}]"
        f"(calibration/{name}.strips.png)",
        "",
        f"![Where each model lies: {name}](calibration/{name}.svg)",
        "",
    )


def _folded(title: str, lines: Iterator[str] | Sequence[str]) -> Iterator[str]:
    yield from ("<details>", f"<summary>{escape(title, quote=False)}</summary>", "", *lines, "</details>", "")


def _ladders(models: Sequence[ModelScore]) -> Iterator[str]:
    yield from ("| ladder | share of the points per rung, from mild to severe |", "| --- | --- |")
    for ladder, rungs in ladders(models).items():
        yield f"| {ladder} | {', '.join(f'{in_plain_words(rung.model)} {_percent(rung.share)}' for rung in rungs)} |"
    yield ""


def _blind(tables: Tables) -> Iterator[str]:
    ratings = tables.ratings
    if not ratings:
        yield from ("The strips of these models have not been sorted yet.", "")
        return
    same = sum(rating.first == rating.second for rating in ratings)
    apart = sum({rating.first, rating.second} == {"no", "good"} for rating in ratings)
    yield f"Both viewers chose the same class for {same} of {len(ratings)} strips; {apart} were *no* for one and *good*"
    yield from ("for the other.", "", *_classes(tables))


def _classes(tables: Tables) -> Iterator[str]:
    """The picture points of the sorted strips by class, and the models of each class, folded."""
    earned: dict[tuple[str, str], int] = {}
    for m in tables.measurements:
        if not m.training:
            earned[m.item, m.model] = earned.get((m.item, m.model), 0) + m.points_milli
    most = dict.fromkeys((row.item for row in tables.rows), 0)
    for (item, _), worth in {(m.item, m.check): m.max_milli for m in tables.measurements}.items():
        most[item] += worth
    groups = {
        (item, named_class): sorted(
            (earned.get((r.item, r.model), 0), r.model)
            for r in tables.ratings
            if r.item == item and _class_of(r) == named_class
        )
        for item in most
        for named_class in (*CLASSES, _DIFFERENT)
    }
    yield "| item | both viewers | strips | points earned | of |"
    yield "| --- | --- | ---: | ---: | ---: |"
    for (item, named_class), models in groups.items():
        if models:
            points = [points_text(milli) for milli, _ in models]
            ends = f"{points[0]} to {points[-1]}, median {points[len(points) // 2]}"
            ends = f"each {points[0]}" if points[0] == points[-1] else ends
            yield f"| `{item}` | {named_class} | {len(models)} | {ends} | {points_text(most[item])} |"
    lines = ["| item | both viewers | models, with their points |", "| --- | --- | --- |"]
    for (item, named_class), models in groups.items():
        named = ", ".join(f"{in_plain_words(name)} ({points_text(milli)})" for milli, name in models)
        lines += [f"| `{item}` | {named_class} | {named} |"] if models else []
    yield from ("", *_folded("Each sorted strip, with the points of its model", [*lines, ""]))


def _class_of(rating: StripRating) -> str:
    """The class that both viewers chose, or `_DIFFERENT`."""
    return rating.first if rating.first == rating.second else _DIFFERENT


def _readings(readings: Sequence[Reading]) -> Iterator[str]:
    digits = range(10)
    yield f"| samples of | both read the same digit | {' | '.join(map(str, digits))} |"
    yield "| --- | ---: |" + " ---: |" * 10
    for reading in readings:
        read = " | ".join(f"{100 * reading.read[d]:.0f} ({100 * reading.agreed[d]:.0f})" for d in digits)
        yield f"| {in_plain_words(reading.name)} | {_percent(reading.agreement)} | {read} |"
    yield from (
        "",
        "Under each digit: the percentage of samples that the classifier reads as this digit; in brackets, the",
        "percentage of these that the second reader reads as the same digit.",
        "",
    )


def _conditions(conditions: Mapping[str, str]) -> Iterator[str]:
    sizes = ", ".join(f"{conditions[name]} {name.replace('_', ' ')}" for name in SIZES if name in conditions)
    tools = ", ".join(f"{name} {version}" for name, version in conditions.items() if name not in SIZES)
    yield from (
        f"`make calibrate` measured these models with {sizes} each ({tools}).",
        "`python -m grader calibrate --redraw` makes this page again from the tables beside it: `calibration.csv`",
        "(thresholds), `calibration_models.csv` (every value), `calibration_first.csv` (thresholds from the constants",
        "of the first notebook), `calibration_read.csv`, `calibration_sorted.csv` and `calibration_made.csv`.",
        "",
    )


def _table(rows: Sequence[Threshold]) -> Iterator[str]:
    yield from (
        "E is the standard deviation between training seeds (same questions); the error of draws is the largest",
        "standard error that an ordinary model's measurement has over other questions and draws.",
        "",
        "| check | worst ordinary model | median | error of draws | E | `full_at` by the rule | `zero_at`, `full_at` |",
        "| --- | --- | ---: | ---: | ---: | ---: | --- |",
    )
    for row in rows:
        worst = f"{row.worst:.3g} {in_plain_words(row.worst_model)}"
        yield (
            f"| {row.item}: {in_plain_words(row.check)} | {worst} | {row.median:.3g} | {row.draw_error:.2g} "
            f"| {row.total_error:.2g} | {row.full_by_rule:g} | {row.zero_at:g}, {row.full_at:g} |"
        )
    yield ""


def _models(models: Sequence[ModelScore]) -> Iterator[str]:
    yield from (
        "Correct models count in every item that they were trained for, defective ones in the items whose pictures the",
        "defect spoils. *First* are models with the constants of the first notebook that was handed out.",
        "",
        "| model | group | points for pictures | share |",
        "| --- | --- | ---: | ---: |",
    )
    for model in models:
        points = f"{points_text(model.points_milli)} of {points_text(model.max_milli)}"
        yield f"| {in_plain_words(model.name)} | {model.group} | {points} | {_percent(model.share)} |"
    yield ""
