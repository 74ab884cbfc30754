"""A copy is found despite renaming and reformatting; independent work and code of all students are not reported."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from grader.audit import corpus
from grader.batch.similar import MOST, WHOLE, SimilarPair, asked_source, same_notebooks, similar_pairs
from grader.exercise import implemented_names
from grader.exercises.vae_mnist import exercise
from grader.notebook.format import load_notebook
from grader.notebook.solution_regions import strip_markers
from grader.records import Notebook

TEMPLATE = load_notebook(corpus.ROOT / "student_template" / "vae_mnist.ipynb")
ASKS = implemented_names(exercise())
HONEST = corpus.names("honest")


def notebook(name: str) -> Notebook:
    return strip_markers(corpus.build(name))


def pairs_among(notebooks: Mapping[str, Notebook]) -> list[SimilarPair]:
    return similar_pairs({key: asked_source(one, ASKS) for key, one in notebooks.items()}, asked_source(TEMPLATE, ASKS))


def changed(notebook: Notebook, *swaps: tuple[str, str]) -> Notebook:
    cells = []
    for cell in notebook["cells"]:
        source = "".join(cell["source"])
        for old, new in swaps:
            source = source.replace(old, new)
        cells.append({**cell, "source": source})
    return {**notebook, "cells": cells}


@pytest.fixture(scope="module")
def crowd() -> dict[str, Notebook]:
    return {name: notebook(name) for name in HONEST}


def test_a_renamed_and_reformatted_copy_is_found(crowd: dict[str, Notebook]) -> None:
    swaps = (
        ("self.layers", "self.net_of_mine"),
        ("h = ", "hidden_state  =  "),
        ("h)", "hidden_state)"),
        ("# ", "# my "),
    )
    copy = changed(crowd["residual_blocks"], *swaps)
    pairs = pairs_among({**crowd, "copier": copy})
    assert ("copier", "residual_blocks") in {(pair.first, pair.second) for pair in pairs}
    pair = next(pair for pair in pairs if {"copier", "residual_blocks"} == {pair.first, pair.second})
    assert pair.similarity > 0.7
    assert all(pair.lines)


def test_the_template_and_code_that_all_students_write_are_not_similar(crowd: dict[str, Notebook]) -> None:
    many = {f"student{number}": notebook("reference") for number in range(12)} | {"one": TEMPLATE, "two": TEMPLATE}
    pairs = pairs_among({**crowd, **many})
    assert not {pair.first for pair in pairs} & set(many)
    assert not {pair.second for pair in pairs} & set(many)


def test_in_a_small_class_what_three_of_four_wrote_is_not_alike() -> None:
    practice = {name: strip_markers(corpus.build(*of)) for name, of in corpus.practice().items() if of}
    assert len(practice) == 4
    assert pairs_among(practice) == []
    assert pairs_among({"one": notebook("reference"), **practice}) == []


def test_in_a_small_class_a_copy_of_unusual_code_is_found(crowd: dict[str, Notebook]) -> None:
    copy = changed(crowd["residual_blocks"], ("h = ", "hidden_state  =  "), ("h)", "hidden_state)"))
    others = {"residual_blocks": crowd["residual_blocks"], "reference": notebook("reference"), "gelu": notebook("gelu")}
    pairs = pairs_among({"copier": copy, **others})
    assert ("copier", "residual_blocks") in {(pair.first, pair.second) for pair in pairs}


def test_notebooks_with_the_same_code_are_a_pair_however_small_the_class() -> None:
    (pair,) = same_notebooks({"niels": "1", "ada": "1", "emmy": "2"})
    assert (pair.first, pair.second, pair.item, pair.similarity) == ("ada", "niels", WHOLE, 1.0)
    assert len(same_notebooks(dict.fromkeys(map(str, range(50)), "1"))) == MOST


def test_hostile_code_is_read_and_not_run(crowd: dict[str, Notebook]) -> None:
    hostile = {
        "deep": "def vae_loss(x_hat, x, mu, logvar):\n    return " + "(" * 5000,
        "long": "def vae_loss(x_hat, x, mu, logvar):\n    return '" + "x" * 1_000_000 + "'",
        "broken": "class Encoder(\n\x00",
        "runs": "raise SystemExit\nclass Encoder:\n    raise SystemExit",
    }
    notebooks = {
        name: {**TEMPLATE, "cells": [{"cell_type": "code", "id": "x", "metadata": {}, "source": source, "outputs": []}]}
        for name, source in hostile.items()
    }
    assert pairs_among(notebooks) == []


def test_a_single_submission_has_no_similar_one() -> None:
    assert pairs_among({"one": notebook("reference")}) == []
