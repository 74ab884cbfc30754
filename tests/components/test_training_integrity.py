"""Changes to data, optimizers and weights that only running code can make are reported, and nothing else."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from grader.exercises.vae_mnist.checks import real_digits
from grader.exercises.vae_mnist.in_box.checksums import SUMS, sums
from grader.exercises.vae_mnist.in_box.training_integrity import (
    OPTIMIZERS,
    ask_training_integrity,
    data_sums,
    is_genuine,
)
from grader.exercises.vae_mnist.training_integrity import NAMES, integrity_reasons
from grader.records import Address, Array, Evidence


class Loader:
    def __init__(self, images: torch.Tensor, labels: torch.Tensor) -> None:
        self.images, self.labels = images, labels


@pytest.fixture(scope="module")
def student() -> dict[str, Any]:
    """The names that the given cells bind to data."""
    data = real_digits.mnist()
    image_arrays = (data.train_images, data.test_images)
    train, test = (torch.from_numpy(images.copy()).unsqueeze(1).float().div(255) for images in image_arrays)
    labels, test_labels = (torch.from_numpy(y.astype(np.int64)) for y in (data.train_labels, data.test_labels))
    names = {"train_images": train, "train_labels": labels, "test_images": test, "test_labels": test_labels}
    return {**names, "train_batches": Loader(train, labels)}


def reasons(part: str = "vae", **arrays: Array) -> list[str]:
    """What is told where the box gave these arrays, by `kind__question__array`."""
    named = {}
    for name, array in arrays.items():
        kind, question, array_name = name.split("__")
        named[Address.of(kind, part, question).array(array_name)] = array
    return list(integrity_reasons(Evidence({}, named), part))


def of_data(names: dict[str, Any]) -> list[str]:
    return reasons(components__footing__data=data_sums(names))


def test_data_loaded_by_the_provided_cells_match_the_expected_data(student: dict[str, Any]) -> None:
    assert of_data(student) == []
    assert of_data({}) == []
    assert reasons() == []


@pytest.mark.parametrize(
    ("name", "change", "says"),
    [
        ("train_images", lambda x: x.flip(0), "the training images were not those of MNIST"),
        ("train_images", lambda x: x[:30000], "the training images"),
        ("train_images", lambda x: 1 - x, "the training images"),
        ("train_labels", lambda y: (y + 1) % 10, "the training labels"),
        ("test_images", lambda x: x * 0.9, "the test images"),
    ],
)
def test_other_data_are_reported(student: dict[str, Any], name: str, change: Any, says: str) -> None:
    (sentence,) = of_data({**student, name: change(student[name])})
    assert sentence.startswith(f"vae: {says}")
    assert sentence.endswith("just before the VAE was trained")


def test_a_loader_that_returns_other_images_is_reported_alone(student: dict[str, Any]) -> None:
    loader = Loader(student["test_images"], student["train_labels"])
    (sentence,) = of_data({**student, "train_batches": loader})
    assert "the images that the loader serves were not those of MNIST" in sentence


def test_data_that_differ_only_during_training_are_reported(student: dict[str, Any]) -> None:
    right, wrong = data_sums(student), data_sums({**student, "train_images": student["train_images"].flip(0)})
    looks = np.stack([right, wrong, right])
    (sentence,) = reasons(components__footing__data=right, trained__steps__data=looks, trained__footing__data=right)
    assert sentence.endswith("while the VAE was trained")


@pytest.mark.parametrize("array", [np.zeros(0), np.ones(7), np.zeros((3, len(NAMES), SUMS))])
def test_answers_of_another_size_or_of_nothing_are_not_compared(array: Array) -> None:
    assert reasons(components__footing__data=array) == []


def test_pytorchs_own_optimizers_are_genuine() -> None:
    assert ask_training_integrity(None, {}, {})["genuine"].tolist() == [1] * len(OPTIMIZERS)


class Faster(torch.optim.Adam):
    def step(self, closure: Any = None) -> Any:
        return super().step(closure)


def test_optimizers_from_elsewhere_are_not_genuine(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not is_genuine(Faster)
    monkeypatch.setattr(torch.optim, "Adam", torch.optim.SGD)
    assert ask_training_integrity(None, {}, {})["genuine"].tolist()[0] == 0


@pytest.mark.parametrize("step", [torch.optim.SGD.step, lambda self, closure=None: None])
def test_another_optimizer_step_is_found(monkeypatch: pytest.MonkeyPatch, step: Any) -> None:
    monkeypatch.setattr(torch.optim.Adam, "step", step)
    assert not is_genuine(torch.optim.Adam)


@pytest.mark.parametrize("where", ["components__footing__genuine", "trained__steps__genuine"])
def test_an_optimizer_that_is_not_pytorchs_is_reported(where: str) -> None:
    (sentence,) = reasons("cvae", **{where: np.array([1, 0])})
    assert sentence.startswith("cvae: an optimizer was no longer PyTorch's own")


WEIGHTS = np.array([[3.0, 40.0], [-1.0, 5.0]], dtype=np.float32)


@pytest.mark.parametrize(
    ("weights", "count"),
    [(WEIGHTS, 0), (WEIGHTS * 1.001, 0), (WEIGHTS * 1.1, 1), (WEIGHTS[:1], 1), (np.zeros((2, 2), dtype=np.float32), 1)],
)
def test_weights_that_change_after_training_are_reported(weights: Array, count: int) -> None:
    assert len(reasons(ended__weights__sums=WEIGHTS, trained__weights__sums=weights)) == count
    assert reasons(trained__weights__sums=weights) == []


def test_sums_depend_on_order_and_value() -> None:
    rows = np.random.default_rng(0).random((160, 3))
    assert np.array_equal(sums(rows), sums(rows.copy()))
    assert not np.allclose(sums(rows), sums(rows[::-1]))
    assert sums(rows).shape == (SUMS,)
