"""The grader's own gradients of each loss are those that PyTorch computes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch.nn import functional

from grader.exercises.vae_mnist.checks.steps import LOSSES
from grader.exercises.vae_mnist.in_box.training import our_loss

ROWS, LATENTS = 5, 4


def kl(mu: torch.Tensor, logvar: torch.Tensor) -> torch.Tensor:
    return 0.5 * (mu.pow(2) + logvar.exp() - 1 - logvar).sum()


VALUES: dict[str, Callable[..., torch.Tensor]] = {
    "the given loss": lambda x_hat, x, mu, logvar: our_loss(x_hat, x, mu, logvar)[0],
    "cross-entropy": lambda x_hat, x, mu, logvar: (
        (functional.binary_cross_entropy(x_hat, x, reduction="sum") + kl(mu, logvar)) / len(x)
    ),
    "squared error": lambda x_hat, x, mu, logvar: ((x_hat - x).pow(2).sum() + kl(mu, logvar)) / len(x),
}


@pytest.mark.parametrize("name", list(LOSSES))
@pytest.mark.parametrize("size", [0.1, 1.0, 4.0])  # of the codes
def test_the_same_gradients_on_both_sides(name: str, size: float) -> None:
    random = torch.Generator().manual_seed(3)
    x = torch.rand(ROWS, 784, generator=random)
    x_hat = torch.rand(ROWS, 784, generator=random).mul(0.98).add(0.01).requires_grad_()
    mu, logvar = (size * torch.randn(ROWS, LATENTS, generator=random) for _ in range(2))
    mu.requires_grad_(), logvar.requires_grad_()
    expected = torch.autograd.grad(VALUES[name](x_hat, x, mu, logvar), (x_hat, mu, logvar))
    loss = LOSSES[name]
    with torch.no_grad():
        slopes = (loss.x_hat(x_hat.numpy(), x.numpy()), loss.mu(mu.numpy()), loss.logvar(logvar.numpy()))
    for slope, right in zip(slopes, expected, strict=True):
        np.testing.assert_allclose(slope / ROWS, right.numpy(), rtol=2e-3, atol=1e-5)
