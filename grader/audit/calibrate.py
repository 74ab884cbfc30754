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
from grader.audit.calibration_page import Defect, defect, page
from grader.audit.pictures import strip_plot
from grader.audit.runs import Wanted, planned, run_all
from grader.files import csv_bytes, write_atomically
from grader.judging import needing_training
from grader.rubric import load_rubric

DOCS = Path("docs")
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
