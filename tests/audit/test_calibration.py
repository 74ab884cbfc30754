"""Thresholds follow from the worst ordinary correct model and the spread of seeds, and the rubric must keep them."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_exercise.running import rubric as toy_rubric

from grader.audit.calibrate import charts, redraw
from grader.audit.calibration import (
    ModelMeasurement,
    ModelScore,
    Threshold,
    faults,
    ladders,
    measurements,
    model_score,
    thresholds,
    total_error,
)
from grader.audit.calibration_page import PageContent, page
from grader.audit.calibration_pictures import sheet, strip_chart
from grader.audit.calibration_tables import StripRating, Tables, read_sorted, read_tables, write_tables
from grader.audit.command import SolutionBySeed, repeat_csv
from grader.audit.corpus import Solution
from grader.errors import GraderError
from grader.exercise import Reading
from grader.exercises.vae_mnist.checks import CHECKS
from grader.records import CheckSpec, CheckVerdict, ItemVerdict, MeasuredValue, Outcome, Rubric, RubricItem
from grader.rubric import load_rubric
from grader.skeleton.exercise.plugin import TwoNumbers

PROJECT = Path(__file__).parents[2]
DOCS = PROJECT / "docs"
ITEM, CHECK = "one.training", "training_lowers_the_loss"


def measured(model: str, group: str, value: float, seed: int = 0, points: int = 1000) -> ModelMeasurement:
    return ModelMeasurement(model, seed, group, ITEM, CHECK, value, 0.001, points, 1000)


def rubric(zero_at: float, full_at: float) -> Rubric:
    spec = CheckSpec(CHECK, 1000, {"zero_at": zero_at, "full_at": full_at})
    return replace(toy_rubric(), items=(RubricItem(ITEM, "Quality", 1000, (spec,)),))


def row(models: list[ModelMeasurement], zero_at: float, full_at: float) -> Threshold:
    (threshold,) = thresholds(models, rubric(zero_at, full_at))
    return threshold


LARGER = [
    *(measured("good", "ordinary", value, seed) for seed, value in enumerate((0.89, 0.91, 0.9))),
    measured("plain", "ordinary", 0.8),
    measured("odd", "weak", 0.5, points=400),
    measured("bad", "defective", 0.2, points=0),
]


def test_full_points_begin_two_total_errors_before_the_worst_ordinary_model() -> None:
    threshold = row(LARGER, 0.3, 0.77)
    assert (threshold.worst, threshold.worst_model, threshold.models) == (0.8, "plain", 4)
    assert threshold.total_error == pytest.approx(0.01)  # of the three seeds of the one model that has several
    assert threshold.full_by_rule == 0.78
    assert threshold.margin.gap == pytest.approx(0.03)
    assert threshold.margin.fault == ""


def test_the_rule_works_where_smaller_is_better() -> None:
    threshold = row([replace(m, value=0.1 / m.value) for m in LARGER], 0.5, 0.13)
    assert (threshold.worst_model, threshold.full_by_rule) == ("plain", 0.13)
    assert threshold.margin.fault == ""


def test_the_total_error_pools_what_seeds_move_within_models() -> None:
    values = {"a": (1.0, 3.0), "b": (10.0, 10.0, 13.0)}
    of_models = [measured(model, "ordinary", v, seed) for model, vs in values.items() for seed, v in enumerate(vs)]
    within = sum(((np.array(vs) - np.mean(vs)) ** 2).sum() for vs in values.values())
    assert total_error(of_models) == pytest.approx(float(within / 3) ** 0.5)
    assert total_error(of_models[:1]) == 0


@pytest.mark.parametrize(
    ("ends", "fault"),
    [
        ((0.3, 0.85), "full_at is 0.85, but the worst ordinary correct model reaches only 0.8"),
        ((0.3, 0.79), "expected at least 2 times 0.01 (standard deviation between training seeds)"),
    ],
)
def test_a_rubric_off_its_margin_is_named(ends: tuple[float, float], fault: str) -> None:
    assert fault in row(LARGER, *ends).margin.fault
    assert any(fault in sentence for sentence in faults([row(LARGER, *ends)], []))


def model(
    name: str, points: int, ladder: str = "", group: str = "defective", most: float = 1.0, seed: int = 0
) -> ModelScore:
    return ModelScore(name, seed, group, ladder, points, 1000, most)


@pytest.mark.parametrize(
    ("models", "fault"),
    [
        ([model("fine", 1000, group="ordinary"), model("odd", 400, group="weak")], ""),
        ([model("fine", 900, group="ordinary", seed=2)], "fine, seed 2: an ordinary correct model loses 0.1 points"),
        ([model("a", 700, "l"), model("b", 400, "l"), model("c", 150, "l")], ""),
        ([model("a", 400, "l"), model("b", 700, "l"), model("c", 150, "l")], "'l': b earns 70 %, the milder a 40 %"),
        ([model("a", 400, "l"), model("b", 250, "l")], "the last rung, b, earns 25 %, expected at most 20 %"),
        (
            [model("a", 700, most=0.6, seed=1)],
            "a, seed 1: earns 70 % of the points that it spoils, expected at most 60 %",
        ),
    ],
)
def test_models_that_earn_too_much_or_too_little_are_reported(models: list[ModelScore], fault: str) -> None:
    sentences = faults([], models)
    assert len(sentences) == bool(fault)
    assert all(fault in sentence for sentence in sentences)


def test_a_model_with_several_seeds_is_one_rung_of_its_ladder() -> None:
    rungs_of = ladders([model("a", 1, "l"), model("a", 2, "l", seed=1), model("b", 1, "l"), model("c", 1)])
    assert {name: [rung.model for rung in rungs] for name, rungs in rungs_of.items()} == {"l": ["a", "b"]}


def test_a_defect_counts_where_it_spoils_pictures_and_a_correct_model_everywhere() -> None:
    level = MeasuredValue("loss", 0.5, 0.01, 0.0, 1.0)
    checks = (
        CheckVerdict("component", "", Outcome.FAILED, 0, 1000, ""),
        CheckVerdict(CHECK, "", Outcome.PARTIAL, 500, 1000, "", level=level),
        CheckVerdict("other", "", Outcome.SKIPPED, 0, 500, "not graded"),
    )
    items = [ItemVerdict(f"{part}.training", "", Outcome.PARTIAL, 500, 2500, checks) for part in ("one", "two")]
    pictures = frozenset({CHECK, "other"})
    of_model = measurements(Solution("x", "models", "", group="weak"), 2, ("one", "two"), items, items, pictures)
    assert [(m.name, m.item, m.check) for m in of_model][:2] == [
        ("x, seed 2", ITEM, CHECK),
        ("x, seed 2", ITEM, "other"),
    ]
    assert [m.value for m in of_model[::2]] == [0.5, 0.5]
    assert model_score(Solution("x", "models", "", group="weak"), of_model).share == pytest.approx(1000 / 3000)
    spoils = Solution("x", "models", "", group="defective", spoils=["two.training"], ladder="l", most=0.2)
    assert model_score(spoils, of_model) == ModelScore("x", 2, "weak", "l", 500, 1500, 0.2)
    assert measurements(Solution("x", "models", ""), 0, ("two",), items, [], pictures)[0].group == "ordinary"


@pytest.mark.parametrize("sign", [1, -1], ids=["larger is better", "smaller is better"])
def test_a_chart_names_the_worst_correct_and_the_best_defective_model(sign: int) -> None:
    models = [replace(m, value=sign * m.value) for m in [*LARGER, measured("lost", "defective", float("nan"))]]
    chart = strip_chart(row(models, sign * 0.26, sign * 0.5), models).decode()
    assert "ordinary correct (4), worst: plain" in chart
    assert "defective (1), best: bad" in chart
    assert chart.count('class="end" d="M272.3 ') == 1  # where full points begin


def test_strips_are_placed_below_each_other() -> None:
    from io import BytesIO

    from PIL import Image

    images = np.zeros((2, 20, 28, 28), np.float32)
    picture = Image.open(BytesIO(sheet([("no points", images), ("all points", images)])))
    assert picture.width == 20 * 56
    assert picture.height == 2 * (30 + 112 + 14)


def test_the_checks_in_which_smaller_is_better_say_so() -> None:
    smaller = {name for name, check in CHECKS.items() if check.smaller_is_better}
    assert {"samples_resemble_digits", "samples_are_new", "samples_are_the_decoders_own"} <= smaller
    assert "reconstructions_resemble_the_images" not in smaller


def test_points_that_depend_on_the_seed_are_reported() -> None:
    one, two = (("vae.loss", 5000),), (("vae.loss", 4500),)
    assert SolutionBySeed("same", {"1": one, "2": one}, {}).faults == []
    moved = SolutionBySeed("moved", {"1": one, "2": two}, {"3": "no box"})
    assert moved.faults == ["moved: seed 3: no box", "moved: vae.loss: points depend on the seed: 4.5, 5"]
    assert b"moved,2,4.5" in repeat_csv([moved])


def test_the_page_says_what_levels_mean_and_how_viewers_sorted_the_strips() -> None:
    opinions = [
        StripRating(ITEM, "good", "good", "good"),
        StripRating(ITEM, "bad", "no", "no"),
        StripRating(ITEM, "odd", "acceptable", "no"),
    ]
    reading = Reading("good", 0.9, [0.1] * 10, [0.8] * 10)
    threshold = row(LARGER, 0.3, 0.77)
    words = {CHECK: "{percent:.0f} of 100 are right"}
    models = [model("bad", 0, "l"), model("good", 1000, group="ordinary", seed=2)]
    tables = Tables([threshold], LARGER, models, [reading], {"torch": "2", "samples": "9"}, opinions)
    text = page(PageContent(tables, rubric(0.3, 0.77), TwoNumbers(), words))
    assert (
        "| 1 | at least 77 of 100 are right | at most 30 of 100 | 80 of 100 (plain) | 20 of 100 (bad), earned 0 |"
        in text
    )
    assert "- By construction, all 1 ordinary correct designs (1 trainings) earn full points in every check" in text
    assert "- 0 of 0 defective models with a stated limit" in text
    assert "| l | bad 0 % |" in text
    assert "Both viewers chose the same class for 2 of 3 strips; 0 were *no*" in text
    assert f"| `{ITEM}` | good | good (1) |" in text
    assert f"| `{ITEM}` | differ | 1 | each 0.4 | 1 |" in text
    assert "| good | 90 % | 10 (80) |" in text
    assert "| good, seed 2 | ordinary | 1 of 1 | 100 % |" in text
    assert "with 9 samples each (torch 2)" in text


def test_the_committed_page_and_charts_are_what_the_tables_give(tmp_path: Path) -> None:
    for table in DOCS.glob("calibration*.csv"):
        shutil.copy(table, tmp_path)
    assert redraw(PROJECT / "rubric.yaml", tmp_path) == []
    paths = [Path("calibration.md"), *(path.relative_to(tmp_path) for path in tmp_path.glob("calibration/*.svg"))]
    assert len(paths) > 20
    for path in paths:
        same = (tmp_path / path).read_bytes() == (DOCS / path).read_bytes()
        assert same, f"docs/{path} is out of date; run `python -m grader calibrate --redraw`"
    kept = {path.name for path in DOCS.glob("calibration/*") if not path.name.endswith(".strips.png")}
    assert kept == {path.name for path in paths[1:]}


def test_tables_are_read_as_they_were_written(tmp_path: Path) -> None:
    course = load_rubric(PROJECT / "rubric.yaml")[0]
    known = read_tables(DOCS, course)
    write_tables(tmp_path, known.rows, known.rows[:1], known.measurements, known.readings, course)
    again = read_tables(tmp_path, course)
    assert (again.rows, again.models, again.readings) == (known.rows, known.models, known.readings)
    assert dict(charts(again.rows, again.measurements)) == dict(charts(known.rows, known.measurements))
    (tmp_path / "calibration_models.csv").write_text(
        "model,seed,group,vae.generation: samples_differ: points\na,0,,x\n"
    )
    with pytest.raises(GraderError, match="expected a number, got 'x'"):
        read_tables(tmp_path, course)
    (tmp_path / "calibration.csv").unlink()
    (tmp_path / "calibration_models.csv").unlink()
    with pytest.raises(GraderError, match="no such table"):
        read_tables(tmp_path, course)


@pytest.mark.parametrize(
    ("table", "why"),
    [
        ("item,model,first\na,b,no\n", "expected a column"),
        ("item,model,first,second\na,b,no,fine\n", "expected no, acc"),
    ],
)
def test_a_malformed_table_of_sorted_strips_is_refused(table: str, why: str, tmp_path: Path) -> None:
    path = tmp_path / "sorted.csv"
    assert read_sorted(path) == []
    path.write_text(table)
    with pytest.raises(GraderError, match=why):
        read_sorted(path)


def test_an_exercise_without_pictures_cannot_be_calibrated(tmp_path: Path) -> None:
    from small_exercise.running import write_exercise

    from grader.audit.calibrate import calibrate

    silent: Any = lambda text: None  # noqa: E731
    with pytest.raises(GraderError, match="expected a method `strip`"):
        calibrate(write_exercise(tmp_path), 1, silent)
