"""Thresholds follow from the worst honest model and the best defect, and the rubric is held to them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from toy_exercise.running import rubric as toy_rubric

from grader.audit.calibrate import defect, page, strip_plot
from grader.audit.calibration import Measurement, Threshold, thresholds
from grader.audit.command import Repeated, repeat_csv
from grader.audit.corpus import Solution
from grader.exercises.vae_mnist.checks import CHECKS
from grader.records import CheckSpec, CheckVerdict, ItemVerdict, Outcome, Rubric, RubricItem

ITEM = "one.quality"


def measured(model: str, group: str, value: float, error: float = 0.001) -> Measurement:
    return Measurement(model, group, ITEM, "level", value, error)


def rubric(zero_at: float, full_at: float) -> Rubric:
    spec = CheckSpec("level", 1000, {"zero_at": zero_at, "full_at": full_at})
    return replace(toy_rubric(), items=(RubricItem(ITEM, "Quality", 1000, (spec,)),))


def row(models: list[Measurement], zero_at: float, full_at: float) -> Threshold:
    (found,) = thresholds(models, rubric(zero_at, full_at), frozenset({"level"}))
    return found


LARGER = [
    measured("good", "honest", 0.9),
    measured("weak", "honest", 0.8),
    measured("odd", "varied", 0.1),
    measured("bad", "caught", 0.2),
    measured("worse", "caught", 0.0),
    measured("pretty", "other", 0.7),
]


def test_the_rule_cuts_between_the_worst_honest_model_and_the_best_defect() -> None:
    found = row(LARGER, 0.26, 0.5)
    assert (found.zero_at, found.full_at) == (0.26, 0.5)
    assert (found.honest_worst_model, found.best_defect_model) == ("weak", "bad")
    assert found.margin.gap == pytest.approx(0.3)
    assert found.overlaps == ("pretty",)
    assert found.margin.fault == ""


def test_the_rule_works_where_smaller_is_better() -> None:
    models = [replace(m, value=-m.value) for m in LARGER]
    found = row(models, -0.26, -0.5)
    assert (found.zero_at, found.full_at, found.overlaps) == (-0.26, -0.5, ("pretty",))
    assert found.margin.gap == pytest.approx(0.3)


@pytest.mark.parametrize(
    ("changes", "ends", "fault"),
    [
        ({}, (0.26, 0.85), "not met by the worst honest model"),
        ({}, (0.1, 0.5), "pays the best defect"),
        ({"weak": {"standard_error": 0.1}}, (0.26, 0.5), "is large beside the margin"),
        ({"bad": {"value": 0.85}}, (0.26, 0.5), "pays the best defect"),
    ],
)
def test_a_rubric_off_its_margins_is_named(changes: dict[str, Any], ends: tuple[float, float], fault: str) -> None:
    models = [replace(m, **changes.get(m.model, {})) for m in LARGER]
    assert fault in row(models, *ends).margin.fault


def test_a_check_has_a_picture() -> None:
    assert strip_plot(row(LARGER, 0.26, 0.5), LARGER).startswith(b"\x89PNG")


def test_the_checks_in_which_smaller_is_better_say_so() -> None:
    smaller = {name for name, check in CHECKS.items() if check.smaller_is_better}
    assert {"samples_resemble_digits", "samples_are_new", "samples_are_the_decoders_own"} <= smaller
    assert "reconstructions_resemble_the_images" not in smaller


def test_points_that_depend_on_the_seed_are_named() -> None:
    one, two = (("vae.loss", 5000),), (("vae.loss", 4500),)
    assert Repeated("same", {"1": one, "2": one}, {}).faults == []
    moved = Repeated("moved", {"1": one, "2": two}, {"3": "no box"})
    assert moved.faults == ["moved: seed 3: no box", "moved: vae.loss: 4.5, 5 points, depending on the seed"]
    assert b"moved,2,4.5" in repeat_csv([moved])


def test_the_page_says_what_catches_each_defect() -> None:
    checks = (
        CheckVerdict("component", "", Outcome.FAILED, 0, 1000, "", ""),
        CheckVerdict("level", "", Outcome.PARTIAL, 500, 1000, "", ""),
        CheckVerdict("other", "", Outcome.PASSED, 1000, 1000, "", ""),
    )
    item = ItemVerdict(ITEM, "Quality", Outcome.PARTIAL, 1500, 3000, checks)
    solution = Solution("pretty", "models", "a pretty one", group="defective")
    found = defect(solution, ("one",), (item,), frozenset({"level"}))
    assert (found.components, found.pictures) == ((f"{ITEM}: component",), (f"{ITEM}: level",))
    assert defect(solution, ("two",), (item,), frozenset({"level"})).components == ()
    text = page([row(LARGER, 0.26, 0.5)], LARGER, [found], rubric(0.26, 0.5))
    assert f"| pretty | a pretty one | {ITEM}: component | {ITEM}: level |" in text
    assert "2 honest models, 1 honest ones with other constants, 3 defective ones" in text
