"""Precision, recall, density and coverage against plain loops, and by property."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grader.metrics import nearest_distance, neighbourhood
from grader.records import Array


def by_loops(fake: Array, real: Array, k: int) -> tuple[float, float, float, float]:
    def radius(points: Array, i: int) -> float:
        others = [float(np.linalg.norm(points[i] - p)) for j, p in enumerate(points) if j != i]
        return sorted(others)[k - 1]

    def near(a: Array, b: Array, r: float) -> bool:
        return bool(np.linalg.norm(a - b) <= r)

    real_radii = [radius(real, i) for i in range(len(real))]
    fake_radii = [radius(fake, i) for i in range(len(fake))]
    hits = [[near(f, r, t) for r, t in zip(real, real_radii, strict=True)] for f in fake]
    precision = np.mean([any(row) for row in hits])
    recall = np.mean([any(near(r, f, t) for f, t in zip(fake, fake_radii, strict=True)) for r in real])
    density = sum(map(sum, hits)) / (k * len(fake))
    coverage = np.mean([any(row[i] for row in hits) for i in range(len(real))])
    return float(precision), float(recall), density, float(coverage)


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 10_000), st.integers(1, 5))
def test_the_four_numbers_agree_with_plain_loops(seed: int, k: int) -> None:
    random = np.random.default_rng(seed)
    fake, real = random.normal(size=(17, 3)) + 0.5, random.normal(size=(23, 3))
    assert tuple(neighbourhood(fake, real, k=k)) == pytest.approx(by_loops(fake, real, k))


def test_samples_of_the_real_kind_score_high_and_one_point_covers_little() -> None:
    random = np.random.default_rng(0)
    real = random.normal(size=(400, 4))
    alike = neighbourhood(random.normal(size=(400, 4)), real)
    assert min(alike.precision, alike.recall, alike.coverage) > 0.8
    assert alike.density == pytest.approx(1, abs=0.15)
    collapsed = neighbourhood(np.zeros((400, 4)), real)
    assert collapsed.precision == 1
    assert max(collapsed.recall, collapsed.coverage) < 0.1
    far = neighbourhood(real + 100, real)
    assert tuple(far) == (0, 0, 0, 0)


def test_nearest_distance_is_the_least_of_all() -> None:
    random = np.random.default_rng(0)
    x, bank = random.random((7, 1, 4, 4)), random.random((11, 1, 4, 4))
    expected = [min(float(np.linalg.norm(a - b)) for b in bank) for a in x]
    np.testing.assert_allclose(nearest_distance(x, bank), expected)
    np.testing.assert_allclose(nearest_distance(bank[:3], bank), 0, atol=1e-6)
    assert nearest_distance(x[:0], bank).shape == (0,)


def test_too_few_points_are_refused() -> None:
    with pytest.raises(ValueError, match="more than 5"):
        neighbourhood(np.zeros((5, 2)), np.zeros((9, 2)))
    with pytest.raises(ValueError, match="expected"):
        neighbourhood(np.zeros((9, 2)), np.zeros((9, 3)))
