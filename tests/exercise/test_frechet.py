"""The Fréchet distance against scipy's matrix root, and by property."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.linalg import sqrtm

from grader.exercises.vae_mnist.metrics import frechet_distance, normalised_frechet_distance
from grader.exercises.vae_mnist.metrics import moments as moments_of
from grader.records import Array


def cloud(seed: int, count: int = 200, width: int = 6) -> Array:
    random = np.random.default_rng(seed)
    return random.normal(size=(count, width)) @ random.normal(size=(width, width)) + random.normal(size=width)


def moments(features: Array) -> tuple[Array, Array]:
    return features.mean(axis=0), np.cov(features, rowvar=False)


def test_the_trace_agrees_with_scipys_matrix_root() -> None:
    (mean_a, a), (mean_b, b) = moments(cloud(1)), moments(cloud(2))
    expected = ((mean_a - mean_b) ** 2).sum() + np.trace(a + b - 2 * np.real(sqrtm(a @ b)))
    assert frechet_distance(mean_a, a, mean_b, b) == pytest.approx(expected)


@given(st.integers(0, 1000), st.floats(0.1, 100))
def test_normalised_distance_ignores_scale_place_and_rotation(seed: int, scale: float) -> None:
    features, real = cloud(seed), cloud(seed + 1)
    expected = normalised_frechet_distance(features, real)
    turn = np.linalg.qr(np.random.default_rng(seed).normal(size=(6, 6)))[0]
    assert normalised_frechet_distance(features @ turn * scale + 3, real @ turn * scale + 3) == pytest.approx(
        expected, rel=1e-6
    )


@given(st.integers(0, 1000))
def test_distance_is_symmetric_not_negative_and_zero_for_itself(seed: int) -> None:
    a, b = moments(cloud(seed)), moments(cloud(seed + 1))
    assert frechet_distance(*a, *b) == pytest.approx(frechet_distance(*b, *a), rel=1e-6)
    assert 0 <= frechet_distance(*a, *a) < 1e-6 * np.trace(a[1])


def test_constant_and_rank_deficient_features_are_safe() -> None:
    real = cloud(0)
    at_mean = np.tile(real.mean(axis=0), (50, 1))
    assert normalised_frechet_distance(at_mean, real) == pytest.approx(1)
    flat = real.copy()
    flat[:, 3:] = 0
    assert np.isfinite(normalised_frechet_distance(flat, real))
    assert normalised_frechet_distance(flat, flat) == pytest.approx(0, abs=1e-6)


def test_moments_stand_for_features_and_a_small_variance_can_be_bounded() -> None:
    first, second = cloud(1), cloud(2)
    assert normalised_frechet_distance(moments_of(first), moments_of(second)) == normalised_frechet_distance(
        first, second
    )
    still = np.ones((5, 6))
    assert normalised_frechet_distance(still + 1, still, least_variance=3.0) == pytest.approx(2.0)  # 6 of distance


def test_features_that_cannot_be_compared_are_refused() -> None:
    with pytest.raises(ValueError, match="constant"):
        normalised_frechet_distance(cloud(0), np.ones((5, 6)))
    with pytest.raises(ValueError, match="finite"):
        normalised_frechet_distance(np.full((5, 6), np.nan), cloud(0))
    with pytest.raises(ValueError, match="at least 2"):
        normalised_frechet_distance(np.ones((1, 6)), cloud(0))
