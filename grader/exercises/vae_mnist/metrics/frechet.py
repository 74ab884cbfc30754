"""The Fréchet distance between two sets of features, each described by its mean and covariance."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from grader.records import Array


class Moments(NamedTuple):
    """All that the distance sees of a set of features."""

    mean: Array  # (F,)
    covariance: Array  # (F, F)


def frechet_distance(mean_a: Array, covariance_a: Array, mean_b: Array, covariance_b: Array) -> float:
    """The squared Fréchet (2-Wasserstein) distance of two normal distributions; at least 0.

    `|m_a - m_b|^2 + tr(C_a + C_b - 2 (C_a C_b)^(1/2))` (Dowson and Landau, 1982; Heusel et al., GANs Trained
    by a Two Time-Scale Update Rule, 2017). Means `(F,)`, covariances `(F, F)` symmetric, which may be
    singular: the trace of the root comes from the eigenvalues of `C_b^(1/2) C_a C_b^(1/2)`, which are real
    and not negative. Fastest where the second distribution is often the same one.

    Raises: ValueError where the shapes do not fit.

    >>> one = np.eye(1)
    >>> frechet_distance(np.zeros(1), one, np.array([2.0]), 9 * one)  # 2^2 + (1 - 3)^2
    8.0
    """
    width = len(mean_a)
    if mean_b.shape != (width,) or covariance_a.shape != (width, width) or covariance_b.shape != (width, width):
        raise ValueError(f"frechet_distance: expected means ({width},) and covariances ({width}, {width})")
    root_b = _root(covariance_b.astype(np.float64).tobytes(), width)
    cross = np.linalg.eigvalsh(root_b @ covariance_a @ root_b)
    trace = np.trace(covariance_a) + np.trace(covariance_b) - 2 * np.sqrt(cross.clip(min=0)).sum()
    return max(0.0, float(((mean_a - mean_b) ** 2).sum() + trace))


def normalised_frechet_distance(
    features: Array | Moments, real: Array | Moments, *, least_variance: float = 0.0
) -> float:
    """The Fréchet distance of two feature sets over the total variance of the real one: 0 alike, 1 far off.

    `frechet_distance / tr(C_real)`; by the division it does not depend on the scale of the features. A single
    point at the real mean scores exactly 1. `features` `(N, F)` and `real` `(M, F)`, or their moments, N and
    M at least 2; compare only values of the same N and M, since a covariance of few samples makes the distance
    larger. A total variance below `least_variance` counts as that.

    Raises: ValueError where the shapes do not fit, a value is not finite, or there is no variance to divide by.

    >>> real = np.array([[0.0], [2.0], [4.0]])
    >>> round(normalised_frechet_distance(np.full((5, 1), 2.0), real), 6)
    1.0
    """
    found = features if isinstance(features, Moments) else moments(features)
    wanted = real if isinstance(real, Moments) else moments(real)
    total = max(float(np.trace(wanted.covariance)), least_variance)
    if total <= 0:
        raise ValueError("normalised_frechet_distance: expected real features that vary, got constant ones")
    return frechet_distance(*found, *wanted) / total


@lru_cache(maxsize=4)
def _root(covariance: bytes, width: int) -> Array:
    """The symmetric root of a covariance `(width, width)` of float64, given as bytes so that it can be remembered."""
    values, vectors = np.linalg.eigh(np.frombuffer(covariance).reshape(width, width))
    root: Array = (vectors * np.sqrt(values.clip(min=0))) @ vectors.T
    return root


def moments(features: Array) -> Moments:
    """The mean and the covariance, divided by N - 1, of `features` `(N, F)`, N at least 2.

    Raises: ValueError where the shape is another or a value is not finite.
    """
    if features.ndim != 2 or len(features) < 2:
        raise ValueError(f"features: expected shape (N, F) with N at least 2, got {features.shape}")
    exact = features.astype(np.float64)
    if not np.isfinite(exact).all():
        raise ValueError("features: expected finite values, got NaN or infinity")
    return Moments(exact.mean(axis=0), np.atleast_2d(np.cov(exact, rowvar=False)))
