"""How near reconstructions come to their originals, in pixels."""

from __future__ import annotations

import math

import numpy as np

from grader.records import Array


def mean_squared_error(x: Array, x_hat: Array) -> float:
    """The mean of `(x - x_hat)**2` over all images and pixels; in [0, 1] for pixels in [0, 1].

    `x` and `x_hat` share one shape `(N, ...)`, N at least 1.

    Raises: ValueError where the shapes differ or nothing is given.

    >>> mean_squared_error(np.array([[0.0, 1.0]]), np.array([[0.5, 1.0]]))
    0.125
    """
    if x.shape != x_hat.shape or x.size == 0:
        raise ValueError(f"mean_squared_error: expected two arrays of one shape, got {x.shape} and {x_hat.shape}")
    return float(np.mean((x.astype(np.float64) - x_hat.astype(np.float64)) ** 2))


def explained_variance(x: Array, x_hat: Array, mean_image: Array) -> float:
    """The share of the squared distance from the mean image that `x_hat` explains: 1 perfect, 0 useless.

    `R2 = 1 - sum (x - x_hat)**2 / sum (x - mean_image)**2`, the coefficient of determination with the
    training set's mean image as the baseline (Draper and Smith, Applied Regression Analysis, 1998). At most
    1, may be negative. `x`, `x_hat` `(N, ...)`, `mean_image` the shape of one image.

    Raises: ValueError where the shapes do not fit or every image is the mean image.

    >>> x = np.array([[0.0, 1.0], [1.0, 0.0]])
    >>> explained_variance(x, 0.5 * x + 0.25, np.array([0.5, 0.5]))
    0.75
    """
    baseline = mean_squared_error(x, np.broadcast_to(mean_image, x.shape))
    if baseline == 0:
        raise ValueError("explained_variance: expected images that differ from the mean image, got none")
    return 1 - mean_squared_error(x, x_hat) / baseline


def explained_variance_error(x: Array, x_hat: Array, mean_image: Array) -> float:
    """The standard error of `explained_variance` over other images; at least 0.

    The delta method for a ratio of means (Cochran, Sampling Techniques, 1977, section 6.4): with a_i and b_i
    the squared distances of image i from its reconstruction and from the mean image and `q = mean a / mean b`,
    `s(a_i - q b_i) / (mean b sqrt(N))`. Shapes as there, N at least 2.

    Raises: ValueError where the shapes do not fit, N is below 2, or every image is the mean image.
    """
    if len(x) < 2:
        raise ValueError(f"explained_variance_error: expected at least 2 images, got {len(x)}")
    unexplained = 1 - explained_variance(x, x_hat, mean_image)
    errors, baselines = _squares(x, x_hat), _squares(x, np.broadcast_to(mean_image, x.shape))
    spread = (errors - unexplained * baselines).std(ddof=1)
    return float(spread / (baselines.mean() * math.sqrt(len(x))))


def _squares(x: Array, other: Array) -> Array:
    """The squared distance of each image from its counterpart, over the pixels: `(N,)`."""
    squares: Array = ((x.astype(np.float64) - other) ** 2).reshape(len(x), -1).mean(axis=1)
    return squares
