"""What nearest neighbours tell of a set of samples: fidelity and variety against a set of real ones."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from grader.records import Array

_ROWS = 1000  # of the distance matrix at once: bounds the memory


class Neighbourhood(NamedTuple):
    """Precision, recall and coverage in [0, 1]; density at least 0 and about 1 for real samples."""

    precision: float
    recall: float
    density: float
    coverage: float


def neighbourhood(features: Array, real_features: Array, *, k: int = 5) -> Neighbourhood:
    """Precision, recall, density and coverage of samples `(N, F)` against real ones `(M, F)`.

    With `B(r_i)` the ball around real point i that reaches its k-th real neighbour: precision = mean_j [f_j
    in some B(r_i)], recall the same with the roles exchanged (Kynkäänniemi et al., Improved Precision and
    Recall Metric, 2019); density = sum_ij [f_j in B(r_i)] / (k N), coverage = mean_i [B(r_i) holds some f_j]
    (Naeem et al., Reliable Fidelity and Diversity Metrics, 2020).

    Raises: ValueError where the shapes do not fit or one side has no more than k points.
    """
    if features.ndim != 2 or real_features.ndim != 2 or features.shape[1] != real_features.shape[1]:
        raise ValueError(f"neighbourhood: expected (N, F), (M, F), got {features.shape}, {real_features.shape}")
    if min(len(features), len(real_features)) <= k:
        raise ValueError(f"neighbourhood: expected more than {k} points, got {len(features)}, {len(real_features)}")
    from sklearn.metrics import pairwise_distances

    radii, real_radii = _radii(features, k), _radii(real_features, k)
    inside = np.zeros(len(features), dtype=np.int64)  # how many real balls hold f_j
    covered = np.zeros(len(real_features), dtype=bool)
    recalled = np.zeros(len(real_features), dtype=bool)
    for start in range(0, len(features), _ROWS):
        part = slice(start, start + _ROWS)
        distances = pairwise_distances(features[part], real_features)  # (rows, M)
        in_real_ball = distances <= real_radii
        inside[part] = in_real_ball.sum(axis=1)
        covered |= in_real_ball.any(axis=0)
        recalled |= (distances <= radii[part, None]).any(axis=0)
    return Neighbourhood(
        precision=float((inside > 0).mean()),
        recall=float(recalled.mean()),
        density=float(inside.sum() / (k * len(features))),
        coverage=float(covered.mean()),
    )


def nearest_distance(x: Array, bank: Array) -> Array:
    """The Euclidean distance from each of `x` `(N, ...)` to its nearest in `bank` `(M, ...)`: `(N,)`.

    `min_i |x_j - bank_i|`; anything beyond the first axis is flattened, so pixels and features both serve.

    Raises: ValueError where the bank is empty or the sizes differ.

    >>> nearest_distance(np.array([[0.0], [5.0]]), np.array([[1.0], [3.0]])).tolist()
    [1.0, 2.0]
    """
    if not len(x):
        return np.empty(0)
    from sklearn.neighbors import NearestNeighbors

    search = NearestNeighbors(n_neighbors=1, algorithm="brute").fit(bank.reshape(len(bank), -1))
    distances: Array = search.kneighbors(x.reshape(len(x), -1))[0]
    return distances[:, 0]


def _radii(features: Array, k: int) -> Array:
    """The distance from each point to its k-th neighbour, itself not counted: `(N,)`."""
    from sklearn.neighbors import NearestNeighbors

    search = NearestNeighbors(n_neighbors=k, algorithm="brute").fit(features)
    distances: Array = search.kneighbors()[0]  # without an argument, a point is no neighbour of itself
    return distances[:, -1]
