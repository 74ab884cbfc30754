"""The Fréchet distance between two sets of features, each described by its mean and covariance."""

from __future__ import annotations

import numpy as np

from grader.records import Array


def frechet_distance(mean_a: Array, covariance_a: Array, mean_b: Array, covariance_b: Array) -> float:
    """The squared Fréchet (2-Wasserstein) distance of two normal distributions; at least 0.

    `|m_a - m_b|^2 + tr(C_a + C_b - 2 (C_a C_b)^(1/2))` (Dowson and Landau, 1982; Heusel et al., GANs Trained
    by a Two Time-Scale Update Rule, 2017). Means `(F,)`, covariances `(F, F)` symmetric, which may be
    singular: the trace of the root comes from the eigenvalues of `C_a^(1/2) C_b C_a^(1/2)`, which are real
    and not negative.

    Raises: ValueError where the shapes do not fit.

    >>> one = np.eye(1)
    >>> frechet_distance(np.zeros(1), one, np.array([2.0]), 9 * one)  # 2^2 + (1 - 3)^2
    8.0
    """
    width = len(mean_a)
    if mean_b.shape != (width,) or covariance_a.shape != (width, width) or covariance_b.shape != (width, width):
        raise ValueError(f"frechet_distance: expected means ({width},) and covariances ({width}, {width})")
    values, vectors = np.linalg.eigh(covariance_a)
    root_a = (vectors * np.sqrt(values.clip(min=0))) @ vectors.T
    cross = np.linalg.eigvalsh(root_a @ covariance_b @ root_a)
    trace = np.trace(covariance_a) + np.trace(covariance_b) - 2 * np.sqrt(cross.clip(min=0)).sum()
    return max(0.0, float(((mean_a - mean_b) ** 2).sum() + trace))


def normalised_frechet_distance(features: Array, real_features: Array) -> float:
    """The Fréchet distance of two feature sets over the total variance of the real one: 0 alike, 1 far off.

    `frechet_distance / tr(C_real)`; by the division it does not depend on the scale of the features. A single
    point at the real mean scores exactly 1. `features` `(N, F)`, `real_features` `(M, F)`, N and M at least
    2; compare only values of the same N and M, since a covariance of few samples makes the distance larger.

    Raises: ValueError where the shapes do not fit, a value is not finite, or the real features are constant.

    >>> real = np.array([[0.0], [2.0], [4.0]])
    >>> round(normalised_frechet_distance(np.full((5, 1), 2.0), real), 6)
    1.0
    """
    mean, covariance = _moments(features)
    real_mean, real_covariance = _moments(real_features)
    total = float(np.trace(real_covariance))
    if total <= 0:
        raise ValueError("normalised_frechet_distance: expected real features that vary, got constant ones")
    return frechet_distance(mean, covariance, real_mean, real_covariance) / total


def _moments(features: Array) -> tuple[Array, Array]:
    if features.ndim != 2 or len(features) < 2:
        raise ValueError(f"features: expected shape (N, F) with N at least 2, got {features.shape}")
    exact = features.astype(np.float64)
    if not np.isfinite(exact).all():
        raise ValueError("features: expected finite values, got NaN or infinity")
    return exact.mean(axis=0), np.atleast_2d(np.cov(exact, rowvar=False))
