"""How far a measured number would move with other draws: standard errors, in the number's own unit."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from grader.records import Array


def standard_error(metric: Callable[..., float], *arrays: Array, seed: int, resamples: int) -> float:
    """The bootstrap standard error of `metric(*arrays)`; at least 0, the same for the same seed.

    The standard deviation of the metric over `resamples` draws with replacement of the rows, the same rows
    from every array (Efron, Bootstrap Methods, 1979). All arrays `(N, ...)` with one N, at least 2. Bind what
    is not to be resampled beforehand. Rows drawn twice are distance 0 apart: not for metrics of neighbours.

    Raises: ValueError where the lengths differ or fewer than 2 rows or resamples are given; what `metric`
    raises.

    >>> flips = np.tile([0.0, 1.0], 200)
    >>> bool(abs(standard_error(np.mean, flips, seed=0, resamples=400) - 0.025) < 0.003)
    True
    """
    lengths = {len(array) for array in arrays}
    if len(lengths) != 1 or min(lengths) < 2 or resamples < 2:
        raise ValueError(f"standard_error: expected arrays of one length and 2 resamples, got {lengths}, {resamples}")
    count = lengths.pop()
    random = np.random.default_rng(seed)
    values = []
    for _ in range(resamples):
        rows = random.integers(count, size=count)
        values.append(metric(*(array[rows] for array in arrays)))
    return float(np.std(values, ddof=1))


def share_standard_error(share: float, count: int) -> float:
    """The standard error of a share in [0, 1] of `count` independent trials: `sqrt(p (1 - p) / N)`.

    Raises: ValueError where the share lies outside [0, 1] or the count is below 1.

    >>> share_standard_error(0.5, 100)
    0.05
    """
    if not 0 <= share <= 1 or count < 1:
        raise ValueError(f"share_standard_error: expected a share in [0, 1] of 1 or more, got {share} of {count}")
    return math.sqrt(share * (1 - share) / count)
