"""What a trained model's pictures look like, in two rows: for those who set thresholds."""

from __future__ import annotations

import numpy as np

from grader.exercises.vae_mnist.checks.pictures import reconstructions, samples
from grader.records import Array, Evidence


def strip(evidence: Evidence, item: str, columns: int) -> Array:
    """`(2, columns, 28, 28)` in [0, 1]: hidden images above their reconstructions, or samples; the first ones.

    Conditional samples stand in the order of the digits that were asked for, 0 to 9, equally many of each side by side.

    Raises:
        NotAnswered: where the model gave none.
    """
    part, _, about = item.partition(".")
    if about == "reconstruction":
        x, x_hat = reconstructions(evidence, part)
        return np.stack([x[:columns, 0], x_hat[:columns, 0]])
    images, labels = samples(evidence, part)
    chosen = np.arange(2 * columns)
    if part == "cvae":
        beside = columns // 10
        of_digit = [np.flatnonzero(labels == digit)[: 2 * beside].reshape(2, beside) for digit in range(10)]
        chosen = np.concatenate(of_digit, axis=1).reshape(-1)
    made: Array = images[chosen, 0].reshape(2, columns, 28, 28)
    return made
