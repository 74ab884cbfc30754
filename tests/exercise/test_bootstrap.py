"""Standard errors against closed forms."""

from __future__ import annotations

import numpy as np
import pytest

from grader.exercises.vae_mnist.metrics import label_agreement, share_standard_error, standard_error
from grader.records import Array


def test_the_bootstrap_of_a_mean_agrees_with_its_closed_form() -> None:
    values = np.random.default_rng(0).normal(size=500)
    resampled = standard_error(lambda rows: float(rows.mean()), values, seed=1, resamples=500)
    assert resampled == pytest.approx(values.std(ddof=1) / np.sqrt(500), rel=0.15)


def test_rows_of_several_arrays_stay_together() -> None:
    expected = np.arange(100) % 10
    predicted = np.where(np.arange(100) < 80, expected, (expected + 1) % 10)

    def accuracy(labels: Array, predictions: Array) -> float:
        return label_agreement(labels, predictions).overall

    assert standard_error(accuracy, expected, expected, seed=0, resamples=20) == 0
    assert standard_error(accuracy, expected, predicted, seed=0, resamples=500) == pytest.approx(
        share_standard_error(0.8, 100), rel=0.15
    )


def test_the_same_seed_gives_the_same_number() -> None:
    values = np.random.default_rng(0).normal(size=50)
    first, second = (standard_error(np.median, values, seed=7, resamples=30) for _ in range(2))
    assert first == second


def test_unequal_lengths_and_invalid_shares_are_refused() -> None:
    with pytest.raises(ValueError, match="one length"):
        standard_error(np.mean, np.zeros(3), np.zeros(4), seed=0, resamples=10)
    with pytest.raises(ValueError, match="share"):
        share_standard_error(1.2, 10)
