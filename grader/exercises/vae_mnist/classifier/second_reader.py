"""A second classifier of another kind, to see how far the two agree on images that models draw."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from grader.exercise import Reading
from grader.exercises.vae_mnist.classifier import classify
from grader.exercises.vae_mnist.data.mnist import Mnist
from grader.records import Array

UNITS, EPOCHS = 256, 12


class SecondReader:
    """A network of two layers without convolutions, trained on the unaugmented training images."""

    def __init__(self, mnist: Mnist) -> None:
        from sklearn.neural_network import MLPClassifier

        x = mnist.train_images.reshape(-1, 784).astype(np.float32) / 255
        network: Any = MLPClassifier((UNITS,), max_iter=EPOCHS, batch_size=256, random_state=0, tol=0)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a few epochs are enough, without convergence
            self._network: Any = network.fit(x, mnist.train_labels)

    def labels(self, images: Array) -> Array:
        """The predicted digit of each image, `(N, 1, 28, 28)` in [0, 1]."""
        labels: Array = self._network.predict(images.reshape(len(images), -1).astype(np.float32))
        return labels

    def reading(self, name: str, images: Array) -> Reading:
        """The agreement of both classifiers on the images, and each digit's share."""
        first, second = classify(images).labels, self.labels(images)
        shares = [float((first == digit).mean()) for digit in range(10)]
        agreements = [
            float((second[first == d] == d).mean()) if (first == d).any() else float("nan") for d in range(10)
        ]
        return Reading(name, float((first == second).mean()), shares, agreements)
