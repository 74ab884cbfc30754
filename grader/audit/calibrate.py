"""`make calibrate`: the zoo of models is run and measured; tables, pictures and thresholds follow.

Writes `docs/calibration.csv` (one row a check), `docs/calibration_models.csv` (one row a model), `docs/calibration.md`
and one picture a check in `docs/calibration/`. A model whose evidence is stored is not run again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

from grader.audit import corpus
from grader.audit.calibration import Measurement, Threshold, measurements, thresholds
from grader.audit.pictures import strip_plot
from grader.audit.runs import Wanted, planned, run_all
from grader.pipeline import versions
from grader.records import Rubric
from grader.report.files import csv_bytes, write_atomically
from grader.rubric import load_rubric

DOCS = Path("docs")
COMMAND = "make calibrate"
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
    found: list[Measurement] = []
    for one in wanted:
        items = results[one.name].items
        found += measurements(corpus.entry(one.name), one.parts, items, exercise.spoilt_checks)
    rows = thresholds(found, rubric, exercise.spoilt_checks)
    _write(rows, found, rubric, DOCS)
    return faults + [f"{row.item}: {row.check}: {row.margin.fault}" for row in rows if row.margin.fault]


def _write(rows: Sequence[Threshold], found: Sequence[Measurement], rubric: Rubric, docs: Path) -> None:
    (docs / "calibration").mkdir(parents=True, exist_ok=True)
    write_atomically(docs / "calibration.csv", csv_bytes([_plain(row) for row in rows]))
    write_atomically(docs / "calibration_models.csv", csv_bytes(_by_model(found)))
    for row in rows:
        here = [m for m in found if (m.item, m.check) == (row.item, row.check)]
        write_atomically(docs / "calibration" / f"{row.item}.{row.check}.png", strip_plot(row, here))
    write_atomically(docs / "calibration.md", _page(rows, found, rubric).encode())


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


def _page(rows: Sequence[Threshold], found: Sequence[Measurement], rubric: Rubric) -> str:
    known = ", ".join(f"{name} {number}" for name, number in versions().items())
    models = {group: len({m.model for m in found if m.group in names}) for group, names in _GROUPS.items()}
    sizes = ", ".join(f"{count} {name}" for name, count in rubric.sizes.items() if name in _COUNTED)
    lines = [
        "# Calibration of the quality checks",
        "",
        f"Made by `{COMMAND}` with {known}; {sizes}. "
        + ", ".join(f"{count} {group} models" for group, count in models.items())
        + ". Values of every model: `calibration_models.csv`; this table in full: `calibration.csv`.",
        "",
        *_RULE,
        "",
        "| check | worst honest | best defect | rule: zero at, full at | rubric | margin | standard error | overlaps |",
        "| --- | --- | --- | --- | --- | ---: | ---: | --- |",
    ]
    for row in rows:
        lines.append(
            f"| {row.item}: {row.check} | {row.honest_worst:.3g} {row.honest_worst_model} "
            f"| {row.best_defect:.3g} {row.best_defect_model} | {row.zero_at:g}, {row.full_at:g} "
            f"| {row.rubric_zero_at:g}, {row.rubric_full_at:g} | {row.margin.gap:.2g} | {row.standard_error:.2g} "
            f"| {', '.join(row.overlaps) or 'none'} |"
        )
    lines += ["", *[f"![{row.item}: {row.check}](calibration/{row.item}.{row.check}.png)" for row in rows], ""]
    return "\n".join(lines)


_GROUPS = {"honest": {"honest"}, "honest with other constants": {"varied"}, "defective": {"caught", "other"}}
_COUNTED = ("reconstructions", "samples", "prior_samples")
_RULE = (
    "The rule, in the direction in which a number gets better: with `H` the worst honest model that has the given",
    "constants and `B` the best of the defects that the check is there to catch, `full_at` lies half way from `B` to",
    "`H` and `zero_at` a tenth of the way. The margin is the distance from `full_at` to `H`; the standard error (the",
    "largest of an honest model's) stays below a fifth of it. Overlaps are other defective models above `zero_at`;",
    "component checks catch those, or nobody would call them wrong by their pictures.",
)
