"""Entropy, spread and distinctness against scipy and plain loops, and by property."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import entropy

from grader.exercises.vae_mnist.metrics import (
    Spread,
    class_deviations,
    class_entropy,
    class_shares,
    distinct_share,
    spread_against,
)
from grader.records import Array


def within_class_spread(images: Array, labels: Array, real_images: Array, real_labels: Array) -> Spread:
    return spread_against(images, labels, class_deviations(real_images, real_labels))


labels = arrays(np.int64, st.integers(1, 60), elements=st.integers(0, 9))


@given(labels)
def test_entropy_agrees_with_scipy_and_stays_in_range(labels: Array) -> None:
    shares = class_shares(labels, classes=10)
    assert shares.sum() == pytest.approx(1)
    assert class_entropy(labels) == pytest.approx(entropy(shares, base=10), abs=1e-12)
    assert 0 <= class_entropy(labels) <= 1 + 1e-12


def test_real_digits_against_themselves_have_spread_one_and_class_means_none() -> None:
    random = np.random.default_rng(0)
    real, classes = random.random((40, 1, 28, 28)), np.repeat(np.arange(4), 10)
    assert within_class_spread(real, classes, real, classes) == pytest.approx((1, 1))
    means = np.stack([real[classes == label].mean(axis=0) for label in classes])
    assert within_class_spread(means, classes, real, classes).mean == pytest.approx(0, abs=1e-12)


@given(st.floats(0.01, 10))
def test_spread_scales_with_the_distance_from_the_class_mean(factor: float) -> None:
    random = np.random.default_rng(1)
    real, classes = random.random((30, 8)), np.tile([0, 1, 2], 10)
    means = np.stack([real[classes == label].mean(axis=0) for label in classes])
    spread = within_class_spread(means + factor * (real - means), classes, real, classes)
    assert spread.mean == pytest.approx(factor)


def test_the_class_that_collapsed_is_the_worst() -> None:
    random = np.random.default_rng(2)
    real, classes = random.random((30, 8)), np.tile([0, 1, 2], 10)
    samples = real.copy()
    samples[classes == 2] = 0.5
    spread = within_class_spread(samples, classes, real, classes)
    assert spread.worst == 0
    assert spread.mean == pytest.approx(2 / 3)


def test_classes_with_too_few_images_are_left_out() -> None:
    real, classes = np.random.default_rng(3).random((21, 8)), np.array([0] * 20 + [1])
    assert set(class_deviations(real, classes)) == {0}
    assert within_class_spread(real, classes, real, classes) == pytest.approx((1, 1))
    with pytest.raises(ValueError, match="got none"):
        within_class_spread(real[20:], classes[20:], real, classes)


def test_distinct_share_agrees_with_plain_loops() -> None:
    images = np.random.default_rng(4).random((25, 1, 3, 3))
    images[5] = images[9] + 0.001
    rms = [
        min(float(np.sqrt(((a - b) ** 2).mean())) for j, b in enumerate(images) if j != i) for i, a in enumerate(images)
    ]
    for tolerance in (0.01, 0.2, 0.3):
        assert distinct_share(images, tolerance=tolerance) == np.mean(np.array(rms) > tolerance)


def test_invalid_labels_and_too_few_images_are_refused() -> None:
    with pytest.raises(ValueError, match=r"labels 0\.\.9"):
        class_shares(np.array([10]), classes=10)
    with pytest.raises(ValueError, match="at least 2 classes"):
        class_entropy(np.array([0]), classes=1)
    with pytest.raises(ValueError, match="2 images"):
        distinct_share(np.zeros((1, 4)), tolerance=0.1)
