"""Metrics as pure functions of arrays, in the field's standard terms, without thresholds or files."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from grader.records import Array


class Agreement(NamedTuple):
    """Shares in [0, 1]; `worst_class` is the class that `worst` belongs to.

    `even` is the harmonic mean of the classes' shares, and 0 if one of them is 0: other classes cannot make up for a
    missing one. It uses every answer, so its standard error is far smaller than that of `worst`.
    """

    overall: float
    worst: float
    worst_class: int
    even: float
    even_error: float  # the standard error of `even`


def label_agreement(labels: Array, predicted: Array) -> Agreement:
    """The share of `predicted` equal to `labels`, overall and in the class where it is smallest.

    `mean [predicted_i = labels_i]`, and its least value over the classes that occur in `labels`: accuracy and
    worst-class recall of a confusion matrix. With K classes of shares `s_k`, `even = K / sum 1/s_k`, and by the delta
    method `even_error^2 = (even^2 / K)^2 sum var(s_k) / s_k^4`. Both arguments are `(N,)` integers, N at least 1. Used
    for the labels of reconstructions and for the requested labels of conditional samples.

    Raises: ValueError if the shapes differ or the arrays are empty.

    >>> found = label_agreement(np.array([3, 3, 7, 7]), np.array([3, 3, 7, 1]))
    >>> found.overall, found.worst, found.worst_class, round(found.even, 3)
    (0.75, 0.5, 7, 0.667)
    """
    if labels.ndim != 1 or labels.shape != predicted.shape or not len(labels):
        raise ValueError(f"label_agreement: expected two (N,) arrays, got {labels.shape} and {predicted.shape}")
    right = labels == predicted
    recalls = {int(label): float(right[labels == label].mean()) for label in np.unique(labels)}
    worst_class = min(recalls, key=lambda label: recalls[label])
    counts = np.array([(labels == label).sum() for label in recalls])
    shares = np.array(list(recalls.values()))
    even = len(shares) / float((1 / shares).sum()) if shares.all() else 0.0
    smooth = (shares * counts + 0.5) / (counts + 1)  # a share of 0 or 1 is not known without error
    level = len(shares) / float((1 / smooth).sum())
    error = level**2 / len(shares) * float(np.sqrt((smooth * (1 - smooth) / counts / smooth**4).sum()))
    return Agreement(float(right.mean()), recalls[worst_class], worst_class, even, error)


def standard_error(metric: Callable[..., float], *arrays: Array, seed: int, resamples: int) -> float:
    """The bootstrap standard error of `metric(*arrays)`; at least 0, the same for the same seed.

    The standard deviation of the metric over `resamples` draws with replacement of the rows, the same rows
    from every array (Efron, Bootstrap Methods, 1979). All arrays are `(N, ...)` with the same N, at least 2. Bind
    arguments that must not be resampled beforehand. Not for metrics of neighbours: rows drawn twice have distance 0.

    Raises: ValueError if the lengths differ or there are fewer than 2 rows or resamples; whatever `metric` raises.

    >>> flips = np.tile([0.0, 1.0], 200)
    >>> bool(abs(standard_error(np.mean, flips, seed=0, resamples=400) - 0.025) < 0.003)
    True
    """
    lengths = {len(array) for array in arrays}
    if len(lengths) != 1 or min(lengths) < 2 or resamples < 2:
        raise ValueError(f"standard_error: expected arrays of one length and 2 resamples, got {lengths}, {resamples}")
    count = lengths.pop()
    random = np.random.default_rng(seed)
    values = []
    for _ in range(resamples):
        rows = random.integers(count, size=count)
        values.append(metric(*(array[rows] for array in arrays)))
    return float(np.std(values, ddof=1))


def share_standard_error(share: float, count: int) -> float:
    """The standard error of a share in [0, 1] of `count` independent trials: `sqrt(p (1 - p) / N)`.

    Raises: ValueError if the share lies outside [0, 1] or the count is below 1.

    >>> share_standard_error(0.5, 100)
    0.05
    """
    if not 0 <= share <= 1 or count < 1:
        raise ValueError(f"share_standard_error: expected a share in [0, 1] of 1 or more, got {share} of {count}")
    return math.sqrt(share * (1 - share) / count)


def mean_squared_error(x: Array, x_hat: Array) -> float:
    """The mean of `(x - x_hat)**2` over all images and pixels; in [0, 1] for pixels in [0, 1].

    `x` and `x_hat` have the same shape `(N, ...)`, N at least 1.

    Raises: ValueError if the shapes differ or the arrays are empty.

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

    Raises: ValueError if the shapes do not fit or every image is the mean image.

    >>> x = np.array([[0.0, 1.0], [1.0, 0.0]])
    >>> explained_variance(x, 0.5 * x + 0.25, np.array([0.5, 0.5]))
    0.75
    """
    baseline = mean_squared_error(x, np.broadcast_to(mean_image, x.shape))
    if baseline == 0:
        raise ValueError("explained_variance: expected images that differ from the mean image, got none")
    return 1 - mean_squared_error(x, x_hat) / baseline


def explained_variance_error(x: Array, x_hat: Array, mean_image: Array) -> float:
    """The standard error of `explained_variance` over the choice of the images; at least 0.

    The delta method for a ratio of means (Cochran, Sampling Techniques, 1977, section 6.4): with a_i and b_i
    the squared distances of image i from its reconstruction and from the mean image and `q = mean a / mean b`,
    `s(a_i - q b_i) / (mean b sqrt(N))`. Shapes as in `explained_variance`, N at least 2.

    Raises: ValueError if the shapes do not fit, N is below 2, or every image is the mean image.
    """
    if len(x) < 2:
        raise ValueError(f"explained_variance_error: expected at least 2 images, got {len(x)}")
    unexplained = 1 - explained_variance(x, x_hat, mean_image)
    errors, baselines = _squares(x, x_hat), _squares(x, np.broadcast_to(mean_image, x.shape))
    spread = (errors - unexplained * baselines).std(ddof=1)
    return float(spread / (baselines.mean() * math.sqrt(len(x))))


def _squares(x: Array, other: Array) -> Array:
    """The mean squared difference of each image from its counterpart: `(N,)`."""
    squares: Array = ((x.astype(np.float64) - other) ** 2).reshape(len(x), -1).mean(axis=1)
    return squares


_MOST = 5000  # images that are compared pairwise


class Spread(NamedTuple):
    """Ratios to real digits, at least 0; about 1 for real digits, 0 for one picture per class."""

    mean: float
    worst: float


def class_shares(labels: Array, *, classes: int) -> Array:
    """The share of each class among `labels` `(N,)`: `(classes,)`, sums to 1.

    Raises: ValueError if there are no labels or one lies outside 0..classes-1.

    >>> class_shares(np.array([0, 1, 1, 1]), classes=3).tolist()
    [0.25, 0.75, 0.0]
    """
    if not len(labels) or labels.min() < 0 or labels.max() >= classes:
        raise ValueError(f"class_shares: expected labels 0..{classes - 1}, got {len(labels)} labels or others")
    shares: Array = np.bincount(labels, minlength=classes) / len(labels)
    return shares


def class_entropy(labels: Array, *, classes: int = 10) -> float:
    """The evenness of `labels` `(N,)` over the classes: 1 if all are equally frequent, 0 if there is a single class.

    `-sum p log p / log K`, the entropy of the class shares over its maximum (Shannon, 1948; Pielou, 1966).

    Raises: ValueError if there are no labels, one lies outside 0..classes-1, or classes is below 2.

    >>> class_entropy(np.array([0, 1, 2, 3]), classes=4)
    1.0
    """
    if classes < 2:
        raise ValueError(f"class_entropy: expected at least 2 classes, got {classes}")
    shares = class_shares(labels, classes=classes)
    present = shares[shares > 0]
    return float(abs((present * np.log(present)).sum()) / math.log(classes))


def class_deviations(images: Array, labels: Array) -> dict[int, float]:
    """Class -> the standard deviation of a pixel over the class's images, averaged over the pixels.

    Images `(N, ...)`, labels `(N,)`; a class of one image is left out.

    Raises: ValueError if the lengths differ.
    """
    if len(images) != len(labels):
        raise ValueError(f"class_deviations: expected one label an image, got {len(labels)} for {len(images)}")
    classes = {int(label): images[labels == label] for label in np.unique(labels)}
    pixels = {label: mine.reshape(len(mine), -1).astype(np.float64) for label, mine in classes.items()}
    return {label: float(mine.std(axis=0, ddof=1).mean()) for label, mine in pixels.items() if len(mine) > 1}


def spread_against(images: Array, labels: Array, real: Mapping[int, float]) -> Spread:
    """The variation among samples of one class relative to real digits: mean and worst over the classes.

    Per class, the standard deviation of each pixel over the images, averaged over the pixels, divided by that of the
    real images, their `class_deviations` (mode collapse, measured in pixel space; compare intra-class diversity in
    Odena et al., Conditional Image Synthesis with Auxiliary Classifier GANs, 2017). Images `(N, ...)`, labels `(N,)`. A
    class of one image on either side is left out.

    Raises: ValueError if the lengths differ or no class is left.

    >>> real, labels = np.array([[0.0], [1.0], [0.0], [1.0]]), np.array([0, 0, 1, 1])
    >>> spread_against(np.array([[0.0], [0.5], [0.2], [0.2]]), labels, class_deviations(real, labels))
    Spread(mean=0.25, worst=0.0)
    """
    mine = class_deviations(images, labels)
    ratios = {label: deviation / real[label] for label, deviation in mine.items() if real.get(label, 0) > 0}
    if not ratios:
        raise ValueError("spread_against: expected a class with 2 images that vary, got none")
    return Spread(float(np.mean(list(ratios.values()))), min(ratios.values()))


def distinct_share(images: Array, *, tolerance: float) -> float:
    """The share of `images` `(N, ...)` that are not near-duplicates of another image; in [0, 1], N at least 2.

    `mean_j [min_(i != j) rms(x_j - x_i) > tolerance]`, with rms the root of the mean squared pixel
    difference. Only the first 5000 images are used, since they are compared pairwise.

    Raises: ValueError if there are fewer than 2 images or the tolerance is negative.

    >>> distinct_share(np.array([[0.0], [0.01], [1.0], [0.5]]), tolerance=0.1)
    0.5
    """
    if len(images) < 2 or tolerance < 0:
        raise ValueError(f"distinct_share: expected 2 images and a tolerance, got {len(images)}, {tolerance}")
    from sklearn.neighbors import NearestNeighbors

    flat = images[:_MOST].reshape(len(images[:_MOST]), -1)
    search = NearestNeighbors(n_neighbors=1, algorithm="brute").fit(flat)
    nearest = search.kneighbors()[0][:, 0]  # without an argument, an image is not its own neighbour
    return float((nearest > tolerance * math.sqrt(flat.shape[1])).mean())


class Moments(NamedTuple):
    """The mean and the covariance of a set of features, on which alone the Fréchet distance depends."""

    mean: Array  # (F,)
    covariance: Array  # (F, F)


def frechet_distance(mean_a: Array, covariance_a: Array, mean_b: Array, covariance_b: Array) -> float:
    """The squared Fréchet (2-Wasserstein) distance of two normal distributions; at least 0.

    `|m_a - m_b|^2 + tr(C_a + C_b - 2 (C_a C_b)^(1/2))` (Dowson and Landau, 1982; Heusel et al., GANs Trained
    by a Two Time-Scale Update Rule, 2017). Means `(F,)`, covariances `(F, F)` symmetric, which may be
    singular: the trace of the root comes from the eigenvalues of `C_b^(1/2) C_a C_b^(1/2)`, which are real
    and not negative. Faster if the second distribution is the same as in an earlier call, since its root is cached.

    Raises: ValueError if the shapes do not fit.

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
    """The Fréchet distance of two feature sets, divided by the total variance of the real one: 0 equal, 1 far apart.

    `frechet_distance / tr(C_real)`; the division makes it independent of the scale of the features. A single
    point at the real mean scores exactly 1. `features` `(N, F)` and `real` `(M, F)`, or their moments, N and
    M at least 2; compare only values of the same N and M, since a covariance of few samples makes the distance
    larger. A total variance below `least_variance` is replaced by it.

    Raises: ValueError if the shapes do not fit, a value is not finite, or there is no variance to divide by.

    >>> real = np.array([[0.0], [2.0], [4.0]])
    >>> round(normalised_frechet_distance(np.full((5, 1), 2.0), real), 6)
    1.0
    """
    sample_moments = features if isinstance(features, Moments) else moments(features)
    real_moments = real if isinstance(real, Moments) else moments(real)
    total = max(float(np.trace(real_moments.covariance)), least_variance)
    if total <= 0:
        raise ValueError("normalised_frechet_distance: expected real features that vary, got constant ones")
    return frechet_distance(*sample_moments, *real_moments) / total


@lru_cache(maxsize=4)
def _root(covariance: bytes, width: int) -> Array:
    """The symmetric root of a covariance `(width, width)` of float64, passed as bytes so that it can be cached."""
    values, vectors = np.linalg.eigh(np.frombuffer(covariance).reshape(width, width))
    root: Array = (vectors * np.sqrt(values.clip(min=0))) @ vectors.T
    return root


def moments(features: Array) -> Moments:
    """The mean and the covariance, divided by N - 1, of `features` `(N, F)`, N at least 2.

    Raises: ValueError if the shape is wrong or a value is not finite.
    """
    if features.ndim != 2 or len(features) < 2:
        raise ValueError(f"features: expected shape (N, F) with N at least 2, got {features.shape}")
    exact = features.astype(np.float64)
    if not np.isfinite(exact).all():
        raise ValueError("features: expected finite values, got NaN or infinity")
    return Moments(exact.mean(axis=0), np.atleast_2d(np.cov(exact, rowvar=False)))


def sharpness(images: Array) -> float:
    """The root of the summed squared gradients over the root of the summed squares; at least 0, small if blurred.

    `sqrt(sum |grad x|^2 / sum x^2)` over all images, with the differences of neighbouring pixels, down and across, for
    the gradient: the root mean square spatial frequency in radians per pixel (by Parseval's theorem). It does not
    depend on brightness. Images `(N, ..., H, W)`, N at least 1.

    Raises: ValueError if there are no images.

    >>> step, ramp = np.zeros((1, 8, 8)), np.zeros((1, 8, 8))
    >>> step[..., 4:], ramp[..., 3], ramp[..., 4], ramp[..., 5:] = 1, 1 / 3, 2 / 3, 1
    >>> sharpness(step) > sharpness(ramp) > sharpness(0.5 * ramp + 0.5)
    True
    """
    if images.ndim < 3 or not len(images):
        raise ValueError(f"sharpness: expected images (N, ..., H, W), got shape {images.shape}")
    exact = images.astype(np.float64)
    squares = float((exact**2).sum())
    edges = sum(float((np.diff(exact, axis=axis) ** 2).sum()) for axis in (-2, -1))
    return math.sqrt(edges / squares) if squares else 0.0
