"""Recorded steps of a training loop, and what a right loop would have done from the same parameters on the same batch.

The toys are imported from the very file that the box uses. Apart from the checks because torch takes seconds to load,
which a judging from memory does without.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch.nn import functional as F

from grader.exercises.vae_mnist.checks.reading import answer, give_up
from grader.exercises.vae_mnist.in_box import stand_in
from grader.records import Array, Evidence

Loss = Callable[[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]


def _kl(mu: torch.Tensor, logvar: torch.Tensor) -> torch.Tensor:
    return 0.5 * (mu.pow(2) + logvar.exp() - 1 - logvar).sum()


# A loop that computes the exercise's loss by itself instead of calling the function is right, too.
LOSSES: dict[str, Loss] = {
    "the given loss": lambda x_hat, x, mu, logvar: stand_in.toy_loss(x_hat, x, mu, logvar)[0],
    "cross-entropy": lambda x_hat, x, mu, logvar: (
        (F.binary_cross_entropy(x_hat, x, reduction="sum") + _kl(mu, logvar)) / len(x)
    ),
    "squared error": lambda x_hat, x, mu, logvar: ((x_hat - x).pow(2).sum() + _kl(mu, logvar)) / len(x),
}


@dataclass(frozen=True)
class Steps:
    """The recorded steps and the batches they were made on."""

    batches: list[tuple[torch.Tensor, torch.Tensor]]
    before: Array  # (S, P)
    grads: Array  # (S, P)
    batch: Array  # (S,)
    epochs: int
    conditional: bool

    def right(self, step: int, loss: Loss) -> tuple[Array, float]:
        """The gradient and the value of the loss at the step's parameters, on its batch."""
        x, y = self.batches[int(self.batch[step])]
        model = stand_in.ToyModel(4, self.conditional)
        torch.nn.utils.vector_to_parameters(torch.from_numpy(self.before[step].copy()), model.parameters())
        value = loss(*_output(model, x, y))
        gradients = torch.autograd.grad(value, list(model.parameters()))
        return stand_in.flat(gradients).numpy(), float(value.detach())


def _output(model: torch.nn.Module, x: torch.Tensor, y: torch.Tensor) -> tuple[torch.Tensor, ...]:
    x_hat, mu, logvar = model(x, y)
    return x_hat, x, mu, logvar


def source_of(part: str) -> str:
    """The answer that holds the recording."""
    return f"components.{part}/training"


def recorded_steps(evidence: Evidence, part: str) -> Steps:
    """The steps that the box recorded; ends the check where they fit nothing."""
    before, grads, batch = answer(evidence, source_of(part), "before", "grads", "batch")
    asked = {
        name: evidence.questions[f"components.{part}/{name}"]
        for name in ("train_x", "train_y", "train_batch", "train_epochs")
    }
    size = int(asked["train_batch"])
    x, y = torch.from_numpy(asked["train_x"]).split(size), torch.from_numpy(asked["train_y"]).split(size)
    width = stand_in.flat(stand_in.ToyModel(4, part == "cvae").parameters()).numel()
    if before.shape != (len(batch), width) or grads.shape != before.shape or batch.ndim != 1:
        give_up("the recorded steps do not fit the toy model")
    if len(batch) and not (batch.min() >= 0 and batch.max() < len(x)):
        give_up("steps were made before the first batch was taken")
    return Steps(list(zip(x, y, strict=True)), before, grads, batch, int(asked["train_epochs"]), part == "cvae")


def share_right(steps: Steps, loss: Loss, min_cosine: float) -> float:
    """The share of steps whose gradient points where that of the loss does."""
    right = 0
    for step, got in enumerate(steps.grads.astype(np.float64)):
        expected = steps.right(step, loss)[0].astype(np.float64)
        cosine = got @ expected / (np.linalg.norm(got) * np.linalg.norm(expected) + 1e-30)
        right += bool(cosine >= min_cosine)
    return right / len(steps.grads)


def first_only(steps: Steps) -> Steps:
    """The first step alone."""
    return Steps(steps.batches, steps.before[:1], steps.grads[:1], steps.batch[:1], steps.epochs, steps.conditional)
