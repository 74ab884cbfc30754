"""A notebook with other names, other orders and one-hot labels is graded by the same code; only its rubric differs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from grading import graded, lost

from grader.audit import corpus
from grader.exercises.vae_mnist.in_box import interface
from grader.exercises.vae_mnist.in_box.notebook_objects import PARTS
from grader.exercises.vae_mnist.in_box.own_model import toy_of
from grader.exercises.vae_mnist.in_box.training import our_loss
from grader.exercises.vae_mnist.plugin import STAND_IN
from grader.notebook.format import dump_notebook, load_notebook
from grader.notebook.solution_regions import replace_regions, strip_markers
from grader.notebook.template import make_template
from grader.records import Notebook
from grader.rubric import load_rubric

COURSE = corpus.ROOT / "examples" / "another_course"
RUBRIC = COURSE / "rubric.yaml"
KL_WITHOUT_LOG = """
kl = 0.5 * (mu**2 + logvar.exp() - 1).sum(dim=1).mean()
reconstruction = F.binary_cross_entropy(x_hat, x, reduction="none").flatten(1).sum(dim=1).mean()
return kl + reconstruction, kl, reconstruction
"""
LABELS_IN_VAIN = "return model.dec(torch.zeros_like(c), torch.randn(c.size(0), model.z_dim).to(device))"


@pytest.fixture(scope="module")
def reference() -> Notebook:
    return load_notebook(COURSE / "reference.ipynb")


def handed_in(reference: Notebook, **regions: str) -> Notebook:
    """A solution as an editor may save it that keeps no metadata."""
    notebook = strip_markers(replace_regions(reference, regions))
    return {**notebook, "cells": [{**cell, "metadata": {}} for cell in notebook["cells"]]}


def test_the_template_is_what_the_reference_makes(reference: Notebook) -> None:
    assert (COURSE / "template.ipynb").read_text(encoding="utf-8") == dump_notebook(make_template(reference))


def test_the_rubric_has_the_same_items_and_numbers() -> None:
    rubric, exercise = load_rubric(RUBRIC)
    shipped, _ = load_rubric(corpus.ROOT / "rubric.yaml")
    assert rubric.items == shipped.items
    assert rubric.interface.names
    assert set(rubric.interface.returns) == set(exercise.interface.returns)


def test_components_lose_nothing(reference: Notebook, tmp_path: Path) -> None:
    assert lost(graded(handed_in(reference), tmp_path, rubric=RUBRIC)) == {}


def test_mistakes_cost_their_own_items_as_in_any_notebook(reference: Notebook, tmp_path: Path) -> None:
    wrong = handed_in(reference, loss_function=KL_WITHOUT_LOG, generate_digits=LABELS_IN_VAIN)
    losses = lost(graded(wrong, tmp_path, rubric=RUBRIC))
    assert set(losses) == {"vae.loss", "cvae.generation"}
    assert [text.partition(":")[0] for text in losses["cvae.generation"]] == ["labels_reach_the_decoder"]


@pytest.mark.long
def test_the_whole_notebook_earns_everything(reference: Notebook, tmp_path: Path) -> None:
    report = graded(handed_in(reference), tmp_path, train=True, rubric=RUBRIC)
    assert (report.points_milli, report.needs_person) == (100_000, False)


def test_the_toys_take_and_return_in_the_notebooks_order(monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = torch.rand(3, 1, 28, 28), torch.tensor([1, 2, 3])
    questions = {"stand_in": np.frombuffer(STAND_IN.read_bytes(), dtype=np.uint8)}
    model = toy_of(PARTS[1], {"LATENT_DIM": 4}, questions, 1)
    x_hat, mu, logvar = (value.detach() for value in model(x, y))
    loss, reconstruction, kl = our_loss(x_hat, x, mu, logvar)
    course = load_rubric(RUBRIC)[0].interface
    for section in ("names", "arguments", "returns", "options"):
        monkeypatch.setitem(interface.interface, section, dict(getattr(course, section)))
    rows = torch.nn.functional.one_hot(y, 10).float()
    toy = toy_of(PARTS[1], {interface.actual("LATENT_DIM"): 4}, questions, 1)
    for expected, value in zip((mu, logvar, x_hat), toy(x, rows), strict=True):
        assert torch.equal(expected, value)
    assert torch.equal(toy.enc(x, rows)[0], logvar)
    assert torch.equal(toy.dec(rows, toy.sample_latent(logvar, mu)), x_hat)
    assert torch.equal(toy.sample_latent(logvar, mu), mu + 0.1 * logvar)
    values = interface.as_notebook(our_loss, "vae_loss")(x, x_hat, mu, logvar=logvar)
    assert torch.equal(torch.stack(values), torch.stack((loss, kl, reconstruction)))
    assert len(list(toy.parameters())) == len(list(model.parameters()))
