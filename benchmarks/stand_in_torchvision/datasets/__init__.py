"""The only data set that the notebook loads."""

from .mnist import MNIST

__all__ = ["MNIST"]
