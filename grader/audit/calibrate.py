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
from grader.audit.calibration import Measurement, Threshold, earned, faults, measurements, thresholds
from grader.audit.calibration_page import PageContent, page, read_sorted, sheet, strip_plot
from grader.audit.runs import Result, Wanted, planned, run_all
from grader.checks import needing_training
from grader.errors import GraderError
from grader.evidence import NotAnswered
from grader.exercise import Pictured, Reading
from grader.grading.judge import judge
from grader.grading.regrade import recalled, remember
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


def zoo() -> list[Wanted]:
    """The reference, the models, and the honest solutions that change what is learnt, with as many seeds as they have.

    Those that have several come first: what a seed of the training moves is known from them.
    """
    wanted = [replace(planned(name), training=seed) for name in _names() for seed in range(corpus.entry(name).seeds)]
    return sorted(wanted, key=lambda one: corpus.entry(one.name).seeds, reverse=True)


def _names() -> list[str]:
    return [corpus.REFERENCE, *corpus.names("models"), *corpus.names("honest", train=True)]


def calibrate(rubric_path: Path, jobs: int, say: Say, *, stored: bool = False) -> list[str]:
    """The tables, pictures and page are written; returns what is wrong, one sentence each.

    With `stored`, only models that were run before are judged, and none is run.
    """
    rubric, exercise = _pictured(rubric_path)
    exercise.prepare(say)
    wanted = [one for one in zoo() if not stored or (one.folder / "key").exists()]
    order = {name: number for number, name in enumerate(_names())}  # as in the files: ladders go down
    came = run_all(wanted, rubric_path, jobs, say)
    results = sorted(came, key=lambda result: (order[result.wanted.name], result.wanted.training))
    if not any(result.wanted.name == corpus.REFERENCE and not result.error for result in results):
        raise GraderError("nothing to compare with: the reference was not run; calibrate without --stored")
    say("thresholds, tables and pictures")
    pictures = needing_training(exercise.checks)
    alone = _each_alone(rubric)
    found, models = [], []
    for result in results:
        if result.error:
            continue
        one = result.wanted
        memory = recalled(one.folder, exercise)
        levels = judge(stored_evidence(one.folder), alone, exercise.checks, memory)
        remember(one.folder, exercise, memory)
        here = measurements(corpus.entry(one.name), one.training, one.parts, result.items, levels, pictures)
        models.append(earned(corpus.entry(one.name), here))
        found += here
    rows = thresholds(found, rubric)
    _write(rows, thresholds(found, rubric, "first"), found, results, exercise)
    say("a second reader learns to read")
    readings = _readings(results, exercise)
    content = PageContent(rows, found, models, rubric, exercise, corpus.level_words(), read_sorted(SORTED), readings)
    write_atomically(DOCS / "calibration.md", page(content).encode())
    return [f"{result.wanted.name}: {result.error}" for result in results if result.error] + faults(rows, models)


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
    found: Sequence[Measurement],
    results: Sequence[Result],
    exercise: Pictured,
) -> None:
    """The tables, and two pictures for each check."""
    folder = DOCS / "calibration"
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(DOCS / "calibration.csv", csv_bytes([_plain(row) for row in rows]))
    write_atomically(DOCS / "calibration_first.csv", csv_bytes([_plain(row) for row in first]))
    write_atomically(DOCS / "calibration_models.csv", csv_bytes(_by_model(found)))
    folders = {(result.wanted.name, result.wanted.training): result.wanted.folder for result in results}

    @cache
    def strip(model: str, training: int, item: str) -> Array:  # several checks show the same one
        return exercise.strip(stored_evidence(folders[model, training]), item, COLUMNS)

    for row in rows:
        here = [m for m in found if (m.item, m.check) == (row.item, row.check) and math.isfinite(m.value)]
        write_atomically(folder / f"{row.item}.{row.check}.png", strip_plot(row, here))
        write_atomically(folder / f"{row.item}.{row.check}.strips.png", sheet(list(_strips(row, here, strip))))


def _strips(
    row: Threshold, here: Sequence[Measurement], strip: Callable[[str, int, str], Array]
) -> Iterator[tuple[str, Array]]:
    """Pictures of the models that stand nearest to no points, half of them and all, and the reference's."""
    words = corpus.level_words()[row.check]
    half = (row.zero_at + row.full_at) / 2
    ends = {"no points": row.zero_at, "half of the points": half, "all points": row.full_at}
    models = [m for m in here if m.model != corpus.REFERENCE]
    chosen = {name: _nearest(models, at, abs(row.full_at - row.zero_at)) for name, at in ends.items()}
    chosen["the reference"] = next(m for m in here if m.name == corpus.REFERENCE)
    for name, one in chosen.items():
        images = strip(one.model, one.training, row.item)
        at = f"; {one.name.replace('_', ' ')}" if name != "the reference" else ""
        yield f"{name}{at}: {words.format(value=one.value, percent=100 * one.value)}", images


def _readings(results: Sequence[Result], exercise: Pictured) -> list[Reading]:
    """What a second reader says of some models' samples beside the judge."""
    folders = [r.wanted.folder for r in results if r.wanted.name in READ and not r.wanted.training and not r.error]
    images = {folder.name: exercise.strip(stored_evidence(folder), READ_ITEM, 1000) for folder in folders}
    return exercise.readings({name: of.reshape(-1, 1, *of.shape[2:]) for name, of in images.items()})


def _nearest(models: Sequence[Measurement], level: float, span: float) -> Measurement:
    """The model nearest to the level; one that changes only what is drawn, where no other is near."""
    learnt = [m for m in models if not corpus.entry(m.model).regions.keys() & {"sample_vae", "sample_cvae"}]
    near = [m for m in learnt if abs(m.value - level) <= NEAR * span]
    return min(near or models, key=lambda m: abs(m.value - level))


def _plain(row: Threshold) -> dict[str, object]:
    values = asdict(row) | {"margin": row.margin.gap}
    return {key: f"{value:.4g}" if isinstance(value, float) else value for key, value in values.items()}


def _by_model(found: Sequence[Measurement]) -> list[dict[str, object]]:
    rows: dict[str, dict[str, object]] = {}
    for m in found:
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
    stored = [one for one in zoo() if not one.training and (one.folder / "key").exists()]
    out.mkdir(parents=True, exist_ok=True)
    draw, made, key = random.Random(SHUFFLE), [], []
    for item in items:
        strips = []
        for one in [one for one in stored if item.partition(".")[0] in one.parts]:
            try:
                strips.append((one.name, exercise.strip(stored_evidence(one.folder), item, COLUMNS)))
            except NotAnswered:
                continue
        draw.shuffle(strips)
        for start in range(0, len(strips), ON_A_SHEET):
            numbered = [(f"{item} {start + n}", images) for n, (_, images) in enumerate(strips[start:][:ON_A_SHEET], 1)]
            path = out / f"{item}.{start // ON_A_SHEET + 1}.png"
            write_atomically(path, sheet(numbered))
            made.append(path)
        key += [{"item": item, "strip": n, "model": name} for n, (name, _) in enumerate(strips, 1)]
    write_atomically(out / "key.csv", csv_bytes(key))
    return made
