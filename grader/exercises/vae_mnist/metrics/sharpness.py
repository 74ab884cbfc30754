"""How sharp pictures are: how much of what is in them lies in their edges."""

from __future__ import annotations

import math

import numpy as np

from grader.records import Array


def sharpness(images: Array) -> float:
    """The root of the summed squared gradients over the root of the summed squares; at least 0, small where blurred.

    `sqrt(sum |grad x|^2 / sum x^2)` over all images, with the differences of neighbouring pixels, down and across, for
    the gradient: the root mean square spatial frequency in radians a pixel (by Parseval's theorem). It does not depend
    on brightness. Images `(N, ..., H, W)`, N at least 1.

    Raises: ValueError where there are no images.

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
