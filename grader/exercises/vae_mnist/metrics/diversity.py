"""How varied a set of samples is: over the classes, within a class, and from sample to sample."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from grader.records import Array

_MOST = 5000  # pictures of which every two are compared


class Spread(NamedTuple):
    """Ratios to real digits, at least 0; about 1 for real digits, 0 for one picture a class."""

    mean: float
    worst: float


def class_shares(labels: Array, *, classes: int) -> Array:
    """The share of each class among `labels` `(N,)`: `(classes,)`, sums to 1.

    Raises: ValueError where there are no labels or one lies outside 0..classes-1.

    >>> class_shares(np.array([0, 1, 1, 1]), classes=3).tolist()
    [0.25, 0.75, 0.0]
    """
    if not len(labels) or labels.min() < 0 or labels.max() >= classes:
        raise ValueError(f"class_shares: expected labels 0..{classes - 1}, got {len(labels)} labels or others")
    shares: Array = np.bincount(labels, minlength=classes) / len(labels)
    return shares


def class_entropy(labels: Array, *, classes: int = 10) -> float:
    """How evenly `labels` `(N,)` fill the classes: 1 all alike, 0 a single class.

    `-sum p log p / log K`, the entropy of the class shares over its maximum (Shannon, 1948; Pielou, 1966).

    Raises: ValueError where there are no labels, one lies outside 0..classes-1, or classes is below 2.

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

    Raises: ValueError where the lengths differ.
    """
    if len(images) != len(labels):
        raise ValueError(f"class_deviations: expected one label an image, got {len(labels)} for {len(images)}")
    classes = {int(label): images[labels == label] for label in np.unique(labels)}
    pixels = {label: mine.reshape(len(mine), -1).astype(np.float64) for label, mine in classes.items()}
    return {label: float(mine.std(axis=0, ddof=1).mean()) for label, mine in pixels.items() if len(mine) > 1}


def spread_against(images: Array, labels: Array, real: Mapping[int, float]) -> Spread:
    """How much samples of one class differ, as a ratio to real digits: mean and worst over the classes.

    Per class, the standard deviation of each pixel over the images, averaged over the pixels, divided by the
    same of the real images, their `class_deviations` (the pixel-space reading of mode collapse; compare intra-class
    diversity in Odena et al., Conditional Image Synthesis with Auxiliary Classifier GANs, 2017). Images `(N, ...)`,
    labels `(N,)`. A class of one image on either side is left out.

    Raises: ValueError where the lengths differ or no class is left.

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
    """The share of `images` `(N, ...)` that are no near-duplicate of another one; in [0, 1], N at least 2.

    `mean_j [min_(i != j) rms(x_j - x_i) > tolerance]`, with rms the root of the mean squared pixel
    difference. Of more than 5000 images the first 5000 stand for all, since every two of them are compared.

    Raises: ValueError where there are fewer than 2 images or the tolerance is negative.

    >>> distinct_share(np.array([[0.0], [0.01], [1.0], [0.5]]), tolerance=0.1)
    0.5
    """
    if len(images) < 2 or tolerance < 0:
        raise ValueError(f"distinct_share: expected 2 images and a tolerance, got {len(images)}, {tolerance}")
    from sklearn.neighbors import NearestNeighbors

    flat = images[:_MOST].reshape(len(images[:_MOST]), -1)
    search = NearestNeighbors(n_neighbors=1, algorithm="brute").fit(flat)
    nearest = search.kneighbors()[0][:, 0]  # without an argument, a picture is no neighbour of itself
    return float((nearest > tolerance * math.sqrt(flat.shape[1])).mean())
