"""Pixel errors and label agreement against scikit-learn, and by property."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import accuracy_score, r2_score, recall_score

from grader.exercises.vae_mnist.metrics import (
    explained_variance,
    explained_variance_error,
    label_agreement,
    mean_squared_error,
    standard_error,
)
from grader.records import Array

pixels = arrays(np.float32, (6, 1, 4, 4), elements=st.floats(0, 1, width=32))
labels = arrays(np.int64, 30, elements=st.integers(0, 9))


@given(pixels, pixels)
def test_mean_squared_error_is_symmetric_and_in_range(x: Array, x_hat: Array) -> None:
    error = mean_squared_error(x, x_hat)
    assert error == mean_squared_error(x_hat, x)
    assert 0 <= error <= 1
    assert mean_squared_error(x, x) == 0


def test_explained_variance_is_sklearns_r2_about_its_own_mean() -> None:
    random = np.random.default_rng(0)
    x, x_hat = random.random((50, 1)), random.random((50, 1))
    assert explained_variance(x, x_hat, x.mean(axis=0)) == pytest.approx(r2_score(x, x_hat))


def test_the_error_of_explained_variance_agrees_with_the_bootstrap() -> None:
    random = np.random.default_rng(0)
    x = random.normal(size=(400, 12)) * random.uniform(0.5, 2, size=(400, 1))  # images of unlike contrast
    x_hat = x + random.normal(scale=0.5, size=x.shape)
    mean = np.zeros(12)

    def explained(rows: Array, rows_hat: Array) -> float:
        return explained_variance(rows, rows_hat, mean)

    resampled = standard_error(explained, x, x_hat, seed=0, resamples=500)
    assert explained_variance_error(x, x_hat, mean) == pytest.approx(resampled, rel=0.15)
    assert explained_variance_error(x, x, mean) == 0
    with pytest.raises(ValueError, match="at least 2"):
        explained_variance_error(x[:1], x_hat[:1], mean)


def test_perfect_is_one_and_the_mean_image_is_zero() -> None:
    x = np.random.default_rng(0).random((9, 1, 28, 28)).astype(np.float32)
    mean = np.full((1, 28, 28), 0.4, dtype=np.float32)
    assert explained_variance(x, x, mean) == 1
    assert explained_variance(x, np.broadcast_to(mean, x.shape), mean) == 0


@given(labels, labels)
def test_label_agreement_is_sklearns_accuracy_and_worst_recall(expected: Array, predicted: Array) -> None:
    agreement = label_agreement(expected, predicted)
    recalls = recall_score(expected, predicted, labels=np.unique(expected), average=None, zero_division=0)
    assert agreement.overall == pytest.approx(accuracy_score(expected, predicted))
    assert agreement.worst == pytest.approx(recalls.min())
    assert agreement.worst <= agreement.overall
    assert agreement.worst * (1 - 1e-9) <= agreement.even <= recalls.mean() + 1e-9


def test_evenness_is_zero_if_a_class_is_missing() -> None:
    labels = np.repeat(np.arange(10), 20)
    assert label_agreement(labels, np.where(labels == 3, 5, labels)).even == 0
    assert label_agreement(labels, labels).even == 1


def test_the_error_of_the_harmonic_mean_is_what_repeated_draws_spread() -> None:
    rng = np.random.default_rng(0)
    labels, shares = np.repeat(np.arange(10), 200), np.linspace(0.3, 0.8, 10)
    agreements = [
        label_agreement(labels, np.where(rng.random(len(labels)) < shares[labels], labels, 99)) for _ in range(300)
    ]
    spread = np.std([agreement.even for agreement in agreements])
    assert np.mean([agreement.even_error for agreement in agreements]) == pytest.approx(spread, rel=0.15)


def test_shapes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="one shape"):
        mean_squared_error(np.zeros(3), np.zeros(4))
    with pytest.raises(ValueError, match="differ from the mean"):
        explained_variance(np.ones((2, 3)), np.ones((2, 3)), np.ones(3))
    with pytest.raises(ValueError, match="two"):
        label_agreement(np.zeros(0, dtype=int), np.zeros(0, dtype=int))
