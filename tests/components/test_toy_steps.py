"""The gradients that judging works out by hand are those that PyTorch makes of the toy model in the box."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional

from grader.exercises.vae_mnist.checks.steps import LOSSES, Steps
from grader.exercises.vae_mnist.in_box import stand_in


def kl(mu: torch.Tensor, logvar: torch.Tensor) -> torch.Tensor:
    return 0.5 * (mu.pow(2) + logvar.exp() - 1 - logvar).sum()


def by_autograd(name: str, model: stand_in.ToyModel, x: torch.Tensor, y: torch.Tensor) -> tuple[np.ndarray, float]:
    x_hat, mu, logvar = model(x, y)
    value = {
        "the given loss": lambda: stand_in.toy_loss(x_hat, x, mu, logvar)[0],
        "cross-entropy": lambda: (functional.binary_cross_entropy(x_hat, x, reduction="sum") + kl(mu, logvar)) / len(x),
        "squared error": lambda: ((x_hat - x).pow(2).sum() + kl(mu, logvar)) / len(x),
    }[name]()
    gradients = torch.autograd.grad(value, list(model.parameters()))
    return stand_in.flat(gradients).numpy(), float(value.detach())


@pytest.mark.parametrize("conditional", [False, True])
@pytest.mark.parametrize("name", list(LOSSES))
@pytest.mark.parametrize("size", [0.1, 1.0, 4.0, 60.0])  # of the parameters: the last saturate every sigmoid
def test_the_same_gradient_and_value_on_both_sides(name: str, conditional: bool, size: float) -> None:
    random = torch.Generator().manual_seed(3)
    x = torch.rand(5, 1, 28, 28, generator=random)
    y = torch.randint(0, 10, (5,), generator=random)
    model = stand_in.fill(stand_in.ToyModel(4, conditional), 11)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter *= size
    before = stand_in.flat(model.parameters()).numpy()[None]
    nothing = np.zeros(1, dtype=np.int64)
    steps = Steps([(x.numpy(), y.numpy())], before, before, nothing, 1, conditional)
    gradient, value = steps.right(0, LOSSES[name])
    expected, expected_value = by_autograd(name, model, x, y)
    assert gradient.shape == expected.shape
    if not np.isfinite(expected).all():  # the exponential of a log variance past all numbers
        assert not np.isfinite(gradient).all()
        return
    np.testing.assert_allclose(gradient, expected, rtol=2e-3, atol=2e-4 * np.abs(expected).max())
    assert value == pytest.approx(expected_value, rel=1e-4)


def test_numbers_that_are_none_fit_nothing_and_warn_of_nothing() -> None:
    x, y = np.zeros((2, 1, 28, 28), dtype=np.float32), np.zeros(2, dtype=np.int64)
    before = np.full((1, 216), np.nan, dtype=np.float32)
    steps = Steps([(x, y)], before, before, np.zeros(1, dtype=np.int64), 1, False)
    for loss in LOSSES.values():
        gradient, value = steps.right(0, loss)
        assert np.isnan(gradient).any()
        assert np.isnan(value)
