"""Margins compare what the calibration measured with the rubric as it is now."""

from __future__ import annotations

from pathlib import Path

import pytest
from audit_samples import rubric

from grader.audit.calibration import read_margins
from grader.errors import GraderError


def test_without_a_calibration_there_are_no_margins(tmp_path: Path) -> None:
    assert read_margins(tmp_path / "calibration.csv", rubric()) is None


def test_margins_use_the_rubrics_current_thresholds(tmp_path: Path) -> None:
    path = tmp_path / "calibration.csv"
    path.write_text(
        "item,check,worst,total_error,zero_at,full_at\n"
        "one.draw,draws_well,0.9,0.1,0.3,0.5\n"
        "two.draw,draws_well,0.9,0.2,0.3,0.5\n"
        "one.draw,gone,0.9,0.1,0.3,0.5\n"
    )
    margins = read_margins(path, rubric())
    assert margins is not None
    assert list(margins) == ["one.draw: draws_well", "two.draw: draws_well"]
    assert margins["one.draw: draws_well"].gap == pytest.approx(0.3)  # full_at is 0.6 in the rubric
    assert margins["one.draw: draws_well"].fault == ""
    assert "expected at least 2 times" in margins["two.draw: draws_well"].fault


def test_a_table_without_numbers_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "calibration.csv"
    path.write_text("item,check,worst,total_error\none.draw,draws_well,much,0\n")
    with pytest.raises(GraderError, match="run `make calibrate`"):
        read_margins(path, rubric())
