"""The page that `make calibrate` writes: what thresholds look like first, then the rule, the ladders and the models."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from grader.audit.calibration import ModelMeasurement, ModelScore, Threshold, ladders
from grader.errors import GraderError
from grader.exercise import Exercise, Reading
from grader.records import Array, Rubric
from grader.report.text import points_text
from grader.store.versions import versions

SIZES = ("reconstructions", "samples", "prior_samples")
CLASSES = ("no", "acceptable", "good")  # what may be said of a strip
_INTRO = (
    "What a result must reach for all points of a quality check, and where it earns none: both are places on a",
    "scale that models of known quality were measured on. Below, each check shows what models look like that",
    "stand nearest to no points, to half of them and to all, beside the reference; always the first pictures of a",
    "model, none chosen.",
)
_RULE = (
    "In the direction in which a number gets better: all points are given up to two total standard errors before",
    "the worst *ordinary honest* model, whatever the seed of its training; checks that are there against tricks",
    "(copies, untrained models, samples from elsewhere) begin earlier. Ordinary was decided before these",
    "trainings: the right components, the given constants, both terms of the loss in the proportion that the",
    "notebook asks for. *Weak* designs, named as well, may lose some. The total standard error is what a result",
    "moves when the same code is trained once more with another seed: the pooled standard deviation over the",
    "seeds of the models that were trained with several. Where no points begin, and what each check is worth, was",
    "set by hand afterwards, with the sorted strips (*Judged blind*) and the ladders in view: each defect earns",
    "at most the share that `corpus/models/` says it deserves.",
)
_LADDERS = (
    "Each ladder holds one defect in growing severity, and what a model earns of the picture points of the items",
    "that the defect spoils, before follow-through; what its code loses comes on top. None may rise, and the last",
    "rung earns at most a fifth.",
)
_BLIND = (
    "The strips of all models with their first seed, shuffled and without names or numbers, were sorted twice,",
    "independently, by looking at them alone, by viewers who had no part in setting the thresholds: *no* (not",
    "what was asked for), *acceptable*, *good*. `python -m grader calibrate --to-sort DIR` writes the sheets;",
    "what was said of each strip is in `calibration_sorted.csv`. A strip counts in the table where both said the",
    "same. It may be refused for another reason than the one that a check looks at (noise is sharp), and a strip",
    "that was accepted may earn nothing in one check: `deep_and_narrow`, on the list of weak designs, explains",
    "0.37 of the variance.",
)
_READER = (
    "The judge is one convolutional network. A second reader of another kind, a network without convolutions that",
    "was trained on unmoved digits alone, read the same samples. Where the two disagree, a picture is hard to",
    "read; a share of requested digits is known no better than that.",
)
_DOTS = (  # group, its name, colour and form
    ("ordinary", "ordinary honest", "#1b7837", "o"),
    ("weak", "weak honest", "#5aae61", "D"),
    ("first", "constants handed out first", "#35618e", "P"),
    ("defective", "defective", "#b2182b", "X"),
)


@dataclass(frozen=True)
class StripRating:
    """What was said of one strip, each time that it was sorted."""

    item: str
    model: str
    first: str
    second: str


@dataclass(frozen=True)
class PageContent:
    """All that the page shows."""

    rows: Sequence[Threshold]
    measurements: Sequence[ModelMeasurement]
    models: Sequence[ModelScore]
    rubric: Rubric
    exercise: Exercise
    words: Mapping[str, str]
    ratings: Sequence[StripRating]
    readings: Sequence[Reading] = ()


def read_sorted(path: Path) -> list[StripRating]:
    """What was said of strips; nothing where nobody has sorted any.

    Raises:
        GraderError: where the table is not one.
    """
    if not path.exists():
        return []
    with path.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    try:
        ratings = [StripRating(row["item"], row["model"], row["first"], row["second"]) for row in rows]
    except KeyError as error:
        raise GraderError(f"{path}: expected a column {error}") from None
    for rating in ratings:
        if not {rating.first, rating.second} <= {*CLASSES}:
            raise GraderError(f"{path}: {rating.item}, {rating.model}: expected {', '.join(CLASSES)}")
    return ratings


def page(content: PageContent) -> str:
    """The page as Markdown; its pictures lie in `calibration/` beside it."""
    lines = ["# Calibration of the quality checks", "", *_INTRO, "", *_levels(content)]
    lines += ["## The rule", "", *_RULE, "", *_table(content.rows)]
    lines += ["## Ladders", "", *_LADDERS, "", *_ladders(content.models)]
    lines += ["## Judged blind", "", *_BLIND, "", *_blind(content)]
    if content.readings:
        lines += ["## How far the judge can be trusted", "", *_READER, "", *_readings(content.readings)]
    lines += ["## Every model", "", *_models(content)]
    lines += ["## Every model in every check", ""]
    lines += [f"![{row.item}: {row.check}](calibration/{row.item}.{row.check}.png)" for row in content.rows]
    return "\n".join([*lines, ""])


def _levels(content: PageContent) -> Iterator[str]:
    """For each check what no points, half of them and all look like, in words and pictures."""
    titles = {item.id: item.title for item in content.rubric.items}
    points = {(item.id, spec.check): spec.points_milli for item in content.rubric.items for spec in item.checks}
    item = ""
    for row in content.rows:
        if row.item != item:
            item = row.item
            yield from (f"## {titles[item]} (`{item}`)", "")
        words = content.words[row.check]
        full, zero = (words.format(value=end, percent=100 * end) for end in (row.full_at, row.zero_at))
        name = f"{row.item}.{row.check}"
        yield from (
            f"### {content.exercise.checks[row.check].title}",
            "",
            f"Points: {points_text(points[row.item, row.check])} (`{row.check}`). All of them: {full}. None: {zero}.",
            "",
            f"![Strips of models near no points, half of the points, all points, and the reference: {name}]"
            f"(calibration/{name}.strips.png)",
            "",
        )


def _table(rows: Sequence[Threshold]) -> Iterator[str]:
    yield from (
        "| check | worst ordinary | median | error of draws | total error | all points by rule | rubric: none, all |",
        "| --- | --- | ---: | ---: | ---: | ---: | --- |",
    )
    for row in rows:
        worst = f"{row.worst:.3g} {_plain(row.worst_model)}"
        yield (
            f"| {row.item}: {row.check} | {worst} | {row.median:.3g} | {row.draw_error:.2g} | {row.total_error:.2g} "
            f"| {row.full_by_rule:g} | {row.zero_at:g}, {row.full_at:g} |"
        )
    yield ""


def _ladders(models: Sequence[ModelScore]) -> Iterator[str]:
    yield from ("| ladder | what each rung earns |", "| --- | --- |")
    for ladder, rungs in ladders(models).items():
        shares = ", ".join(f"{_plain(rung.model)} {rung.share:.0%}" for rung in rungs)
        yield f"| {ladder} | {shares} |"
    yield ""


def _blind(content: PageContent) -> Iterator[str]:
    if not content.ratings:
        yield from ("Nobody has sorted these models yet.", "")
        return
    same = sum(rating.first == rating.second for rating in content.ratings)
    apart = sum({rating.first, rating.second} == {"no", "good"} for rating in content.ratings)
    yield f"Of {len(content.ratings)} strips {same} were sorted alike; {apart} were *no* once and *good* once."
    yield from (
        "",
        "| check | no: best | acceptable: worst to best | good: worst | rubric: none, all |",
        "| --- | ---: | --- | ---: | --- |",
    )
    said = {(rating.item, rating.model): rating.first for rating in content.ratings if rating.first == rating.second}
    for row in content.rows:
        sign = 1 if row.full_at > row.zero_at else -1
        here = [m for m in content.measurements if (m.item, m.check) == (row.item, row.check) and not m.training]
        ranked = sorted((m for m in here if math.isfinite(m.value)), key=lambda m: sign * m.value)
        no, acceptable, good = ([m.value for m in ranked if said.get((m.item, m.model)) == name] for name in CLASSES)
        cells = [
            f"{no[-1]:.3g}" if no else "",
            f"{acceptable[0]:.3g} to {acceptable[-1]:.3g}" if acceptable else "",
            f"{good[0]:.3g}" if good else "",
        ]
        yield f"| {row.item}: {row.check} | {' | '.join(cells)} | {row.zero_at:g}, {row.full_at:g} |"
    yield ""


def _readings(readings: Sequence[Reading]) -> Iterator[str]:
    digits = range(10)
    yield f"| samples of | both read the same | judge reads, of 100: {' | '.join(map(str, digits))} |"
    yield "| --- | ---: |" + " ---: |" * 10
    for reading in readings:
        read = " | ".join(f"{100 * reading.read[d]:.0f} ({100 * reading.agreed[d]:.0f})" for d in digits)
        yield f"| {_plain(reading.name)} | {100 * reading.agreement:.0f} of 100 | {read} |"
    yield from (
        "",
        "In brackets: of 100 samples that the judge reads so, how many the second reader reads so, too.",
        "",
    )


def _models(content: PageContent) -> Iterator[str]:
    sizes = ", ".join(f"{count} {name}" for name, count in content.rubric.sizes.items() if name in SIZES)
    tools = ", ".join(f"{name} {number}" for name, number in versions().items())
    yield from (
        f"Made by `make calibrate` with {tools}; {sizes}. Values: `calibration_models.csv`. A defective model counts",
        "in the items whose pictures it spoils, an honest one in all that it was trained for.",
        "",
        "| model | group | points for pictures | share |",
        "| --- | --- | ---: | ---: |",
    )
    for model in content.models:
        points = f"{points_text(model.points_milli)} of {points_text(model.max_milli)}"
        yield f"| {_plain(model.name)} | {model.group} | {points} | {model.share:.0%} |"
    yield ""


def _plain(name: str) -> str:
    return name.replace("_", " ")


def strip_plot(row: Threshold, measurements: Sequence[ModelMeasurement]) -> bytes:
    """PNG: one line of dots for each group of models, `zero_at` and `full_at` drawn through all of them."""
    figure = Figure(figsize=(9, 2.9), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    rising = row.full_at > row.zero_at
    for height, (group, label, colour, marker) in enumerate(reversed(_DOTS)):
        values = sorted((m.value, m.name) for m in measurements if m.group == group)
        axes.scatter([v for v, _ in values], [height] * len(values), c=colour, marker=marker, s=34, alpha=0.65, lw=0)
        axis_transform = axes.get_yaxis_transform()
        axes.text(-0.01, height, f"{label} ({len(values)})", transform=axis_transform, ha="right", va="center")
        worst, best = (values[:1], values[-1:]) if rising else (values[-1:], values[:1])
        for value, model in best if group == "defective" else worst:
            axes.annotate(
                _plain(model), (value, height), xytext=(0, 6), textcoords="offset points", ha="center", fontsize=7
            )
    ends = ((row.zero_at, "zero at", ":", rising), (row.full_at, "full at", "-", not rising))
    for value, text, style, left in ends:
        axes.axvline(value, color="#333333", linestyle=style, lw=1.2)
        side, shift = ("right", -3) if left else ("left", 3)
        top, words = (value, len(_DOTS) - 0.42), f"{text} {value:g}"
        axes.annotate(words, top, xytext=(shift, 0), textcoords="offset points", ha=side, va="bottom", fontsize=8)
    axes.set_ylim(-0.5, len(_DOTS) - 0.4)
    axes.set_yticks([])
    axes.set_xlabel("larger is better" if rising else "smaller is better")
    axes.set_title(f"{row.item}: {row.check}", fontsize=10, pad=16)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    stream = io.BytesIO()
    figure.savefig(stream, format="png", metadata={"Software": None})
    return stream.getvalue()


SCALE = 2  # a whole number, so that no pixel of a digit is wider than another
LINE, SPACE = 30, 14  # pixels: a line of words, and what is free below a strip
WORDS = 19  # pixels


def sheet(strips: Sequence[tuple[str, Array]]) -> bytes:
    """PNG: each strip, rows of images `(R, N, H, W)` in [0, 1], dark on white, below its words."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from PIL import Image

    pictures = [_picture(images) for _, images in strips]
    width = max(picture.shape[1] for picture in pictures)
    height = sum(LINE + picture.shape[0] + SPACE for picture in pictures)
    canvas = Figure(figsize=(width / 72, height / 72), dpi=72, facecolor="white", layout=None)
    agg: Any = FigureCanvasAgg(canvas)
    top, places = 0, []
    for (words, _), picture in zip(strips, pictures, strict=True):
        canvas.text(0, 1 - (top + LINE / 2) / height, words, size=WORDS, va="center", ha="left", color="#26323d")
        places.append(top + LINE)
        top += LINE + picture.shape[0] + SPACE
    agg.draw()
    pixels = np.asarray(agg.buffer_rgba())[..., :3].copy()
    for place, picture in zip(places, pictures, strict=True):
        pixels[place : place + picture.shape[0], : picture.shape[1]] = picture[..., None]
    buffer = io.BytesIO()
    Image.fromarray(pixels).convert("L").quantize(32).save(buffer, format="PNG", optimize=True)
    return buffer.getvalue()


def _picture(images: Array) -> Array:
    """Rows of images as one picture `(R * H, N * W)` uint8, dark on white."""
    rows, count, height, width = images.shape
    dark = 255 - np.round(255 * np.clip(np.nan_to_num(images), 0, 1)).astype(np.uint8)
    laid: Array = dark.transpose(0, 2, 1, 3).reshape(rows * height, count * width)
    return laid.repeat(SCALE, axis=0).repeat(SCALE, axis=1)
