"""The decorator `@check(...)` makes a function a check, whatever its annotations; wrong uses are refused."""

from __future__ import annotations

import importlib
import inspect
import math
import pkgutil
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import replace
from importlib.metadata import EntryPoint
from itertools import count
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol

import numpy as np
import pytest
from small_exercise import running

import grader.exercises.vae_mnist.checks as vae_checks
import grader.skeleton.exercise.checks as skeleton_checks
from grader import exercise as exercise_module
from grader.checks import Check, Measurement, checks_of, score_measurement
from grader.errors import ExerciseError, RubricError
from grader.evidence import ArraySpec
from grader.exercise import Questions, load_exercise, refuse_unasked
from grader.grading.verdicts import item_verdicts
from grader.records import Address, Blame, Evidence, Outcome, Stage
from grader.rubric import load_rubric

HEAD = """
import grader.records as records
from grader.checks import check
from grader.checks import Measurement
from grader.records import Evidence, Finding
from grader.skeleton.exercise.plugin import TwoNumbers
"""
NOTHING = Evidence({}, {})
SKELETON = load_exercise("grader.skeleton.exercise")


class Written(Protocol):
    """Creates a module from that source, with the imports that checks need."""

    def __call__(self, source: str) -> ModuleType: ...


@pytest.fixture
def written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Written:
    monkeypatch.syspath_prepend(tmp_path)
    numbers = count()

    def make(source: str) -> ModuleType:
        name = f"written_{tmp_path.name.replace('-', '_')}_{next(numbers)}"
        (tmp_path / f"{name}.py").write_text(HEAD + textwrap.dedent(source))
        importlib.invalidate_caches()
        return importlib.import_module(name)

    return make


# What becomes a check


@pytest.mark.parametrize("future", ["", "from __future__ import annotations\n"], ids=["evaluated", "as text"])
@pytest.mark.parametrize(
    "returns", ["", " -> Finding", ' -> "Finding"', " -> Finding | None", " -> records.Finding", " -> object"]
)
def test_a_check_registers_however_it_is_annotated(
    returns: str, future: str, written: Written, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(f"{__name__}.HEAD", future + HEAD)
    module = written(
        f"""
        @check()
        def it_is_so(evidence, part, *, tolerance: float){returns}:
            '''It is so.'''
            return Finding(tolerance, part)
        """
    )
    (registered_check,) = checks_of(module).values()
    assert (registered_check.name, registered_check.title, registered_check.numbers) == (
        "it_is_so",
        "It is so.",
        ("tolerance",),
    )
    assert registered_check(NOTHING, "one", tolerance=0.5).message == "one"


def test_imported_checks_and_undecorated_functions_are_not_checks_of_a_module(written: Written) -> None:
    one = written("@check()\ndef first(evidence, part): ...\nagain = first\ndef _helper(evidence): ...")
    two = written(f"from {one.__name__} import first\n@check(presupposes=(first,))\ndef second(evidence, part): ...")
    assert list(checks_of(one)) == ["first"]
    assert list(checks_of(one, two)) == ["first", "second"]


def test_an_exercise_has_only_the_checks_of_its_own_modules() -> None:
    assert set(SKELETON.checks) == {"function_multiplies", "training_lowers_the_loss", "fresh_process_agrees"}
    assert not set(SKELETON.checks) & set(vae_checks.CHECKS)


def modules() -> Iterator[ModuleType]:
    yield skeleton_checks
    for module_info in pkgutil.iter_modules(vae_checks.__path__):
        yield importlib.import_module(f"{vae_checks.__name__}.{module_info.name}")


GATHERED = [*vae_checks.CHECKS.values(), *SKELETON.checks.values()]


@pytest.mark.parametrize("module", list(modules()), ids=lambda module: module.__name__)
def test_every_function_that_looks_like_a_check_is_decorated_and_gathered(module: ModuleType) -> None:
    """In a module of checks, every public function that takes evidence; names of helpers begin with an underscore."""
    held = [value for value in vars(module).values() if isinstance(value, Check)]
    assert [held_check.name for held_check in held if held_check not in GATHERED] == []
    assert not held or unmarked(module) == []


def unmarked(module: ModuleType) -> list[str]:
    """The module's public functions without the decorator whose first argument is `evidence`."""
    return [
        name
        for name, value in vars(module).items()
        if inspect.isfunction(value) and value.__module__ == module.__name__ and not name.startswith("_")
        if next(iter(inspect.signature(value).parameters), "") == "evidence"
    ]


def test_a_forgotten_decorator_is_found(written: Written) -> None:
    module = written("@check()\ndef one(evidence, part): ...\ndef two(evidence, part) -> Finding: ...")
    assert unmarked(module) == ["two"]


# What is refused


WRONG = {
    "a number with a default": (
        "@check()\ndef a(evidence, part, *, tolerance=0.1): ...",
        ["'a'", "(evidence, part, *, numbers without defaults)", "tolerance=0.1"],
    ),
    "a number by position": ("@check()\ndef a(evidence, part, tolerance): ...", ["'a'", "tolerance)"]),
    "no parentheses": ("@check\ndef a(evidence, part): ...", ["'a'", "`@check()`"]),
    "no evidence": ("@check()\ndef a(part): ...", ["'a'", "got (part)"]),
    "nothing taken": ("@check()\ndef a(): ...", ["'a'", "got ()"]),
    "a level that takes an end": (
        "@check(has_thresholds=True)\ndef a(evidence, part, *, full_at): ...",
        ["'a'", "has_thresholds", "full_at", "leave them out"],
    ),
    "a direction without ends": (
        "@check(smaller_is_better=True)\ndef a(evidence, part, *, zero_at): ...",
        ["'a'", "smaller_is_better", "zero_at and full_at"],
    ),
    "presupposing a name": (
        "@check(presupposes=('b',))\ndef a(evidence, part): ...",
        ["'a'", "presupposes", "@check", "('b',)"],
    ),
    "presupposing without a tuple": (
        "@check()\ndef b(evidence, part): ...\n@check(presupposes=b)\ndef a(evidence, part): ...",
        ["'a'", "presupposes", "tuple"],
    ),
    "presupposing something else than a check": (
        "def b(evidence, part): ...\n@check(presupposes=(b,))\ndef a(evidence, part): ...",
        ["'a'", "presupposes", "@check"],
    ),
}


@pytest.mark.parametrize(("source", "fragments"), WRONG.values(), ids=WRONG.keys())
def test_wrong_use_of_the_decorator_is_refused_with_the_name_of_the_check(
    source: str, fragments: list[str], written: Written
) -> None:
    with pytest.raises(ExerciseError) as error:
        written(source)
    line = str(error.value)
    assert line.startswith("written_")
    assert "\n" not in line
    assert [part for part in fragments if part not in line] == []


def test_an_unknown_presupposed_check_is_refused(written: Written) -> None:
    one = written("@check()\ndef first(evidence, part): ...")
    two = written(f"from {one.__name__} import first\n@check(presupposes=(first,))\ndef second(evidence, part): ...")
    with pytest.raises(ExerciseError, match="'second': presupposes 'first', which is not among the exercise's checks"):
        checks_of(two)


def test_two_checks_with_the_same_name_are_refused(written: Written) -> None:
    one, two = (written("@check()\ndef first(evidence, part): ...") for _ in range(2))
    with pytest.raises(ExerciseError, match=f"'first': {one.__name__} has a check of that name, too"):
        checks_of(one, two)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (
            "items = {'one.function': ItemSpec(('double',), {'left_': 'tripel'})}",
            "names_by_check: the item does not ask for 'tripel'",
        ),
        ("items = {'one.training': ItemSpec(depends_on=('one.func',))}", "'one.func' is not another item with code"),
        ("items = {'one.a': ItemSpec(('double',), depends_on=('one.a',))}", "'one.a' is not another item with code"),
        ("items = {'one.a': ItemSpec(depends_on='one.b')}", r"depends_on: expected a tuple such as \('one.b',\)"),
        ("items = {'one.a': ItemSpec(('duoble',))}", "implements: unknown name 'duoble'; did you mean 'double'"),
        ("items = {'tow.a': ItemSpec(('double',))}", "'tow.a': expected `part.name` with a part of"),
        ("parts = 'one'", "parts: expected names in a tuple"),
        ("in_box = 'nowhere'", "in_box: nowhere: no such folder"),
        (
            "interface = replace(TwoNumbers.interface, train_functions={'line': 'train_one'})",
            "train_functions: unknown part 'line'",
        ),
        (
            "interface = replace(TwoNumbers.interface, train_functions={'one': 'fit'})",
            "train_functions: unknown name 'fit'",
        ),
    ],
)
def test_an_exercise_that_names_unknown_items_or_names_is_refused(changed: str, message: str, written: Written) -> None:
    module = written(
        "from dataclasses import replace\nfrom grader.exercise import ItemSpec\n"
        "from grader.skeleton.exercise.plugin import TwoNumbers\n"
        f"class Other(TwoNumbers):\n    {changed}\nexercise = Other"
    )
    with pytest.raises(ExerciseError, match=f"exercise '{module.__name__}': .*{message}"):
        load_exercise(module.__name__)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("def exercise(:", r"cannot be imported \(SyntaxError: .*\), in broken_exercise\.py, line 1"),
        ("x = 1\nundefined", r"cannot be imported \(NameError: .*\), in broken_exercise\.py, line 2"),
        (
            "def exercise():\n    return {}['x']",
            r"exercise\(\) failed \(KeyError: 'x'\), in broken_exercise\.py, line 2",
        ),
        ("def exercise():\n    return object()", "parts, .*questions, .* missing; make its class a subclass"),
        (
            "from grader.exercise import Exercise\nclass Mine(Exercise):\n"
            "    def questions(self, rng, sizes): ...\nexercise = Mine",
            r"exercise\(\) failed \(TypeError: .*answer_specs",
        ),
    ],
)
def test_an_exercise_that_fails_is_refused_in_one_line_with_its_place(
    source: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "broken_exercise", raising=False)
    (tmp_path / "broken_exercise.py").write_text(source)
    importlib.invalidate_caches()
    with pytest.raises(ExerciseError, match=message) as error:
        load_exercise("broken_exercise")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("stage", "address", "message"),
    [
        ("traned.one", "", "questions: unknown stage 'traned.one'; did you mean 'trained.one'"),
        ("trained.three", "", "questions: unknown stage 'trained.three'"),
        ("", "components.three/function", "answer_specs: components.three/function: unknown part"),
        (
            "",
            "sampling.one/draw",
            "answer_specs: sampling.one/draw: `questions` asks nothing in the stage sampling.one",
        ),
    ],
)
def test_questions_and_specified_answers_belong_together(stage: str, address: str, message: str) -> None:
    questions: Questions = {Stage.of("components", "one"): {}, **({Stage(stage): {}} if stage else {})}
    specs: dict[Address, Any] = {Address("components.one/function"): {}, **({Address(address): {}} if address else {})}
    with pytest.raises(ExerciseError, match=message):
        refuse_unasked(SKELETON, questions, specs)


def test_a_check_that_asks_for_an_unspecified_answer_is_a_grader_fault() -> None:
    answered = Evidence({}, {Address("trained.one/line").array("slope"): np.ones(1, np.float32)}, {})
    for asked, name in ((Address("trained.one/lien"), "slope"), (Address("trained.one/line"), "slpoe")):
        fault = answered.fault(asked, name)
        assert fault.blame is Blame.OURS
        assert "which the exercise does not specify" in fault.message
    assert answered.fault(Address("quality.one/apply"), "y").blame is Blame.STUDENT  # nothing of that stage came back


def test_a_measurement_that_is_not_a_number_is_a_grader_fault() -> None:
    finding = score_measurement(Measurement("share", math.nan, 0.0, "good", ""), zero_at=0.0, full_at=1.0)
    assert finding.score is None
    with pytest.raises(ValueError, match="expected kind"):
        ArraySpec("floats", 1)


def test_a_measurement_without_has_thresholds_is_a_grader_fault(written: Written) -> None:
    module = written(
        "@check()\ndef function_multiplies(evidence, part, *, tolerance):\n"
        "    return Measurement('share', 1.0, 0.0, 'they are', 'Look.')"
    )
    toy = running.rubric()
    (item,) = item_verdicts(NOTHING, replace(toy, items=toy.items[:1]), checks_of(module))
    assert item.outcome is Outcome.NEEDS_REVIEW
    assert "has_thresholds=True" in item.checks[0].message


# Use in a rubric


def test_a_check_that_an_item_does_not_have_is_not_presupposed_there(tmp_path: Path) -> None:
    text = running.rubric_text()
    alone = text.replace("      training_lowers_the_loss: {points: 2, zero_at: 1.0, full_at: 0.1}\n", "")
    path = tmp_path / "rubric.yaml"
    path.write_text(alone.replace("{points: 2, tolerance: 1.0e-4}", "{points: 4, tolerance: 1.0e-4}"))
    rubric, _ = load_rubric(path)
    assert [(spec.check, spec.presupposes) for spec in rubric.items[1].checks] == [("fresh_process_agrees", ())]


def test_a_check_with_thresholds_needs_both_in_the_rubric(tmp_path: Path) -> None:
    shipped = (Path(__file__).parents[1] / "rubric.yaml").read_text()
    (tmp_path / "rubric.yaml").write_text(shipped.replace("        full_at: 0.58\n", "", 1))
    with pytest.raises(RubricError, match="'reconstructions_resemble_the_images': full_at is missing"):
        load_rubric(tmp_path / "rubric.yaml")


def test_another_distribution_announces_an_exercise_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    point = EntryPoint("line", "grader.skeleton.exercise", exercise_module.EXERCISES)
    monkeypatch.setattr(exercise_module, "entry_points", lambda group: [point] if group == point.group else [])
    assert type(load_exercise("line")) is type(SKELETON)
    with pytest.raises(RubricError, match="cannot be imported"):
        load_exercise("another")
