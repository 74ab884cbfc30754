"""`make calibrate`: the zoo of models is run and measured; tables, pictures and a page follow.

Writes to `docs/`: `calibration.csv`, one row per check; `calibration_first.csv`, the same for the notebook that was
handed out first; `calibration_models.csv`, one row per model and seed; the page `calibration.md`; in `calibration/`,
two pictures per check, of its levels and of its strips. A model whose evidence is stored is not run again.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, replace
from functools import cache
from pathlib import Path

from grader.audit import corpus
from grader.audit.calibration import ModelMeasurement, Threshold, faults, measurements, model_score, thresholds
from grader.audit.calibration_page import PageContent, page, read_sorted, sheet, strip_plot
from grader.audit.runs import CorpusRun, RunResult, planned, run_all
from grader.checks import needing_training
from grader.errors import GraderError
from grader.evidence import NotAnswered
from grader.exercise import Pictured, Reading
from grader.grading.judge import judge
from grader.grading.regrade import load_findings, save_findings
from grader.grading.run_folder import stored_evidence
from grader.records import Array, Rubric
from grader.rubric import load_rubric
from grader.store.files import csv_bytes, write_atomically

DOCS = Path("docs")
SORTED = DOCS / "calibration_sorted.csv"
COLUMNS = 20  # of a strip
NEAR = 0.3  # of the way from no points to all: a model that stands so near to a level shows it
READ = ("reference", "kl_10", "epochs_1", "noise_of_a_tenth")  # models whose samples a second reader reads, too
READ_ITEM = "vae.generation"
ON_A_SHEET = 12  # strips to be sorted
SHUFFLE = 11  # the seed of their order
Say = Callable[[str], None]


def zoo() -> list[CorpusRun]:
    """The reference, the models, and the variants that change what is learnt, with as many seeds as they have.

    Those that have several come first: what a seed of the training moves is known from them.
    """
    runs = [replace(planned(name), training=seed) for name in _names() for seed in range(corpus.entry(name).seeds)]
    return sorted(runs, key=lambda run: corpus.entry(run.name).seeds, reverse=True)


def _names() -> list[str]:
    return [corpus.REFERENCE, *corpus.names(corpus.MODEL), *corpus.names(corpus.VARIANT, train=True)]


def calibrate(rubric_path: Path, jobs: int, say: Say, *, stored: bool = False) -> list[str]:
    """The tables, pictures and page are written; returns what is wrong, one sentence each.

    With `stored`, only models that were run before are judged, and none is run.
    """
    rubric, exercise = _pictured(rubric_path)
    exercise.prepare(say)
    runs = [run for run in zoo() if not stored or (run.folder / "key").exists()]
    order = {name: number for number, name in enumerate(_names())}  # as in the files: ladders go down
    finished = run_all(runs, rubric_path, jobs, say)
    results = sorted(finished, key=lambda result: (order[result.run.name], result.run.training))
    if not any(result.run.name == corpus.REFERENCE and not result.error for result in results):
        raise GraderError("nothing to compare with: the reference was not run; calibrate without --stored")
    say("thresholds, tables and pictures")
    pictures = needing_training(exercise.checks)
    alone = _each_alone(rubric)
    all_measurements, models = [], []
    for result in results:
        if result.error:
            continue
        run = result.run
        memory = load_findings(run.folder, exercise)
        levels = judge(stored_evidence(run.folder), alone, exercise.checks, memory)
        save_findings(run.folder, exercise, memory)
        of_run = measurements(corpus.entry(run.name), run.training, run.parts, result.items, levels, pictures)
        models.append(model_score(corpus.entry(run.name), of_run))
        all_measurements += of_run
    rows = thresholds(all_measurements, rubric)
    _write(rows, thresholds(all_measurements, rubric, "first"), all_measurements, results, exercise)
    say("a second reader learns to read")
    readings = _readings(results, exercise)
    contents = PageContent(
        rows, all_measurements, models, rubric, exercise, corpus.level_words(), read_sorted(SORTED), readings
    )
    write_atomically(DOCS / "calibration.md", page(contents).encode())
    return [f"{result.run.name}: {result.error}" for result in results if result.error] + faults(rows, models)


def _pictured(rubric_path: Path) -> tuple[Rubric, Pictured]:
    rubric, exercise = load_rubric(rubric_path)
    if not isinstance(exercise, Pictured):
        raise GraderError(f"{rubric.exercise}: it has no method `strip`, which shows what its thresholds mean")
    return rubric, exercise


def _each_alone(rubric: Rubric) -> Rubric:
    """The rubric without what checks presuppose: each level is known, whatever else a model has lost."""
    items = (
        replace(item, checks=tuple(replace(spec, presupposes=()) for spec in item.checks)) for item in rubric.items
    )
    return replace(rubric, items=tuple(items))


def _write(
    rows: Sequence[Threshold],
    first: Sequence[Threshold],
    all_measurements: Sequence[ModelMeasurement],
    results: Sequence[RunResult],
    exercise: Pictured,
) -> None:
    """The tables, and two pictures for each check."""
    folder = DOCS / "calibration"
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(DOCS / "calibration.csv", csv_bytes([_plain(row) for row in rows]))
    write_atomically(DOCS / "calibration_first.csv", csv_bytes([_plain(row) for row in first]))
    write_atomically(DOCS / "calibration_models.csv", csv_bytes(_by_model(all_measurements)))
    folders = {(result.run.name, result.run.training): result.run.folder for result in results}

    @cache
    def strip(model: str, training: int, item: str) -> Array:  # several checks show the same one
        return exercise.strip(stored_evidence(folders[model, training]), item, COLUMNS)

    for row in rows:
        of_check = [
            m for m in all_measurements if (m.item, m.check) == (row.item, row.check) and math.isfinite(m.value)
        ]
        write_atomically(folder / f"{row.item}.{row.check}.png", strip_plot(row, of_check))
        write_atomically(folder / f"{row.item}.{row.check}.strips.png", sheet(list(_strips(row, of_check, strip))))


def _strips(
    row: Threshold, of_check: Sequence[ModelMeasurement], strip: Callable[[str, int, str], Array]
) -> Iterator[tuple[str, Array]]:
    """Pictures of the models that stand nearest to no points, half of them and all, and the reference's."""
    words = corpus.level_words()[row.check]
    half = (row.zero_at + row.full_at) / 2
    ends = {"no points": row.zero_at, "half of the points": half, "all points": row.full_at}
    models = [m for m in of_check if m.model != corpus.REFERENCE]
    nearest_models = {name: _nearest(models, at, abs(row.full_at - row.zero_at)) for name, at in ends.items()}
    nearest_models["the reference"] = next(m for m in of_check if m.name == corpus.REFERENCE)
    for name, measurement in nearest_models.items():
        images = strip(measurement.model, measurement.training, row.item)
        at = f"; {measurement.name.replace('_', ' ')}" if name != "the reference" else ""
        yield f"{name}{at}: {words.format(value=measurement.value, percent=100 * measurement.value)}", images


def _readings(results: Sequence[RunResult], exercise: Pictured) -> list[Reading]:
    """What a second reader says of some models' samples beside the judge."""
    folders = [r.run.folder for r in results if r.run.name in READ and not r.run.training and not r.error]
    images = {folder.name: exercise.strip(stored_evidence(folder), READ_ITEM, 1000) for folder in folders}
    return exercise.readings({name: of.reshape(-1, 1, *of.shape[2:]) for name, of in images.items()})


def _nearest(models: Sequence[ModelMeasurement], level: float, span: float) -> ModelMeasurement:
    """The model nearest to the level; one that changes only what is drawn, where no other is near."""
    learnt = [m for m in models if not corpus.entry(m.model).regions.keys() & {"sample_vae", "sample_cvae"}]
    near = [m for m in learnt if abs(m.value - level) <= NEAR * span]
    return min(near or models, key=lambda m: abs(m.value - level))


def _plain(row: Threshold) -> dict[str, object]:
    values = asdict(row) | {"margin": row.margin.gap}
    return {key: f"{value:.4g}" if isinstance(value, float) else value for key, value in values.items()}


def _by_model(all_measurements: Sequence[ModelMeasurement]) -> list[dict[str, object]]:
    rows: dict[str, dict[str, object]] = {}
    for m in all_measurements:
        row = rows.setdefault(m.name, {"model": m.model, "seed": m.training, "group": m.group})
        row[f"{m.item}: {m.check}"] = f"{m.value:.4g}" if math.isfinite(m.value) else ""
        row[f"{m.item}: {m.check}: standard error"] = f"{m.standard_error:.2g}" if math.isfinite(m.value) else ""
        row[f"{m.item}: {m.check}: points"] = f"{m.points_milli / 1000:g}"
    return list(rows.values())


def sheets_to_sort(rubric_path: Path, out: Path) -> list[Path]:
    """Sheets of numbered strips of the stored models, in an order that tells nothing, to be sorted by looking.

    `out/key.csv`, which whoever sorts them does not get, says which strip is whose.
    """
    rubric, exercise = _pictured(rubric_path)
    pictures = needing_training(exercise.checks)
    items = [item.id for item in rubric.items if {spec.check for spec in item.checks} & pictures]
    runs = [run for run in zoo() if not run.training and (run.folder / "key").exists()]
    out.mkdir(parents=True, exist_ok=True)
    draw, paths, key = random.Random(SHUFFLE), [], []
    for item in items:
        strips = []
        for run in [run for run in runs if item.partition(".")[0] in run.parts]:
            try:
                strips.append((run.name, exercise.strip(stored_evidence(run.folder), item, COLUMNS)))
            except NotAnswered:
                continue
        draw.shuffle(strips)
        for start in range(0, len(strips), ON_A_SHEET):
            numbered = [(f"{item} {start + n}", images) for n, (_, images) in enumerate(strips[start:][:ON_A_SHEET], 1)]
            path = out / f"{item}.{start // ON_A_SHEET + 1}.png"
            write_atomically(path, sheet(numbered))
            paths.append(path)
        key += [{"item": item, "strip": n, "model": name} for n, (name, _) in enumerate(strips, 1)]
    write_atomically(out / "key.csv", csv_bytes(key))
    return paths
