"""Recorded steps of a training loop, and what a right loop does: pure functions of what the box wrote down.

Of each step there are projections on a few random directions: of the parameters before and after it, of their
gradients as the step found them (`used`), and of those that came back since the step before (`came`). Of some steps
there is the whole pass: what the networks gave, and the gradients that came back to it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from grader.exercises.vae_mnist.by_toys import TRAINING
from grader.exercises.vae_mnist.checks.reading import answer, give_up
from grader.records import Address, Array, Evidence, Stage

PIXELS = 784
SAME_STATE = 1e-5  # relative: rounding of a projection
LARGEST_SCALE = 1000.0  # by which a loss may be multiplied or divided: Adam makes the same steps of it
WEIGHTS = 0.5 + np.arange(PIXELS) % 2  # of the pixels in the loss that a loop is given
FAINT = 1e-4  # of a gradient: Adam's epsilon of 1e-8 for each of some hundred thousand numbers, and a margin
MISSING = 1e-3  # of what is expected: less is nothing
Slope = Callable[[Array, Array], Array]  # of x_hat and x


@dataclass(frozen=True)
class Loss:
    """A loss that a right loop may use, by its slopes, up to one factor for both terms."""

    x_hat: Slope
    mu: Callable[[Array], Array]
    logvar: Callable[[Array], Array]
    heaviest: float = 1.0  # the reconstruction term may weigh up to so many times the KL term


def _cross_entropy(x_hat: Array, x: Array) -> Array:
    slope: Array = (x_hat - x) / (x_hat * (1 - x_hat)).clip(min=1e-12)
    return slope


# A loop that computes the exercise's loss by itself instead of calling the function is right, too.
LOSSES: dict[str, Loss] = {
    "the given loss": Loss(
        lambda x_hat, x: WEIGHTS * np.sin(x_hat - x), lambda mu: mu - 1, lambda lv: 0.6 * (lv + 0.5)
    ),
    "cross-entropy": Loss(_cross_entropy, lambda mu: mu, lambda lv: (np.exp(lv) - 1) / 2),
    "squared error": Loss(lambda x_hat, x: 2 * (x_hat - x), lambda mu: mu, lambda lv: (np.exp(lv) - 1) / 2, 200.0),
}


@dataclass(frozen=True)
class Pass:
    """What one step's networks gave, rows of a batch, and the gradients of the loss with respect to it."""

    x: Array  # (N, 784), the batch that had been served last
    x_hat: Array
    grad_x_hat: Array
    mu: Array
    logvar: Array
    kl_mu: Array | None  # of the loss, but not by way of the code; None where the two ways cannot be told apart
    kl_logvar: Array | None

    def judged(self, loss: Loss, min_cosine: float) -> str:
        """What is wrong with the gradients, if this is the loss; empty where nothing is."""
        if self.x.shape != self.x_hat.shape:
            return "its batch"
        count = len(self.x)
        wanted = loss.x_hat(self.x_hat, self.x) / count
        factor = _factor(self.grad_x_hat, wanted)
        if abs(cosine(self.grad_x_hat, wanted)) < min_cosine:
            return "another loss"
        if factor < 0:
            return "uphill"
        if not 1 / LARGEST_SCALE <= factor <= LARGEST_SCALE:
            return "hardly any size" if factor < 1 else "an enormous size"
        if self.kl_mu is None or self.kl_logvar is None:
            return ""
        wanted = np.concatenate([loss.mu(self.mu), loss.logvar(self.logvar)]) / count
        got = np.concatenate([self.kl_mu, self.kl_logvar])
        if np.linalg.norm(got) < MISSING * factor * np.linalg.norm(wanted):
            return "no KL term"
        weight = factor / (_factor(got, wanted) or 1e-30)
        right = cosine(got, wanted) >= 0.99 and 0.9 <= weight <= 1.1 * loss.heaviest
        return "" if right else "another KL term"


@dataclass(frozen=True)
class Steps:
    """The recorded steps, and the batches that they were made on."""

    batches: list[tuple[Array, Array]]  # images (N, 784), labels (N,)
    before: Array  # (S, K), and so the next three
    after: Array
    used: Array
    came: Array
    rates: Array  # (S,)
    losses: Array  # (S, 6): the values of LOSSES, then those of their reconstruction terms alone
    batch: Array  # (S,)
    start: Array  # (K,)
    end: Array
    epochs: int
    passes: dict[int, Pass]  # by step

    def __len__(self) -> int:
        return len(self.batch)

    @cached_property
    def goes_on(self) -> Array:
        """Of each step, whether it begins where the one before it ended, `(S,)`."""
        earlier = np.concatenate([self.start[None], self.after[:-1]]) if len(self) else self.before
        return self._same(self.before, earlier)

    @cached_property
    def clear(self) -> Array:
        """Of each step, whether it was made with the gradients that came since the one before it, `(S,)`."""
        return np.array([cosine(u, c) for u, c in zip(self.used, self.came, strict=True)])

    @cached_property
    def faint(self) -> Array:
        """Of each step, whether its gradients are lost beside what Adam adds to its denominator, `(S,)`."""
        size: Array = np.linalg.norm(self.used, axis=1)
        return size < FAINT

    @cached_property
    def heaped(self) -> bool:
        """Whether each step also contains all gradients of some or all steps before it."""
        if len(self) < 2:
            return False
        left = self.used[1:] - self.came[1:]
        return bool(np.all(self._same(left, self.used[:-1]) | self._same(self.used[1:], self.came[1:]))) and not bool(
            np.all(self._same(self.used, self.came))
        )

    def ends_in(self, step: int) -> bool:
        """Whether the state at the end is the one after that step."""
        return bool(self._same(self.end[None], self.after[step : step + 1])[0])

    def _same(self, first: Array, second: Array) -> Array:
        """Row by row, whether two projections are equal but for rounding."""
        scale = np.abs(np.concatenate([first, second])).max(initial=1e-30)
        equal: Array = np.abs(first - second).max(axis=1, initial=0) <= SAME_STATE * scale
        return equal


def cosine(a: Array, b: Array) -> float:
    """Of two arrays of one shape, as vectors."""
    a, b = a.reshape(-1).astype(np.float64), b.reshape(-1).astype(np.float64)
    return float(a @ b / (np.linalg.norm(a) * np.linalg.norm(b) + 1e-30))


def _factor(got: Array, wanted: Array) -> float:
    w = wanted.reshape(-1).astype(np.float64)
    return float(got.reshape(-1).astype(np.float64) @ w / (w @ w + 1e-30))


def source_of(evidence: Evidence, part: str) -> Address:
    """The answer that holds the recording."""
    return TRAINING.judged(evidence, part)


def recorded_steps(evidence: Evidence, part: str) -> Steps:
    """The steps that the box recorded; ends the check where they do not fit each other."""
    names = ("before", "after", "used", "came", "rates", "losses", "batch", "start", "end")
    found = dict(zip(names, answer(evidence, source_of(evidence, part), *names), strict=True))
    asked = {
        name: evidence.questions[Stage.of("components", part).array(name)]
        for name in ("train_x", "train_y", "train_batch", "train_epochs")
    }
    size, labels = int(asked["train_batch"]), asked["train_y"]
    images = asked["train_x"].reshape(-1, PIXELS)
    batches = [(images[at : at + size], labels[at : at + size]) for at in range(0, len(images), size)]
    count, width = len(found["batch"]), found["start"].size
    rows = [found[name] for name in ("before", "after", "used", "came")]
    fits = all(row.shape == (count, width) for row in rows) and found["end"].shape == found["start"].shape == (width,)
    if not fits or found["rates"].size != count or found["losses"].shape != (count, 2 * len(LOSSES)):
        give_up("what was recorded of the steps does not fit together")
    if count and not (found["batch"].min() >= 0 and found["batch"].max() < len(batches)):
        give_up("steps were made before the first batch was taken")
    rest = {name: found[name].astype(np.float64) for name in names if name not in ("batch", "rates")}
    rates = found["rates"].reshape(-1).astype(np.float64)
    passes = _passes(evidence, part, batches, found["batch"])
    return Steps(batches, batch=found["batch"], rates=rates, epochs=int(asked["train_epochs"]), passes=passes, **rest)


def _passes(evidence: Evidence, part: str, batches: list[tuple[Array, Array]], batch: Array) -> dict[int, Pass]:
    names = ("x_hat", "grad_x_hat", "mu", "logvar", "grad_mu", "grad_logvar", "path_mu", "path_logvar")
    arrays = answer(evidence, source_of(evidence, part), *(f"pass_{name}" for name in names))
    kept, counts, tapped = answer(evidence, source_of(evidence, part), "kept", "pass_rows", "tapped")
    total = int(counts.sum()) if counts.size else 0
    if any(len(array) < total for array in arrays) or not len(kept) == len(counts) == len(tapped):
        give_up("what was recorded of the passes does not fit together")
    made: dict[int, Pass] = {}
    at = 0
    for step, count, known in zip(kept, counts, tapped, strict=True):
        if not 0 <= step < len(batch) or not count:
            continue
        one = {name: array[at : at + count].astype(np.float64) for name, array in zip(names, arrays, strict=True)}
        at += int(count)
        kl_mu, kl_logvar = (one[f"grad_{head}"] - one[f"path_{head}"] if known else None for head in ("mu", "logvar"))
        x = batches[int(batch[step])][0].astype(np.float64)
        made[int(step)] = Pass(x, one["x_hat"], one["grad_x_hat"], one["mu"], one["logvar"], kl_mu, kl_logvar)
    return made
