"""Recorded steps of a training loop, and what a right loop would have done from the same parameters on the same batch.

The toy model of `in_box/stand_in.py` is two linear layers, so its gradients are written out here: judging needs no
PyTorch. A test holds both sides together, on every loss and many parameters.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from grader.exercises.vae_mnist.checks.reading import answer, give_up
from grader.records import Address, Array, Evidence, Stage

LATENTS, LABELS = 4, 10
SIDE = 4  # of a picture as the toy model sees and draws it; each of its pixels stands for 7 by 7
BLOCK = 7
PIXELS = SIDE * SIDE
LEAST = 1e-12  # PyTorch's, below which the slope of a cross-entropy is cut off
LOWEST = -100.0  # PyTorch's least logarithm in a cross-entropy


class Slopes(NamedTuple):
    """A loss, summed over a batch, and how it changes with what it is given."""

    value: float
    x_hat: Array  # shape of x_hat
    mu: Array  # (N, D)
    logvar: Array  # (N, D)


Loss = Callable[[Array, Array, Array, Array], Slopes]  # of x_hat, x (N, 4, 7, 4, 7), mu, logvar (N, D)


def _given(x_hat: Array, x: Array, mu: Array, logvar: Array) -> Slopes:
    """`1 - cos(x_hat - x)` and `0.3 (mu^4 + logvar^2)`."""
    value = (1 - np.cos(x_hat - x)).sum() + 0.3 * ((mu**4).sum() + (logvar**2).sum())
    return Slopes(float(value), np.sin(x_hat - x), 1.2 * mu**3, 0.6 * logvar)


def _cross_entropy(x_hat: Array, x: Array, mu: Array, logvar: Array) -> Slopes:
    """`-x log x_hat - (1 - x) log(1 - x_hat)` and the KL divergence from the standard normal."""
    logs = np.log(x_hat).clip(min=LOWEST), np.log1p(-x_hat).clip(min=LOWEST)
    value = -(x * logs[0] + (1 - x) * logs[1]).sum()
    slope = (x_hat - x) / (x_hat * (1 - x_hat)).clip(min=LEAST)
    return Slopes(float(value) + _kl(mu, logvar), slope, mu, (np.exp(logvar) - 1) / 2)


def _squared_error(x_hat: Array, x: Array, mu: Array, logvar: Array) -> Slopes:
    """`(x_hat - x)^2` and the KL divergence from the standard normal."""
    value = ((x_hat - x) ** 2).sum()
    return Slopes(float(value) + _kl(mu, logvar), 2 * (x_hat - x), mu, (np.exp(logvar) - 1) / 2)


def _kl(mu: Array, logvar: Array) -> float:
    return 0.5 * float((mu**2 + np.exp(logvar) - 1 - logvar).sum())


# A loop that computes the exercise's loss by itself instead of calling the function is right, too.
LOSSES: dict[str, Loss] = {
    "the given loss": _given,
    "cross-entropy": _cross_entropy,
    "squared error": _squared_error,
}


@dataclass(frozen=True)
class Steps:
    """The recorded steps and the batches they were made on."""

    batches: list[tuple[Array, Array]]  # images (N, 1, 28, 28), labels (N,)
    before: Array  # (S, P)
    grads: Array  # (S, P)
    batch: Array  # (S,)
    epochs: int
    conditional: bool

    def right(self, step: int, loss: Loss) -> tuple[Array, float]:
        """The gradient `(P,)` and the value of the mean loss at the step's parameters, on its batch."""
        images, labels = self.batches[int(self.batch[step])]
        with np.errstate(all="ignore"):  # parameters of a loop that diverged: what is no number fits nothing
            return _gradient(self.before[step], images, labels if self.conditional else None, loss)


def _gradient(parameters: Array, images: Array, labels: Array | None, loss: Loss) -> tuple[Array, float]:
    """The chain rule through `stand_in.ToyModel`; parameters in the order in which the model lists them.

    In float32 as in the box: what a saturated sigmoid has rounded to 0 or 1 is so on both sides.
    """
    count, single = len(images), np.float32
    wanted = np.eye(LABELS, dtype=single)[labels] if labels is not None else np.empty((count, 0), single)
    (in_weight, in_bias), (out_weight, out_bias) = _layers(parameters.astype(single), labels is not None)
    x = images.astype(single).reshape(count, SIDE, BLOCK, SIDE, BLOCK)
    seen = np.concatenate([x.mean(axis=(2, 4)).reshape(count, PIXELS), wanted], axis=1)
    mu, logvar = np.split(seen @ in_weight.T + in_bias, 2, axis=1)
    code = np.concatenate([mu + 0.1 * logvar, wanted], axis=1)
    drawn = 1 / (1 + np.exp(-(code @ out_weight.T + out_bias)))  # (N, 16)
    x_hat = np.broadcast_to(drawn.reshape(count, SIDE, 1, SIDE, 1), x.shape)
    slopes = loss(x_hat, x, mu, logvar)
    at_output = slopes.x_hat.sum(axis=(2, 4)).reshape(count, PIXELS) * drawn * (1 - drawn)
    at_code = (at_output @ out_weight)[:, :LATENTS]
    at_heads = np.concatenate([slopes.mu + at_code, slopes.logvar + 0.1 * at_code], axis=1)
    parts = (at_heads.T @ seen, at_heads.sum(axis=0), at_output.T @ code, at_output.sum(axis=0))
    gradient = np.concatenate([part.reshape(-1) for part in parts]).astype(np.float64)
    return gradient / count, slopes.value / count


def _layers(parameters: Array, conditional: bool) -> list[tuple[Array, Array]]:
    """Weight and bias of the encoder's layer and of the decoder's."""
    layers, start = [], 0
    for inside, outside in _shapes(conditional):
        middle, stop = start + inside * outside, start + (inside + 1) * outside
        layers.append((parameters[start:middle].reshape(outside, inside), parameters[middle:stop]))
        start = stop
    return layers


def _shapes(conditional: bool) -> tuple[tuple[int, int], tuple[int, int]]:
    """How many numbers each layer takes and gives."""
    more = LABELS * conditional
    return (PIXELS + more, 2 * LATENTS), (LATENTS + more, PIXELS)


def source_of(part: str) -> Address:
    """The answer that holds the recording."""
    return Address.of("components", part, "training")


def recorded_steps(evidence: Evidence, part: str) -> Steps:
    """The steps that the box recorded; ends the check where they fit nothing."""
    before, grads, batch = answer(evidence, source_of(part), "before", "grads", "batch")
    asked = {
        name: evidence.questions[Stage.of("components", part).array(name)]
        for name in ("train_x", "train_y", "train_batch", "train_epochs")
    }
    size, images, labels = int(asked["train_batch"]), asked["train_x"], asked["train_y"]
    batches = [(images[start : start + size], labels[start : start + size]) for start in range(0, len(images), size)]
    width = sum((inside + 1) * outside for inside, outside in _shapes(part == "cvae"))
    if before.shape != (len(batch), width) or grads.shape != before.shape or batch.ndim != 1:
        give_up("the recorded steps do not fit the toy model")
    if len(batch) and not (batch.min() >= 0 and batch.max() < len(batches)):
        give_up("steps were made before the first batch was taken")
    return Steps(batches, before, grads, batch, int(asked["train_epochs"]), part == "cvae")


def share_right(steps: Steps, loss: Loss, min_cosine: float) -> float:
    """The share of steps whose gradient points where that of the loss does."""
    right = 0
    for step, got in enumerate(steps.grads.astype(np.float64)):
        expected = steps.right(step, loss)[0]
        cosine = got @ expected / (np.linalg.norm(got) * np.linalg.norm(expected) + 1e-30)
        right += bool(cosine >= min_cosine)
    return right / len(steps.grads)


def first_only(steps: Steps) -> Steps:
    """The first step alone."""
    return Steps(steps.batches, steps.before[:1], steps.grads[:1], steps.batch[:1], steps.epochs, steps.conditional)
