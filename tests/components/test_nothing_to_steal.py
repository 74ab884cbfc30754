"""The grader's files in the box earn no points when they are submitted as a solution."""

from __future__ import annotations

import ast
import contextlib
import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from answers_in_process import answers_of
from grading import RUBRIC as RUBRIC_FILE

from grader.exercises.vae_mnist import in_box
from grader.exercises.vae_mnist.in_box.probe import STAGES
from grader.grading.correct_code import definitions
from grader.grading.run import IN_BOX_FOLDER
from grader.grading.verdicts import item_verdicts
from grader.notebook.format import load_notebook
from grader.records import Evidence, Fault, ItemVerdict, Stage
from grader.rubric import load_rubric

PROBE = Path(in_box.__file__).parent
MODULES = sorted([*PROBE.glob("*.py"), *IN_BOX_FOLDER.glob("*.py")])
NETWORKS = ("Encoder", "Decoder", "ConditionalEncoder", "ConditionalDecoder")
FUNCTIONS = ("vae_loss", "train_vae", "train_cvae", "sample_vae", "sample_cvae")
RUBRIC, EXERCISE = load_rubric(RUBRIC_FILE)


def template() -> dict[str, Any]:
    """The untouched template's variables."""
    variables: dict[str, Any] = {"__name__": "__main__", "LATENT_DIM": 8, "DEVICE": torch.device("cpu")}
    exec(compile(definitions(load_notebook(RUBRIC_FILE.parent / RUBRIC.template)), "<ipython>", "exec"), variables)
    return variables


def contents(path: Path) -> dict[str, Any]:
    """What a student gets who executes the module's text, up to where it stops."""
    variables: dict[str, Any] = {"__name__": "stolen", "__file__": str(path)}
    if path.parent == PROBE:
        variables["__package__"] = in_box.__name__
    with contextlib.suppress(Exception, SystemExit):
        exec(compile(path.read_text(encoding="utf-8"), "<ipython>", "exec"), variables)
    return variables


def handed_in(variables: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The template with each object used instead of every class or function that it could pass for."""
    for thing in {id(value): value for value in variables.values() if callable(value)}.values():
        if getattr(thing, "__module__", "").startswith(("torch", "numpy", "typing", "contextlib")):
            continue  # anybody may import these
        student = template()
        if inspect.isclass(thing):
            student |= dict.fromkeys(NETWORKS, thing) if issubclass(thing, torch.nn.Module) else {}
            methods = [value for name, value in vars(thing).items() if _may_be_called(value) and name[:2] != "__"]
        elif not _may_be_called(thing):
            continue
        else:
            student |= dict.fromkeys(FUNCTIONS, thing)
            methods = [lambda self, *args, thing=thing: thing(*args)]
        for method in methods or [None]:
            for model in ("VAE", "CVAE") if method else ():
                student[model] = type(model, (student[model],), {"reparameterize": method})
            yield student


def _may_be_called(thing: object) -> bool:
    return callable(thing) and not inspect.iscoroutinefunction(thing)


def graded(student: dict[str, Any], questions: dict[Stage, dict[str, Any]]) -> tuple[ItemVerdict, ...]:
    arrays, answers, faults = {}, {}, dict[str, Fault]()
    for part in EXERCISE.parts:
        for stage in (Stage.of("components", part), Stage.of("sampling", part)):
            arrays |= {stage.array(name): array for name, array in questions[stage].items()}
            for question in STAGES[stage]:
                answer, fault = answers_of(stage, question, student, questions[stage])
                answers |= answer
                faults |= fault
    return item_verdicts(Evidence(arrays, answers, faults), RUBRIC, EXERCISE.checks)


@pytest.mark.parametrize("path", MODULES, ids=[f"{path.parent.parent.name}/{path.stem}" for path in MODULES])
def test_a_module_of_the_box_earns_nothing(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(IN_BOX_FOLDER))
    questions = EXERCISE.questions(np.random.default_rng(5), {**RUBRIC.sizes, "draws": 50, "toy_samples": 60})
    variables = contents(path)
    assert len(variables) > 4 or len(ast.parse(path.read_text(encoding="utf-8")).body) <= 1  # a docstring alone
    for student in handed_in(variables):
        for item in graded(student, questions):
            may_earn = item.id.endswith(".reparameterization") and hands_back_mu(student)
            assert item.points_milli == 0 or may_earn, item


def hands_back_mu(student: dict[str, Any]) -> bool:
    """Whether the reparameterization gives back what it is given: a line that anybody may write, and no solution."""
    mu = torch.ones(1)
    try:
        return torch.equal(student["VAE"].reparameterize(None, mu, mu), mu)
    except Exception:
        return False


def test_the_untouched_template_is_what_that_is_compared_with() -> None:
    questions = EXERCISE.questions(np.random.default_rng(5), RUBRIC.sizes)
    assert not any(item.points_milli for item in graded(template(), questions))
