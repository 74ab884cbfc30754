"""The calibration's tables in `docs/`: written after models were measured, and read to draw the page again.

`calibration.csv` has one row per check, `calibration_first.csv` the same for the constants of the first notebook,
`calibration_models.csv` one row per model and seed, `calibration_read.csv` how a second reader reads samples,
`calibration_made.csv` versions and sample sizes, and `calibration_sorted.csv` how viewers sorted strips of pictures.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from itertools import groupby
from pathlib import Path

from grader.audit import corpus
from grader.audit.calibration import ModelMeasurement, ModelScore, Threshold, model_score
from grader.errors import GraderError
from grader.exercise import Reading
from grader.records import Rubric
from grader.store.files import csv_bytes, write_atomically
from grader.store.versions import versions

CHECKS, FIRST, MODELS, READ, MADE, SORTED = (
    f"calibration{name}.csv" for name in ("", "_first", "_models", "_read", "_made", "_sorted")
)
SIZES = ("reconstructions", "samples", "prior_samples")  # the rubric's sizes on which the calibration depends
CLASSES = ("no", "acceptable", "good")  # how a strip may be sorted
DIGITS = range(10)


@dataclass(frozen=True)
class StripRating:
    """The class that each of two viewers chose for one strip."""

    item: str
    model: str
    first: str
    second: str


@dataclass(frozen=True)
class Tables:
    """Everything that the page is made from."""

    rows: Sequence[Threshold]
    measurements: Sequence[ModelMeasurement]
    models: Sequence[ModelScore]
    readings: Sequence[Reading]
    made: Mapping[str, str]  # package versions and sample sizes of the measurement
    ratings: Sequence[StripRating]


def write_tables(
    folder: Path,
    rows: Sequence[Threshold],
    first: Sequence[Threshold],
    measurements: Sequence[ModelMeasurement],
    readings: Sequence[Reading],
    rubric: Rubric,
) -> None:
    """Writes all tables to the folder, except that of the sorted strips, which people fill in."""
    write_atomically(folder / CHECKS, csv_bytes([_plain(row) for row in rows]))
    write_atomically(folder / FIRST, csv_bytes([_plain(row) for row in first]))
    write_atomically(folder / MODELS, csv_bytes(_by_model(measurements)))
    write_atomically(folder / READ, csv_bytes([_by_digit(reading) for reading in readings]))
    settings = versions() | {name: str(count) for name, count in rubric.sizes.items() if name in SIZES}
    write_atomically(folder / MADE, csv_bytes([{"name": name, "value": value} for name, value in settings.items()]))


def read_tables(folder: Path, rubric: Rubric) -> Tables:
    """Reads the tables in the folder, with the thresholds of the current rubric.

    Raises:
        GraderError: if a table is missing, or was not written by the calibration.
    """
    measurements = _measurements(folder / MODELS, rubric)
    models = [
        model_score(corpus.entry(name), list(of_run))
        for (name, _), of_run in groupby(measurements, key=lambda m: (m.model, m.training))
    ]
    rows, readings = _thresholds(folder / CHECKS, rubric), _readings(folder / READ)
    settings = {row.get("name", ""): row.get("value", "") for row in _rows(folder / MADE)}
    return Tables(rows, measurements, models, readings, settings, read_sorted(folder / SORTED))


def read_sorted(path: Path) -> list[StripRating]:
    """How the viewers sorted the strips; empty if there is no table.

    Raises:
        GraderError: for a missing column or an unknown class.
    """
    if not path.exists():
        return []
    try:
        ratings = [StripRating(row["item"], row["model"], row["first"], row["second"]) for row in _rows(path)]
    except KeyError as error:
        raise GraderError(f"{path}: expected a column {error}") from None
    for rating in ratings:
        if not {rating.first, rating.second} <= {*CLASSES}:
            raise GraderError(f"{path}: {rating.item}, {rating.model}: expected {', '.join(CLASSES)}")
    return ratings


def _plain(row: Threshold) -> dict[str, object]:
    values = asdict(row) | {"margin": row.margin.gap}
    return {key: f"{value:.4g}" if isinstance(value, float) else value for key, value in values.items()}


def _by_model(measurements: Sequence[ModelMeasurement]) -> list[dict[str, object]]:
    rows: dict[str, dict[str, object]] = {}
    for m in measurements:
        row = rows.setdefault(m.name, {"model": m.model, "seed": m.training, "group": m.group})
        row[f"{m.item}: {m.check}"] = f"{m.value:.4g}" if math.isfinite(m.value) else ""
        row[f"{m.item}: {m.check}: standard error"] = f"{m.standard_error:.2g}" if math.isfinite(m.value) else ""
        row[f"{m.item}: {m.check}: points"] = f"{m.points_milli / 1000:g}"
    return list(rows.values())


def _by_digit(reading: Reading) -> dict[str, object]:
    row: dict[str, object] = {"samples of": reading.name, "read the same": f"{reading.agreement:.2f}"}
    for digit in DIGITS:
        row[f"{digit}"] = f"{reading.read[digit]:.2f}"
        row[f"{digit}: read the same"] = f"{reading.agreed[digit]:.2f}"
    return row


def _measurements(path: Path, rubric: Rubric) -> list[ModelMeasurement]:
    checks = [(item.id, spec.check, spec.points_milli) for item in rubric.items for spec in item.checks]
    measurements = []
    for row in _rows(path):
        for item, check, most in checks:
            column = f"{item}: {check}"
            if not row.get(f"{column}: points"):
                continue  # the model was not trained for this item
            value, error = (
                _number(path, row, name) if row.get(name) else math.nan
                for name in (column, f"{column}: standard error")
            )
            points = round(1000 * _number(path, row, f"{column}: points"))
            seed = int(_number(path, row, "seed"))
            measurements.append(
                ModelMeasurement(row["model"], seed, row["group"], item, check, value, error, points, most)
            )
    return measurements


def _thresholds(path: Path, rubric: Rubric) -> list[Threshold]:
    params = {(item.id, spec.check): spec.params for item in rubric.items for spec in item.checks}
    types: dict[str, Callable[[float], object]] = {"int": int, "float": float}
    rows = []
    for row in _rows(path):
        ends = params.get((row.get("item", ""), row.get("check", "")), {})
        if "zero_at" not in ends or "full_at" not in ends:
            continue  # a check that the rubric no longer has
        values = {
            field.name: types[str(field.type)](_number(path, row, field.name))
            if field.type in types
            else row[field.name]
            for field in fields(Threshold)
        }
        now = {end: float(ends[end]) for end in ("zero_at", "full_at")}
        rows.append(Threshold(**{**values, **now}))  # type: ignore[arg-type]
    return rows


def _readings(path: Path) -> list[Reading]:
    return [
        Reading(
            row["samples of"],
            _number(path, row, "read the same"),
            [_number(path, row, f"{digit}") for digit in DIGITS],
            [_number(path, row, f"{digit}: read the same") for digit in DIGITS],
        )
        for row in _rows(path)
    ]


def _rows(path: Path) -> list[dict[str, str]]:
    try:
        with path.open(encoding="utf-8", newline="") as stream:
            return list(csv.DictReader(stream))
    except FileNotFoundError:
        raise GraderError(f"{path}: no such table; run `make calibrate`") from None


def _number(path: Path, row: dict[str, str], column: str) -> float:
    try:
        return float(row[column])
    except (KeyError, TypeError, ValueError):
        got = str(row.get(column))[:40]
        raise GraderError(f"{path}: column {column!r}: expected a number, got {got!r}; run `make calibrate`") from None
