"""How often predicted labels are the wanted ones, overall and in the worst class."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from grader.records import Array


class Agreement(NamedTuple):
    """Shares in [0, 1]; `worst_class` is the class that `worst` belongs to.

    `even` is the harmonic mean of the classes' shares, 0 where one of them is: a class that is missing cannot be made
    up for by the others, and yet every answer counts, so it is known far better than `worst`.
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
    method `even_error^2 = (even^2 / K)^2 sum var(s_k) / s_k^4`. Both arguments `(N,)` integers, N at least 1. Serves
    for the labels of reconstructions and for the requested labels of conditional samples.

    Raises: ValueError where the shapes differ or nothing is given.

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
