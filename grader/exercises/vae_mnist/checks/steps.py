"""Recorded steps of a training loop, compared with a correct loop: pure functions of the box's recording.

Each step is recorded as projections onto a few random directions: of the parameters before and after it, of the
gradients that the optimizer used (`used`), and of those that came back since the previous step (`came`). For some steps
the whole pass is recorded: the networks' outputs and the gradients with respect to them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from grader.exercises.vae_mnist.checks.answers import answer, give_up
from grader.exercises.vae_mnist.questions import PIXELS
from grader.exercises.vae_mnist.stand_in_answers import TRAINING
from grader.records import Address, Array, Evidence, Stage

SAME_STATE = 1e-5  # relative: rounding of a projection
LARGEST_SCALE = 1000.0  # a loss may be multiplied or divided by this factor: Adam's steps stay the same
WEIGHTS = 0.5 + np.arange(PIXELS) % 2  # of the pixels in `our_loss` of in_box/training.py
FAINT = 1e-4  # norm of a gradient: Adam's epsilon of 1e-8 over some hundred thousand parameters, and a margin
MISSING = 1e-3  # share of the expected gradient; a smaller one counts as missing
WAYS = {1: "mu itself is decoded", 2: "other heads are drawn from", 3: "nothing comes back"}
Slope = Callable[[Array, Array], Array]  # (x_hat, x) -> derivative of the loss


@dataclass(frozen=True)
class Loss:
    """A loss that a correct loop may use: its derivatives, up to one factor for both terms."""

    x_hat: Slope
    mu: Callable[[Array], Array]
    logvar: Callable[[Array], Array]
    heaviest: float = 1.0  # largest weight of the reconstruction term relative to the KL term


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
    """The networks' outputs in one step, the images, and the gradients of the loss with respect to the outputs."""

    x: Array  # (N, 784), the encoder's inputs, or the batch that was served last if they are unknown
    x_hat: Array
    grad_x_hat: Array
    mu: Array  # (M, D); N is a multiple of M where images are decoded several times
    logvar: Array
    kl_mu: Array | None  # gradient past the code, from the KL term; None if the two paths cannot be separated
    kl_logvar: Array | None
    way: str = ""  # what is wrong with the path from mu and logvar to the images: see WAYS

    def deviation(self, loss: Loss, min_cosine: float) -> str:
        """What is wrong with the gradients if `loss` was used; empty if nothing is wrong."""
        if self.x.shape != self.x_hat.shape:
            return "its batch"
        count = len(self.x)
        expected = loss.x_hat(self.x_hat, self.x) / count
        factor = best_factor(self.grad_x_hat, expected)
        if abs(cosine(self.grad_x_hat, expected)) < min_cosine:
            return "another loss"
        if factor < 0:
            return "uphill"
        if not 1 / LARGEST_SCALE <= factor <= LARGEST_SCALE:
            return "hardly any size" if factor < 1 else "an enormous size"
        if self.way:
            return self.way
        if self.kl_mu is None or self.kl_logvar is None:
            return ""
        expected = np.concatenate([loss.mu(self.mu), loss.logvar(self.logvar)]) / len(self.mu)
        gradients = np.concatenate([self.kl_mu, self.kl_logvar])
        if np.linalg.norm(gradients) < MISSING * factor * np.linalg.norm(expected):
            return "no KL term"
        weight = factor / (best_factor(gradients, expected) or 1e-30)
        right = cosine(gradients, expected) >= 0.99 and 0.9 <= weight <= 1.1 * loss.heaviest
        return "" if right else "another KL term"


@dataclass(frozen=True)
class Steps:
    """The recorded steps, and the batches that they were made on."""

    batches: list[tuple[Array, Array]]  # images (N, 784), labels (N,)
    before: Array  # (S, K), as are the next three
    after: Array
    used: Array
    came: Array
    rates: Array  # (S,)
    losses: Array  # (S, 6): the values of LOSSES, then those of their reconstruction terms alone
    rows: list[Array]  # (S,): the numbers of the images that each step was made on
    start: Array  # (K,)
    end: Array
    epochs: int
    passes: dict[int, Pass]  # by step

    def __len__(self) -> int:
        return len(self.rates)

    @cached_property
    def goes_on(self) -> Array:
        """Whether each step begins where the previous one ended, `(S,)`."""
        earlier = np.concatenate([self.start[None], self.after[:-1]]) if len(self) else self.before
        return self._same(self.before, earlier)

    @cached_property
    def clear(self) -> Array:
        """The cosine of the gradients that each step used and those that came since the previous step, `(S,)`."""
        return np.array([cosine(u, c) for u, c in zip(self.used, self.came, strict=True)])

    @cached_property
    def faint(self) -> Array:
        """Whether each step's gradients are negligible compared with Adam's epsilon, `(S,)`."""
        size: Array = np.linalg.norm(self.used, axis=1)
        return size < FAINT

    @cached_property
    def repeated(self) -> Array:
        """Whether each step used the gradient of the previous step again, `(S,)`."""
        again = self._same(self.used, np.concatenate([np.zeros_like(self.used[:1]), self.used[:-1]]))
        none_came: Array = np.abs(self.came).max(axis=1, initial=0) == 0
        return again & none_came

    @cached_property
    def heaped(self) -> bool:
        """Whether steps also used the gradients of earlier steps, which had not been cleared."""
        if len(self) < 2:
            return False
        remainder = self.used[1:] - self.came[1:]
        return bool(
            np.all(self._same(remainder, self.used[:-1]) | self._same(self.used[1:], self.came[1:]))
        ) and not bool(np.all(self._same(self.used, self.came)))

    def ends_in(self, step: int) -> bool:
        """Whether the final parameters are those after that step."""
        return bool(self._same(self.end[None], self.after[step : step + 1])[0])

    def _same(self, first: Array, second: Array) -> Array:
        """Row by row, whether two projections are equal up to rounding."""
        scale = np.abs(np.concatenate([first, second])).max(initial=1e-30)
        equal: Array = np.abs(first - second).max(axis=1, initial=0) <= SAME_STATE * scale
        return equal


def cosine(a: Array, b: Array) -> float:
    """The cosine of two arrays, as vectors; 0 if their sizes differ."""
    a, b = a.reshape(-1).astype(np.float64), b.reshape(-1).astype(np.float64)
    if a.size != b.size:
        return 0.0
    return float(a @ b / (np.linalg.norm(a) * np.linalg.norm(b) + 1e-30))


def best_factor(gradient: Array, expected: Array) -> float:
    """The factor that brings `expected` closest to `gradient`, in the mean square."""
    w = expected.reshape(-1).astype(np.float64)
    return float(gradient.reshape(-1).astype(np.float64) @ w / (w @ w + 1e-30))


def steps_address(evidence: Evidence, part: str) -> Address:
    """The address of the answer that holds the recording."""
    return TRAINING.decisive(evidence, part)


def recorded_steps(evidence: Evidence, part: str) -> Steps:
    """The steps that the box recorded; ends the check if the arrays do not fit together."""
    names = ("before", "after", "used", "came", "rates", "losses", "batch", "rows", "start", "end")
    arrays = dict(zip(names, answer(evidence, steps_address(evidence, part), *names), strict=True))
    questions = {
        name: evidence.questions[Stage.of("components", part).array(name)]
        for name in ("train_x", "train_y", "train_batch", "train_epochs")
    }
    size, labels = int(questions["train_batch"]), questions["train_y"]
    images = questions["train_x"].reshape(-1, PIXELS)
    batches = [(images[at : at + size], labels[at : at + size]) for at in range(0, len(images), size)]
    count, width = len(arrays["batch"]), arrays["start"].size
    projections = [arrays[name] for name in ("before", "after", "used", "came")]
    fits = all(array.shape == (count, width) for array in projections) and arrays["end"].shape == arrays["start"].shape
    fits = fits and arrays["start"].shape == (width,) and arrays["rows"].ndim == 2 and len(arrays["rows"]) == count
    if not fits or arrays["rates"].size != count or arrays["losses"].shape != (count, 2 * len(LOSSES)):
        give_up("what was recorded of the steps does not fit together")
    if count and not (arrays["batch"].min() >= 0 and arrays["batch"].max() < len(batches)):
        give_up("steps were made before the first batch was taken")
    rows = [row[row >= 0] for row in arrays["rows"]]
    if any(row.size and row.max() >= len(images) for row in rows):
        give_up("what was recorded of the steps does not fit together")
    whole = [np.arange(at, min(at + size, len(images))) for at in range(0, len(images), size)]
    rows = [row if row.size else whole[int(batch)] for row, batch in zip(rows, arrays["batch"], strict=True)]
    floats = {name: arrays[name].astype(np.float64) for name in names if name not in ("batch", "rates", "rows")}
    rates = arrays["rates"].reshape(-1).astype(np.float64)
    passes = _passes(evidence, part, images, rows, size)
    return Steps(batches, rows=rows, rates=rates, epochs=int(questions["train_epochs"]), passes=passes, **floats)


def _passes(evidence: Evidence, part: str, images: Array, rows: list[Array], size: int) -> dict[int, Pass]:
    heads = ("mu", "logvar", "grad_mu", "grad_logvar", "path_mu", "path_logvar")
    pictures = ("x_hat", "grad_x_hat")
    arrays = answer(evidence, steps_address(evidence, part), *(f"pass_{name}" for name in (*heads, *pictures)))
    names = ("kept", "pass_rows", "pass_images", "tapped", "way")
    recorded, *counts, tapped, ways = answer(evidence, steps_address(evidence, part), *names)
    rows_of = dict(zip((*heads, *pictures), arrays, strict=True))
    if len({len(recorded), len(tapped), len(ways), *map(len, counts)}) > 1 or any(
        len(rows_of[name]) < of_each.sum() for of_each, of in zip(counts, (heads, pictures), strict=True) for name in of
    ):
        give_up("what was recorded of the passes does not fit together")
    passes: dict[int, Pass] = {}
    starts = [np.cumsum(of_each) - of_each for of_each in counts]
    for step, count, pixels, at, picture, tapped_here, wrong in zip(
        recorded, *counts, *starts, tapped, ways, strict=True
    ):
        if not 0 <= step < len(rows) or not count or not pixels:
            continue
        values = {name: rows_of[name][at : at + count].astype(np.float64) for name in heads}
        values |= {name: rows_of[name][picture : picture + pixels].astype(np.float64) for name in pictures}
        kl_mu, kl_logvar = (
            values[f"grad_{head}"] - values[f"path_{head}"] if tapped_here else None for head in ("mu", "logvar")
        )
        of_step = rows[int(step)]
        way = WAYS.get(int(wrong), "") if len(of_step) >= size // 2 else "its batch"  # the last batch is half as large
        x = images[of_step].astype(np.float64)
        x = np.tile(x, (max(1, len(values["x_hat"]) // max(1, len(x))), 1))  # decoded several times
        passes[int(step)] = Pass(
            x, values["x_hat"], values["grad_x_hat"], values["mu"], values["logvar"], kl_mu, kl_logvar, way
        )
    return passes
