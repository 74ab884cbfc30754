"""Checksums of arrays, which are equal inside and outside a box."""

from typing import Any

import numpy as np

SUMS = 4  # numbers for each array
EVERY = 16  # only every 16th row is summed


def fixed(count: int, columns: int) -> Any:
    """Fixed random numbers, `(count, columns)` float64."""
    return np.random.default_rng(columns).standard_normal((count, columns))


def sums(rows: Any) -> Any:
    """The checksums of `rows` `(N, ...)`, of any numeric dtype: `(SUMS,)` float64."""
    sample = np.asarray(rows)[::EVERY]
    sample = sample.reshape(len(sample), -1).astype(np.float64)
    products = sample @ fixed(sample.shape[1], SUMS)
    return (products * fixed(len(sample), SUMS)).sum(0) / max(len(sample), 1) ** 0.5
