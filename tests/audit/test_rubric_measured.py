"""The measurements that the rubric quotes are those of the calibration, and every quality threshold quotes some."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from grader.rubric import load_rubric

ROOT = Path(__file__).parents[2]
RUBRIC, EXERCISE = load_rubric(ROOT / "rubric.yaml")
GRADED = [
    (item.id, spec)
    for item in RUBRIC.items
    for spec in item.checks
    if EXERCISE.checks[spec.check].needs_training and "full_at" in spec.params
]


def models() -> dict[str, dict[str, str]]:
    with (ROOT / "docs" / "calibration_models.csv").open(encoding="utf-8", newline="") as stream:
        return {row["model"]: row for row in csv.DictReader(stream) if row["seed"] == "0"}


@pytest.mark.parametrize("number", range(len(GRADED)), ids=[f"{item}: {spec.check}" for item, spec in GRADED])
def test_every_quality_threshold_quotes_its_measurements(number: int) -> None:
    item, spec = GRADED[number]
    assert "reference" in spec.measured
    assert len(spec.measured) >= 2
    for model, value in spec.measured.items():
        assert float(value) == pytest.approx(float(models()[model][f"{item}: {spec.check}"]), rel=0.01, abs=1e-6), model
