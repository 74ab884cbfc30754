"""The exercise: a variational autoencoder and a conditional one on MNIST."""

from __future__ import annotations

from grader.exercise import Exercise


def exercise() -> Exercise:
    """Returns the exercise: its questions, evidence specification, checks and pictures."""
    from grader.exercises.vae_mnist.plugin import VaeMnist  # torch and scikit-learn take a second to import

    return VaeMnist()
