"""Pictures prepared for a comparison that forgives small changes: blurred, centred, and their tangents.

A tangent is how a picture's pixels change under a small move, turn or blur (Simard, LeCun and Denker, Efficient
Pattern Recognition Using a New Transformation Distance, 1993).
"""

from __future__ import annotations

import numpy as np

from grader.records import Array

SIDE = 28
BLUR_PX = 1.0  # takes noise and half pixels out of the comparison, and makes tangents hold for about a pixel
_INK = 0.3  # of the brightest pixel: fainter ones are background and must not pull the centre
_PLACES = np.arange(SIDE, dtype=np.float32) - (SIDE - 1) / 2


def prepared(images: Array) -> Array:
    """`images` `(N, 28, 28)` or `(N, 1, 28, 28)`, uint8 or in [0, 1], blurred and centred: `(N, 28, 28)` float32.

    Raises: ValueError where the shape is another.
    """
    if images.ndim not in (3, 4) or images.shape[-2:] != (SIDE, SIDE) or images.size != len(images) * SIDE**2:
        raise ValueError(f"images: expected shape (N, 28, 28) or (N, 1, 28, 28), got {images.shape}")
    scale = np.float32(255 if images.dtype == np.uint8 else 1)
    offsets = _PLACES[:, None] - _PLACES[None, :]
    kernel = np.exp(-(offsets**2) / (2 * BLUR_PX**2))
    kernel /= kernel[SIDE // 2].sum()
    return _centred(kernel @ (images.reshape(-1, SIDE, SIDE).astype(np.float32) / scale) @ kernel)


def flat(pictures: Array) -> Array:
    """`(N, 28, 28)` -> `(N, 784)`, each row of mean 0 and length 1 (or 0): brightness and background are gone."""
    rows = pictures.reshape(len(pictures), SIDE * SIDE)
    return unit(rows - rows.mean(axis=1, keepdims=True))


def unit(rows: Array) -> Array:
    """Each of the last axis' vectors divided by its length; one next to zero becomes zero."""
    length = np.sqrt((rows * rows).sum(axis=-1, keepdims=True))
    scaled: Array = np.where(length > 1e-5, rows / length.clip(min=1e-5), 0)
    return scaled


def tangents(pictures: Array) -> Array:
    """Each picture with its changes when moved, turned, scaled, stretched and blurred: `(N, 8, 784)`, unit rows."""
    down, right = np.gradient(pictures, axis=1), np.gradient(pictures, axis=2)
    y, x = _PLACES[:, None], _PLACES[None, :]
    blur = np.gradient(down, axis=1) + np.gradient(right, axis=2)
    turn, scale = x * down - y * right, x * right + y * down
    stretch, skew = x * right - y * down, x * down + y * right
    changes = (pictures, right, down, turn, scale, stretch, skew, blur)
    return np.stack([flat(change) for change in changes], axis=1)


def _centred(pictures: Array) -> Array:
    """Each picture moved, by parts of a pixel too, until its ink is centred; nothing wraps."""
    ink = (pictures - _INK * pictures.max(axis=(1, 2), keepdims=True)).clip(min=0)
    mass = ink.sum(axis=(1, 2)).clip(min=1e-6)
    down = _mover(ink.sum(axis=2) @ _PLACES / mass)
    right = _mover(ink.sum(axis=1) @ _PLACES / mass)
    moved: Array = down @ pictures @ right.transpose(0, 2, 1)
    return moved


def _mover(place: Array) -> Array:
    """Matrices `(N, 28, 28)` that read a row `place` `(N,)` pixels further on, between pixels linearly."""
    steps = _PLACES[None, :] - _PLACES[:, None]
    hat: Array = (1 - np.abs(steps - place[:, None, None].astype(np.float32))).clip(min=0)
    return hat
