"""How often predicted labels are the wanted ones, overall and in the worst class."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from grader.records import Array


class Agreement(NamedTuple):
    """Shares in [0, 1]; `worst_class` is the class that `worst` belongs to."""

    overall: float
    worst: float
    worst_class: int


def label_agreement(labels: Array, predicted: Array) -> Agreement:
    """The share of `predicted` equal to `labels`, overall and in the class where it is smallest.

    `mean [predicted_i = labels_i]`, and its least value over the classes that occur in `labels`: accuracy and
    worst-class recall of a confusion matrix. Both arguments `(N,)` integers, N at least 1. Serves for the
    labels of reconstructions and for the requested labels of conditional samples.

    Raises: ValueError where the shapes differ or nothing is given.

    >>> label_agreement(np.array([3, 3, 7, 7]), np.array([3, 3, 7, 1]))
    Agreement(overall=0.75, worst=0.5, worst_class=7)
    """
    if labels.ndim != 1 or labels.shape != predicted.shape or not len(labels):
        raise ValueError(f"label_agreement: expected two (N,) arrays, got {labels.shape} and {predicted.shape}")
    right = labels == predicted
    recalls = {int(label): float(right[labels == label].mean()) for label in np.unique(labels)}
    worst_class = min(recalls, key=lambda label: recalls[label])
    return Agreement(float(right.mean()), recalls[worst_class], worst_class)
