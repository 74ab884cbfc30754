"""`make calibrate`: the zoo of models is run and measured; tables, pictures and thresholds follow.

Writes `docs/calibration.csv` (one row a check), `docs/calibration_models.csv` (one row a model), `docs/calibration.md`
and one picture a check in `docs/calibration/`. A model whose evidence is stored is not run again.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from grader.audit import corpus
from grader.audit.calibration import Measurement, Threshold, measurements, thresholds
from grader.audit.corpus import Solution
from grader.audit.runs import Wanted, planned, run_all
from grader.files import csv_bytes, write_atomically
from grader.judging import needing_training
from grader.records import ItemVerdict, Outcome, Rubric
from grader.rubric import load_rubric
from grader.versions import versions

DOCS = Path("docs")
_LOST = (Outcome.FAILED, Outcome.PARTIAL)
_GROUPS = {
    "honest models": {"honest"},
    "honest ones with other constants": {"varied"},
    "defective ones": {"caught", "other"},
}
_COUNTED = ("reconstructions", "samples", "prior_samples")
_RULE = (
    "The rule, in the direction in which a number gets better: with `H` the worst honest model that has the given",
    "constants and `B` the best of the defects that the check is there to catch, `full_at` lies half way from `B` to",
    "`H` and `zero_at` a tenth of the way. The margin is the distance from `full_at` to `H`; the standard error (the",
    "largest of an honest model's) stays below a fifth of it. Overlaps are other defective models above `zero_at`.",
)
_OVERLAPS = (
    "A check of pictures cannot see every defect: what overlaps with honest models in one check has to be lost in",
    "another, of its code if it can be. What changes only given cells (other data, other constants) loses little here",
    "and nothing in a grade, since given cells are put back before a notebook runs.",
)
_DOTS = (  # group, its name, colour and form
    ("honest", "honest", "#1b7837", "o"),
    ("varied", "honest, other constants", "#5aae61", "D"),
    ("other", "other defects", "#b8860b", "s"),
    ("caught", "defects to catch", "#b2182b", "X"),
)
Say = Callable[[str], None]


def zoo() -> list[Wanted]:
    """The reference, the models, and the honest solutions that change what is learnt."""
    names = (corpus.REFERENCE, *corpus.names("models"), *corpus.names("honest", train=True))
    return [planned(name) for name in names]


def calibrate(rubric_path: Path, jobs: int, say: Say, *, stored: bool = False) -> list[str]:
    """The tables and pictures are written; returns what is wrong, one sentence each.

    With `stored`, only models that were run before are judged, and none is run.
    """
    rubric, exercise = load_rubric(rubric_path)
    exercise.prepare(say)
    wanted = [one for one in zoo() if not stored or (one.folder / "key").exists()]
    results = {result.wanted.name: result for result in run_all(wanted, rubric_path, jobs, say)}
    faults = [f"{name}: {result.error}" for name, result in results.items() if result.error]
    say("thresholds, tables and pictures")
    trained = needing_training(exercise.checks)
    found: list[Measurement] = []
    defects: list[Defect] = []
    for one in wanted:
        solution, items = corpus.entry(one.name), results[one.name].items
        found += measurements(solution, one.parts, items, trained)
        if solution.group == "defective":
            defects.append(defect(solution, one.parts, items, trained))
    rows = thresholds(found, rubric, trained)
    _write(rows, found)
    write_atomically(DOCS / "calibration.md", page(rows, found, defects, rubric).encode())
    return faults + [f"{row.item}: {row.check}: {row.margin.fault}" for row in rows if row.margin.fault]


def _write(rows: Sequence[Threshold], found: Sequence[Measurement]) -> None:
    (DOCS / "calibration").mkdir(parents=True, exist_ok=True)
    write_atomically(DOCS / "calibration.csv", csv_bytes([_plain(row) for row in rows]))
    write_atomically(DOCS / "calibration_models.csv", csv_bytes(_by_model(found)))
    for row in rows:
        here = [m for m in found if (m.item, m.check) == (row.item, row.check)]
        write_atomically(DOCS / "calibration" / f"{row.item}.{row.check}.png", strip_plot(row, here))


def _plain(row: Threshold) -> dict[str, object]:
    values = asdict(row) | {"margin": row.margin.gap, "overlaps": " ".join(row.overlaps)}
    return {key: f"{value:.4g}" if isinstance(value, float) else value for key, value in values.items()}


def _by_model(found: Sequence[Measurement]) -> list[dict[str, object]]:
    rows: dict[str, dict[str, object]] = {}
    for m in found:
        group = m.group if m.group in {"honest", "varied"} else "defective"
        row = rows.setdefault(m.model, {"model": m.model, "group": group})
        row[f"{m.item}: {m.check}"] = f"{m.value:.4g}"
        row[f"{m.item}: {m.check}: standard error"] = f"{m.standard_error:.2g}"
    return list(rows.values())


@dataclass(frozen=True)
class Defect:
    """A defective model, and the checks that it loses points in: those of the code and those of the pictures."""

    model: str
    story: str
    components: tuple[str, ...]
    pictures: tuple[str, ...]


def defect(
    solution: Solution, parts: Sequence[str], items: Iterable[ItemVerdict], trained_checks: frozenset[str]
) -> Defect:
    """What the verdicts of a defective model say, in the parts that it trained."""
    lost = [
        (f"{item.id}: {check.id}", check.id in trained_checks)
        for item in items
        if item.id.partition(".")[0] in parts
        for check in item.checks
        if check.outcome in _LOST
    ]
    components = tuple(name for name, trained in lost if not trained)
    return Defect(solution.name, solution.story, components, tuple(name for name, trained in lost if trained))


def page(rows: Sequence[Threshold], found: Sequence[Measurement], defects: Sequence[Defect], rubric: Rubric) -> str:
    """The page as Markdown; its pictures lie in `calibration/` beside it."""
    known = ", ".join(f"{name} {number}" for name, number in versions().items())
    models = {group: len({m.model for m in found if m.group in names}) for group, names in _GROUPS.items()}
    sizes = ", ".join(f"{count} {name}" for name, count in rubric.sizes.items() if name in _COUNTED)
    lines = [
        "# Calibration of the quality checks",
        "",
        f"Made by `make calibrate` with {known}; {sizes}. "
        + ", ".join(f"{count} {group}" for group, count in models.items())
        + ". Values of every model: `calibration_models.csv`; this table with the overlaps: `calibration.csv`.",
        "",
        *_RULE,
        "",
        "| check | worst honest | best defect | rule: zero at, full at | rubric | margin | standard error | overlaps |",
        "| --- | --- | --- | --- | --- | ---: | ---: | ---: |",
    ]
    for row in rows:
        lines.append(
            f"| {row.item}: {row.check} | {row.honest_worst:.3g} {row.honest_worst_model} "
            f"| {row.best_defect:.3g} {row.best_defect_model} | {row.zero_at:g}, {row.full_at:g} "
            f"| {row.rubric_zero_at:g}, {row.rubric_full_at:g} | {row.margin.gap:.2g} | {row.standard_error:.2g} "
            f"| {len(row.overlaps)} |"
        )
    lines += ["", "## What catches each defective model", "", *_OVERLAPS, ""]
    lines += ["| model | what it is | lost in its code | lost in its pictures |", "| --- | --- | --- | --- |"]
    for one in defects:
        cells = [", ".join(names) or "nothing" for names in (one.components, one.pictures)]
        lines.append(f"| {one.model} | {one.story} | {cells[0]} | {cells[1]} |")
    lines += ["", "## One picture a check", ""]
    for row in rows:
        lines.append(f"![{row.item}: {row.check}](calibration/{row.item}.{row.check}.png)")
    return "\n".join([*lines, ""])


def strip_plot(row: Threshold, found: Sequence[Measurement]) -> bytes:
    """PNG: one line of dots for each group of models, `zero_at` and `full_at` drawn through all of them."""
    figure = Figure(figsize=(9, 2.9), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    rising = row.rubric_full_at > row.rubric_zero_at
    for height, (group, label, colour, marker) in enumerate(reversed(_DOTS)):
        values = sorted((m.value, m.model) for m in found if m.group == group)
        axes.scatter([v for v, _ in values], [height] * len(values), c=colour, marker=marker, s=34, alpha=0.65, lw=0)
        beside = axes.get_yaxis_transform()
        axes.text(-0.01, height, f"{label} ({len(values)})", transform=beside, ha="right", va="center")
        worst, best = (values[:1], values[-1:]) if rising else (values[-1:], values[:1])
        for value, model in worst if group in {"honest", "varied"} else best:  # the one that the thresholds look at
            axes.annotate(model, (value, height), xytext=(0, 6), textcoords="offset points", ha="center", fontsize=7)
    ends = ((row.rubric_zero_at, "zero at", ":", rising), (row.rubric_full_at, "full at", "-", not rising))
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
