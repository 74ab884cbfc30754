"""Follow-through: an earlier mistake costs points once, and later items are graded again with correct code."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest
from small_exercise import notebook, running

from grader.evidence import AnswerSpec
from grader.exercise import ItemSpec, Questions
from grader.grading.correct_code import correct_code_questions, definitions
from grader.grading.follow_through import (
    Replacement,
    Retraining,
    _cost_beyond,
    _with_points_back,
    due_replacements,
    with_follow_through,
)
from grader.grading.grade import Options, grade, outcomes_with_correct_code
from grader.grading.regrade import regrade
from grader.grading.run import Case, box_pool, retrain
from grader.records import Address, Array, CheckVerdict, Evidence, FollowThrough, ItemVerdict, Outcome
from grader.report.words import item_remarks
from grader.skeleton.exercise.plugin import TwoNumbers

SETTINGS = FollowThrough(enabled=True, max_replaced=1, share=1.0)


def item(identity: str, points: int, of: int, check: str = "") -> ItemVerdict:
    outcome = Outcome.PASSED if points == of else Outcome.PARTIAL if points else Outcome.FAILED
    checks = (CheckVerdict(check, check, outcome, points, of, ""),) if check else ()
    return ItemVerdict(identity, identity.title(), outcome, points, of, checks)


def due_items(*items: ItemVerdict, **settings: Any) -> dict[str, tuple[str, ...]]:
    rubric = replace(running.rubric(), follow_through=replace(SETTINGS, **settings))
    return {part: replacement.items for part, replacement in due_replacements(items, rubric, TwoNumbers()).items()}


LOST = item("one.function", 0, 2000, "function_multiplies")
DOUBLE = Replacement(("one.function",), ("double",))
SPOILT = item("one.training", 0, 4000, "training_lowers_the_loss")


def test_an_affected_item_is_graded_again_only_where_an_earlier_one_was_lost() -> None:
    assert due_items(LOST, SPOILT) == {"one": ("one.function",)}
    assert due_items(item("one.function", 2000, 2000), SPOILT) == {}
    assert due_items(LOST, item("one.training", 4000, 4000, "training_lowers_the_loss")) == {}


@pytest.mark.parametrize(
    ("message", "followed"), [("NotImplementedError: triple", False), ("`triple` is not defined", False), ("no", True)]
)
def test_where_another_part_was_never_written_nothing_is_trained_again(message: str, followed: bool) -> None:
    class Both(TwoNumbers):
        items = MappingProxyType(
            {**TwoNumbers().items, "one.training": ItemSpec(depends_on=("one.function", "two.function"))}
        )

    open_one = item("two.function", 0, 1000, "function_multiplies")
    open_one = replace(open_one, checks=(replace(open_one.checks[0], message=message),))
    rubric = replace(running.rubric(), follow_through=SETTINGS)
    assert bool(due_replacements([LOST, open_one, SPOILT], rubric, Both())) is followed
    both = replace(SETTINGS, max_replaced=2)
    assert due_replacements([LOST, open_one, SPOILT], replace(rubric, follow_through=both), Both())


def test_follow_through_can_be_switched_off() -> None:
    assert due_items(LOST, SPOILT, enabled=False) == {}


def test_items_that_do_not_depend_on_training_are_not_graded_again() -> None:
    assert due_items(LOST, item("one.training", 0, 4000, "function_multiplies")) == {}


def test_a_mistake_without_later_effects_brings_no_correct_code() -> None:
    class Forgiving(TwoNumbers):
        checks = MappingProxyType(
            {name: replace(known, affects_later=False) for name, known in TwoNumbers.checks.items()}
        )

    rubric = replace(running.rubric(), follow_through=SETTINGS)
    assert due_replacements([LOST, SPOILT], rubric, Forgiving()) == {}


@pytest.mark.parametrize(("share", "followed"), [(0.5, True), (0.6, False)])
def test_correct_code_replaces_only_items_that_earned_enough_points(share: float, followed: bool) -> None:
    half = item("one.function", 1000, 2000, "function_multiplies")
    assert bool(due_items(half, SPOILT, min_earned={"one.function": share})) is followed
    assert due_items(half, SPOILT, min_earned={"two.function": 1.0})


@pytest.mark.parametrize(
    ("lost", "names"),
    [("function_multiplies", ("double",)), ("other_multiplies", ("triple",)), ("another", ("double", "triple"))],
)
def test_of_an_item_with_two_halves_only_the_wrong_one_is_replaced(lost: str, names: tuple[str, ...]) -> None:
    class Halved(TwoNumbers):
        names_by_check = MappingProxyType({"function_": "double", "other_": "triple"})
        items = MappingProxyType(
            {
                "one.function": ItemSpec(implements=("double", "triple"), names_by_check=names_by_check),
                "one.training": ItemSpec(depends_on=("one.function",)),
            }
        )
        checks = MappingProxyType({**TwoNumbers.checks, lost: TwoNumbers.checks["function_multiplies"]})

    rubric = replace(running.rubric(), follow_through=SETTINGS)
    (replacement,) = due_replacements([item("one.function", 0, 2000, lost), SPOILT], rubric, Halved()).values()
    assert replacement == Replacement(("one.function",), names)
    other = Retraining(Replacement(("one.function",), ("double", "triple")), "", Evidence({}, {}, {}))
    toy = replace(rubric, items=running.rubric().items[:2])
    _, training = with_follow_through(
        [item("one.function", 0, 2000, lost), SPOILT], toy, Halved(), Evidence({}, {}, {}), {"one": other}
    )
    assert (training.outcome is Outcome.NEEDS_REVIEW) is (len(names) == 1)  # a half was replaced that was sound


def test_a_mistake_that_affects_later_items_costs_at_least_what_the_rubric_says() -> None:
    rubric = replace(running.rubric(), follow_through=replace(SETTINGS, min_cost_milli=1000))
    cheap = item("one.function", 1750, 2000, "function_multiplies")
    assert _cost_beyond(cheap, rubric) == 750
    assert _cost_beyond(item("one.function", 1000, 2000), rubric) == 0
    second = item("one.training", 4000, 4000, "training_lowers_the_loss")
    first, cost_left = _with_points_back(SPOILT, second, (cheap.id,), rubric, 750)
    assert (first.points_milli, first.gained_milli, cost_left) == (3250, 3250, 0)
    little = item("one.training", 500, 4000, "training_lowers_the_loss")
    first, cost_left = _with_points_back(SPOILT, little, (cheap.id,), rubric, 750)
    assert (first, cost_left) == (replace(SPOILT, lost_in=(cheap.id,)), 250)  # it is the mistake's own price


def test_definitions_are_taken_and_nothing_that_runs() -> None:
    source = definitions(notebook.reference())
    assert "def double(x):" in source
    assert "SOLUTION" not in source
    assert "STEPS = 4" not in source
    assert "train_one(one, STEPS)" not in source


def test_a_box_receives_the_notebooks_own_names() -> None:
    texts = correct_code_questions(["double"], TwoNumbers(), {"double": "twice"}, "x = 1")
    assert json.loads(bytes(texts["replaced"])) == ["twice"]
    assert "twice" in json.loads(bytes(texts["interface"]))


def test_follow_through_never_takes_points_and_may_be_worth_less() -> None:
    partly = item("one.training", 1000, 4000, "training_lowers_the_loss")
    evidence = Evidence({}, {}, {})
    retrainings = {"one": Retraining(DOUBLE, "", evidence)}
    toy = running.rubric()
    rubric = replace(toy, items=toy.items[:2], follow_through=SETTINGS)
    assert with_follow_through([LOST, partly], rubric, TwoNumbers(), evidence, retrainings) == (LOST, partly)


@pytest.mark.parametrize(
    ("earned", "message", "needed"),
    [
        (500, "does not multiply by 2", {"one.function": 0.6}),
        (1000, "NotImplementedError: double", {"one.function": 0.6}),  # partly earned: it was written
        (0, "NotImplementedError: double", {}),  # a report names unwritten code by itself
        (2000, "", {}),
    ],
)
def test_a_report_says_that_an_item_earned_too_little_to_be_replaced(
    earned: int, message: str, needed: dict[str, float]
) -> None:
    toy = running.rubric()
    follow = replace(SETTINGS, min_earned={"one.function": 0.6})
    rubric = replace(toy, items=toy.items[:2], follow_through=follow)
    cause = item("one.function", earned, 2000, "function_multiplies")
    cause = replace(cause, checks=(replace(cause.checks[0], message=message),))
    evidence = Evidence({}, {}, {})
    first, training = with_follow_through([cause, SPOILT], rubric, TwoNumbers(), evidence, {})
    assert (training.outcome, training.lost_in, training.not_replaced) == (Outcome.FAILED, (), needed)
    notes = [note for note in item_remarks(training, [first, training]) if "at least 60 % of its points" in note]
    assert len(notes) == len(needed)
    _, passed = with_follow_through(
        [cause, item("one.training", 4000, 4000, "training_lowers_the_loss")], rubric, TwoNumbers(), evidence, {}
    )
    assert passed.not_replaced == {}


def test_a_follow_through_that_was_never_run_needs_review() -> None:
    toy = running.rubric()
    rubric = replace(toy, items=toy.items[:2], follow_through=SETTINGS)
    _, training = with_follow_through([LOST, SPOILT], rubric, TwoNumbers(), Evidence({}, {}, {}), {})
    assert training.outcome is Outcome.NEEDS_REVIEW
    assert training.lost_in == ("one.function",)


class WithoutSecondBox(TwoNumbers):
    """The small exercise without questions about quality, so that nothing is asked in a second box."""

    def questions(self, rng: np.random.Generator, sizes: Mapping[str, int]) -> Questions:
        return {stage: asked for stage, asked in super().questions(rng, sizes).items() if stage.kind != "quality"}

    def answer_specs(self, sizes: Mapping[str, int]) -> Mapping[Address, AnswerSpec]:
        specs = super().answer_specs(sizes)
        return {address: spec for address, spec in specs.items() if address.stage.kind in {"components", "trained"}}

    def second_questions(self, evidence: Evidence, states: Mapping[str, Mapping[str, Array]]) -> Questions:
        return {}


def test_an_exercise_without_a_second_box_is_trained_again() -> None:
    exercise, settings = WithoutSecondBox(), running.rubric()
    questions = exercise.questions(np.random.default_rng(1), settings.sizes)
    correct_code = correct_code_questions(["double"], exercise, {}, definitions(notebook.reference()))
    submission = running.restored(notebook.submission(double="def double(x):\n    return 9 * x", train_one=TRAIN))
    with box_pool(exercise, settings.limits, {}, "bubblewrap") as boxes:
        evidence = retrain(Case(submission, settings, exercise, questions, boxes), "one", correct_code, lambda _: None)
    history = evidence.answers[Address.of("trained", "one", "history").array("history")]
    assert history[-1] < history[0]
    assert dict(evidence.faults) == {}


def graded(folder: Path, **cells: str) -> Any:
    path = folder / "someone.ipynb"
    path.write_text(json.dumps(notebook.submission(**cells)))
    report, _ = grade(path, running.write_exercise(folder, follow=True), folder / "run", Options(), lambda _: None)
    return report


@pytest.mark.parametrize("function", ["def double(x):\n    return -9 * x", "def double(x:"])
def test_a_broken_function_costs_its_own_item_alone(function: str, tmp_path: Path) -> None:
    report = graded(tmp_path, **{"double": function, "train_one": TRAIN})
    one, training = report.items[:2]
    assert (one.points_milli, training.points_milli, training.gained_milli) == (0, 4000, 4000)
    assert training.lost_in == ("one.function",)
    assert "not counted again here" in item_remarks(training, report.items)[0]
    assert "Lost here, not counted again" in item_remarks(one, report.items)[0]
    assert regrade(tmp_path / "run", tmp_path / "rubric.yaml").points_milli == report.points_milli


def test_output_of_the_follow_through_run_never_reaches_a_report(tmp_path: Path) -> None:
    loud = TRAIN + "\n    if double(1) == 2:\n        print('GIVEN ' + 'AWAY', double.__code__.co_consts)"
    loud += "\n        raise ValueError('GIVEN ' + 'AWAY')"
    report = graded(tmp_path, **{"double": "def double(x):\n    return -9 * x", "train_one": loud})
    assert report.items[0].points_milli == 0
    for name in ("report.html", "report.json", "results.json", "executed.ipynb", "execution.json"):
        assert "GIVEN AWAY" not in (tmp_path / "run" / name).read_text()


def test_a_correct_function_does_not_make_up_for_a_wrong_training_loop(tmp_path: Path) -> None:
    wrong = TRAIN.replace("-= double", "+= double")
    report = graded(tmp_path, **{"double": "def double(x):\n    return 9 * x", "train_one": wrong})
    assert report.items[1].points_milli == 0
    assert report.items[1].gained_milli == 0


TRAIN = (
    "def train_one(model, steps):\n    model['history'] = []\n    for _ in range(steps):\n"
    "        loss = (model['weight'] - 5.0) ** 2\n        model['weight'] -= double(0.2 * (model['weight'] - 5.0))\n"
    "        model['history'].append(loss)"
)


def test_the_progress_says_what_outcomes_with_correct_code_correct_code() -> None:
    helped = ItemVerdict("cvae.samples", "samples", Outcome.PARTIAL, 7750, 9000, (), gained_milli=7750)
    lost = replace(helped, id="vae.samples", gained_milli=0)
    unsure = replace(lost, outcome=Outcome.NEEDS_REVIEW, lost_in=("vae.loss",))
    assert list(outcomes_with_correct_code(["vae", "cvae"], [lost, helped])) == [
        "VAE with correct code: did not help; the points stay lost",
        "CVAE with correct code: points given back: 7.75",
    ]
    assert list(outcomes_with_correct_code(["vae"], [unsure])) == [
        "VAE with correct code: could not be graded automatically; needs manual review"
    ]
