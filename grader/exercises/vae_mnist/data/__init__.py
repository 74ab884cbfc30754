"""MNIST for the grader and for the box."""

from grader.exercises.vae_mnist.data.mnist import Mnist, cache_root, ensure_mnist, find_mnist, load_mnist

__all__ = ["Mnist", "cache_root", "ensure_mnist", "find_mnist", "load_mnist"]
