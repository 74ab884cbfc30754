"""Feedback keeps its rules: short, about the student's work, and never the answer."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from grader.audit import corpus
from grader.audit.problems import answers_of, faults_of, wording_faults
from grader.checks import CLOSE
from grader.exercises.vae_mnist.checks import CHECKS
from grader.notebook.format import load_notebook
from grader.records import CheckVerdict, ItemVerdict, Outcome

REFERENCE = load_notebook(corpus.ROOT / "reference" / "vae_mnist.ipynb")
ANSWERS = answers_of(REFERENCE)
EXERCISE = corpus.ROOT / "grader" / "exercises" / "vae_mnist"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("One. Two. Three! Four?", "has 4 sentences"),
        ("x" * 601, "has 601 characters"),
        ("components.vae/encode is missing", "shows grader internals ('components.vae')"),
        ("the value is below zero_at", "shows grader internals ('zero_at')"),
        ("<class 'torch.Tensor'>", "shows grader internals"),
        ("see /usr/lib/python3", "shows grader internals"),
        ("write std = torch.exp(0.5 * logvar)", "gives away the solution"),
        ("write std=torch.exp( 0.5*logvar )", "gives away the solution"),
    ],
)
def test_a_text_that_breaks_a_rule_is_reported(text: str, why: str) -> None:
    assert any(fault.startswith(why) for fault in faults_of(text, ANSWERS))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Two things, e.g. 0.5 and 3.2. The second one!",
        "expected shape (4, 16), got (16, 4)",
        "Is anything random in z?",
    ],
)
def test_a_text_within_the_rules_is_accepted(text: str) -> None:
    assert list(faults_of(text, ANSWERS)) == []


def test_the_solution_has_lines_that_feedback_must_not_contain() -> None:
    assert 20 < len(ANSWERS) < 300
    assert all(" " not in line for line in ANSWERS)


def test_a_text_is_reported_once_for_the_first_solution() -> None:
    check = CheckVerdict("c", "A title", Outcome.FAILED, 0, 1000, "in grader.grading.run", "A hint.")
    item = ItemVerdict("vae.loss", "Losses", Outcome.FAILED, 0, 1000, (check,))
    faults = list(wording_faults({"first": [item], "second": [item]}, ANSWERS))
    assert faults == [("first", "vae.loss: c: the message shows grader internals ('grader.'): in grader.grading.run")]


def test_no_sentence_in_the_source_of_the_checks_breaks_a_rule() -> None:
    for check in CHECKS.values():
        assert list(faults_of(check.title, ANSWERS)) == [], check.title
    count = 0
    for path in sorted((EXERCISE / "checks").glob("*.py")):
        for text in _sentences(path):
            count += 1
            assert list(faults_of(text, ANSWERS)) == [], f"{path.name}: {text}"
    assert count > 100


def _sentences(path: Path) -> list[str]:
    """The plain texts with spaces in a check's code, except for docstrings."""
    tree = ast.parse(path.read_text())
    documented = (ast.Module, ast.FunctionDef, ast.ClassDef)
    first = [node.body[0] for node in ast.walk(tree) if isinstance(node, documented) and node.body]
    docs = {id(statement.value) for statement in first if isinstance(statement, ast.Expr)}
    strings = [node for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)]
    return [node.value.strip() for node in strings if id(node) not in docs and node.value.count(" ") >= 2]


def test_the_clause_of_a_borderline_result_breaks_no_rule() -> None:
    """Only pictures of trained models are borderline, so `audit` without training never shows it."""
    assert list(faults_of(f"reconstructions are close to the images{CLOSE}")) == []
