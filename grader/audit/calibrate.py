"""`make calibrate`: trains and measures models of known quality; writes tables, pictures and a page to `docs/`.

`calibration_tables` describes the tables. The folder `calibration/` gets an overview and, for each check, a chart of
all models and strips of pictures. A model whose evidence is stored is not run again. `redraw` makes charts and page
again from the tables alone.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

from grader.audit import corpus
from grader.audit.calibration import ModelMeasurement, Threshold, faults, measurements, thresholds
from grader.audit.calibration_levels import caption, shown_models
from grader.audit.calibration_page import PageContent, page
from grader.audit.calibration_pictures import overview, sheet, strip_chart
from grader.audit.calibration_tables import read_tables, write_tables
from grader.audit.runs import CorpusRun, RunResult, planned, run_all
from grader.checks import needing_training
from grader.errors import GraderError
from grader.evidence import NotAnswered
from grader.exercise import Pictured, Reading, Say
from grader.grading.regrade import load_findings, save_findings
from grader.grading.stored_run import stored_evidence
from grader.grading.verdicts import item_verdicts
from grader.records import Array, Rubric
from grader.rubric import load_rubric
from grader.store.files import csv_bytes, write_atomically

DOCS = Path("docs")
PICTURES = "calibration"
COLUMNS = 20  # images per row of a strip
READ = ("reference", "kl_10", "epochs_1", "noise_of_a_tenth")  # models whose samples the second reader also reads
READ_ITEM = "vae.generation"
STRIPS_PER_SHEET = 12  # strips per sheet that viewers sort
SHUFFLE = 11  # the seed of the strips' order


def calibration_runs() -> list[CorpusRun]:
    """A run per seed of the reference, of each model, and of each variant that changes what is learned.

    Models with several seeds come first: they show how much a result depends on the seed.
    """
    runs = [replace(planned(name), training=seed) for name in _names() for seed in range(corpus.entry(name).seeds)]
    return sorted(runs, key=lambda run: corpus.entry(run.name).seeds, reverse=True)


def _names() -> list[str]:
    return [corpus.REFERENCE, *corpus.names(corpus.MODEL), *corpus.names(corpus.VARIANT, train=True)]


def calibrate(rubric_path: Path, jobs: int, say: Say, *, stored: bool = False) -> list[str]:
    """Writes tables, pictures and page; returns the faults, one sentence each.

    With `stored`, only models that were run before are graded, and none is run.
    """
    rubric, exercise = _pictured(rubric_path)
    exercise.prepare(say)
    runs = [run for run in calibration_runs() if not stored or (run.folder / "key").exists()]
    order = {name: number for number, name in enumerate(_names())}  # as in the files: ladders from mild to severe
    finished = run_all(runs, rubric_path, jobs, say)
    results = sorted(finished, key=lambda result: (order[result.run.name], result.run.training))
    if not any(result.run.name == corpus.REFERENCE and not result.error for result in results):
        raise GraderError("the reference has not been run, so there is nothing to compare with; leave out --stored")
    say("writing tables and pictures")
    pictures = needing_training(exercise.checks)
    alone = _each_alone(rubric)
    all_measurements = []
    for result in results:
        if result.error:
            continue
        run = result.run
        memory = load_findings(run.folder, exercise)
        levels = item_verdicts(stored_evidence(run.folder), alone, exercise.checks, memory)
        save_findings(run.folder, exercise, memory)
        solution = corpus.entry(run.name)
        all_measurements += measurements(solution, run.training, run.parts, result.items, levels, pictures)
    rows = thresholds(all_measurements, rubric)
    _write_strips(rows, all_measurements, results, exercise)
    say("training the second reader")
    first = thresholds(all_measurements, rubric, "first")
    write_tables(DOCS, rows, first, all_measurements, _readings(results, exercise), rubric)
    return [f"{result.run.name}: {result.error}" for result in results if result.error] + redraw(rubric_path)


def redraw(rubric_path: Path, folder: Path = DOCS) -> list[str]:
    """Makes charts and page again from the tables in the folder; returns the faults, one sentence each."""
    rubric, exercise = _pictured(rubric_path)
    tables = read_tables(folder, rubric)
    (folder / PICTURES).mkdir(parents=True, exist_ok=True)
    for name, chart in charts(tables.rows, tables.measurements):
        write_atomically(folder / PICTURES / name, chart)
    shown = {(row.item, row.check): [*shown_models(row, _measured(row, tables.measurements))] for row in tables.rows}
    spoils = {m.model: corpus.entry(m.model).spoils for m in tables.models}
    content = PageContent(tables, rubric, exercise, corpus.level_words(), shown, spoils)
    write_atomically(folder / "calibration.md", page(content).encode())
    return faults(tables.rows, tables.models)


def charts(rows: Sequence[Threshold], all_measurements: Sequence[ModelMeasurement]) -> Iterator[tuple[str, bytes]]:
    """Yields the file name and content of each chart."""
    yield "overview.svg", overview(rows, [m for m in all_measurements if _is_affected(m) or m.group != "defective"])
    for row in rows:
        yield f"{row.item}.{row.check}.svg", strip_chart(row, all_measurements)


def _measured(row: Threshold, all_measurements: Sequence[ModelMeasurement]) -> list[ModelMeasurement]:
    """The measurements of one check of one item that have a value."""
    return [m for m in all_measurements if (m.item, m.check) == (row.item, row.check) and math.isfinite(m.value)]


def _is_affected(measurement: ModelMeasurement) -> bool:
    spoils = corpus.entry(measurement.model).spoils
    return not spoils or measurement.item in spoils


def _pictured(rubric_path: Path) -> tuple[Rubric, Pictured]:
    rubric, exercise = load_rubric(rubric_path)
    if not isinstance(exercise, Pictured):
        raise GraderError(f"{rubric.exercise}: cannot be calibrated: expected a method `strip`, which returns pictures")
    corpus.refuse_other_exercise(rubric.exercise)
    return rubric, exercise


def _each_alone(rubric: Rubric) -> Rubric:
    """The rubric without `presupposes`, so that each check is measured even if an earlier one failed."""
    items = (
        replace(item, checks=tuple(replace(spec, presupposes=()) for spec in item.checks)) for item in rubric.items
    )
    return replace(rubric, items=tuple(items))


def _write_strips(
    rows: Sequence[Threshold],
    all_measurements: Sequence[ModelMeasurement],
    results: Sequence[RunResult],
    exercise: Pictured,
) -> None:
    """Writes, for each check, strips of pictures that show what its thresholds mean."""
    folder = DOCS / PICTURES
    folder.mkdir(parents=True, exist_ok=True)
    folders = {(result.run.name, result.run.training): result.run.folder for result in results}

    @cache
    def strip(model: str, training: int, item: str) -> Array:  # several checks show the same strip
        return exercise.strip(stored_evidence(folders[model, training]), item, COLUMNS)

    for row in rows:
        of_check = _measured(row, all_measurements)
        write_atomically(folder / f"{row.item}.{row.check}.strips.png", sheet(list(_strips(row, of_check, strip))))


def _strips(
    row: Threshold, of_check: Sequence[ModelMeasurement], strip: Callable[[str, int, str], Array]
) -> Iterator[tuple[str, Array]]:
    """Pictures of the models nearest to no points, half of the points and full points, and of the reference."""
    words = corpus.level_words()[row.check]
    for shown in shown_models(row, of_check):
        measurement = shown.measurement
        yield caption(shown, words), strip(measurement.model, measurement.training, row.item)


def _readings(results: Sequence[RunResult], exercise: Pictured) -> list[Reading]:
    """How a second reader reads some models' samples, compared with the classifier."""
    folders = [r.run.folder for r in results if r.run.name in READ and not r.run.training and not r.error]
    images = {folder.name: exercise.strip(stored_evidence(folder), READ_ITEM, 1000) for folder in folders}
    return exercise.readings({name: of.reshape(-1, 1, *of.shape[2:]) for name, of in images.items()})


def sheets_to_sort(rubric_path: Path, out: Path) -> list[Path]:
    """Writes sheets of numbered strips of the stored models, shuffled, for viewers to sort; returns the paths.

    `out/key.csv` says which strip belongs to which model; do not give it to the viewers.
    """
    rubric, exercise = _pictured(rubric_path)
    pictures = needing_training(exercise.checks)
    items = [item.id for item in rubric.items if {spec.check for spec in item.checks} & pictures]
    runs = [run for run in calibration_runs() if not run.training and (run.folder / "key").exists()]
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
        for start in range(0, len(strips), STRIPS_PER_SHEET):
            numbered = [
                (f"{item} {start + n}", images) for n, (_, images) in enumerate(strips[start:][:STRIPS_PER_SHEET], 1)
            ]
            path = out / f"{item}.{start // STRIPS_PER_SHEET + 1}.png"
            write_atomically(path, sheet(numbered))
            paths.append(path)
        key += [{"item": item, "strip": n, "model": name} for n, (name, _) in enumerate(strips, 1)]
    write_atomically(out / "key.csv", csv_bytes(key))
    return paths
