"""Finds samples that are altered training images: shifted, slightly rotated, noisy, blurred, lighter or darker.

Pictures are blurred and centred, and compared up to small changes with the help of tangents. A tangent is the change of
a picture's pixels under a small shift, rotation or blur (Simard, LeCun and Denker, Efficient Pattern Recognition Using
a New Transformation Distance, 1993).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from grader.records import Array

_COARSE = 64  # principal components in which candidates are searched
_BASIS_STRIDE = 15  # the components come from every 15th training image
_GROUPS = 16  # parts of the training set, each of which gives a sample one candidate
_ROWS = 250  # samples per batch: bounds the memory
_BANK_ROWS = 500  # training images per batch: fits into the processor's cache
SIDE = 28
BLUR_PX = 1.0  # removes noise and subpixel shifts, and makes tangents accurate for about a pixel
_INK = 0.3  # share of the brightest pixel; fainter pixels are background and must not shift the centre
_PLACES = np.arange(SIDE, dtype=np.float32) - (SIDE - 1) / 2


class CopyBank:
    """An index of M training images for the search; 15 MB for the whole training set, in addition to the images.

    Candidates are searched in `coarse` `(M or a few more, 64)`, the images in the basis `(784, 64)` as rows of length
    1, padded with zeros to a multiple of 16 rows. A picture itself is prepared only when it becomes a candidate.
    """

    def __init__(self, train_images: Array, coarse: Array, basis: Array) -> None:
        count = len(train_images)
        if coarse.shape != (count + -count % _GROUPS, _COARSE) or basis.shape != (SIDE * SIDE, _COARSE):
            raise ValueError(f"CopyBank: the index is another bank's: {coarse.shape}, {basis.shape} for {count} images")
        self.coarse, self.basis = coarse, basis
        self._images = train_images

    def __len__(self) -> int:
        return len(self._images)

    def pictures(self, rows: Array) -> Array:
        """The prepared training images of these rows `(...)`, each of mean 0 and length 1: `(..., 784)`."""
        unique_rows, where = np.unique(rows, return_inverse=True)
        pictures = np.empty((len(unique_rows), SIDE * SIDE), dtype=np.float32)
        for start in range(0, len(unique_rows), _BANK_ROWS):
            pictures[start : start + _BANK_ROWS] = flat(prepared(self._images[unique_rows[start : start + _BANK_ROWS]]))
        result: Array = pictures[where.reshape(rows.shape)]
        return result


def copy_bank(train_images: Array) -> CopyBank:
    """The bank of `train_images` `(M, 28, 28)` or `(M, 1, 28, 28)`, uint8 or in [0, 1]; slow, so make it once.

    Its `coarse` and `basis` may be stored, to construct a `CopyBank` of the same images later.

    Raises: ValueError if the shape is wrong or there are fewer than 16 images.
    """
    if len(train_images) < _GROUPS:
        raise ValueError(f"copy_bank: expected at least {_GROUPS} training images, got {len(train_images)}")
    count = len(train_images)
    sample = flat(prepared(train_images[::_BASIS_STRIDE] if count > _BASIS_STRIDE * _COARSE else train_images))
    basis = np.linalg.eigh(sample.T @ sample)[1][:, -_COARSE:]
    coarse = np.zeros((count + -count % _GROUPS, _COARSE), dtype=np.float32)
    for start in range(0, count, _BANK_ROWS):
        stop = min(start + _BANK_ROWS, count)
        coarse[start:stop] = unit(flat(prepared(train_images[start:stop])) @ basis)
    return CopyBank(train_images, coarse, basis)


class CopySearch(NamedTuple):
    """For each of N samples, its distance ratio and its nearest training image."""

    ratios: Array  # (N,) in [0, 1], see `copy_search`
    nearest: Array  # (N,), rows of the training images


def copy_search(samples: Array, bank: CopyBank) -> CopySearch:
    """The distance of each sample from its nearest training image, relative to other candidates, and that image.

    A ratio is 0.0 to 0.4 for a copy, 0.6 to 0.95 for a new picture, 1 for an empty one: `min_g d_g / median_g d_g`
    over the nearest training image of each of 16 equal parts of the training set, the ratio test of Lowe
    (Distinctive Image Features from Scale-Invariant Keypoints, 2004, section 7.1), so that no digit needs its own
    threshold. `d` is the one-sided tangent distance: the length of the training image outside the span of the sample
    and its tangents. Copies shifted by any number of pixels are found; mixed, flipped or strongly rotated ones
    pass as new.

    Raises: ValueError if the shape is not `(N, 28, 28)` or `(N, 1, 28, 28)`.
    """
    pictures = prepared(samples)
    ratios, nearest = np.ones(len(pictures)), np.zeros(len(pictures), dtype=np.int64)
    size = len(bank.coarse) // _GROUPS
    firsts = np.arange(_GROUPS) * size
    for start in range(0, len(pictures), _ROWS):
        part = pictures[start : start + _ROWS]
        likeness = (flat(part) @ bank.basis) @ bank.coarse.T  # (rows, M)
        candidates = likeness.reshape(len(part), _GROUPS, size).argmax(axis=2) + firsts
        candidates = candidates.clip(max=len(bank) - 1)
        distances = _outside(bank.pictures(candidates), tangents(part))  # (rows, groups)
        nearest[start : start + _ROWS] = candidates[np.arange(len(part)), distances.argmin(axis=1)]
        ratios[start : start + _ROWS] = distances.min(axis=1) / np.median(distances, axis=1).clip(min=1e-9)
    ratios[~flat(pictures).any(axis=1)] = 1
    return CopySearch(ratios, nearest)


def _outside(rivals: Array, spans: Array) -> Array:
    """The length of each of `rivals` `(N, G, 784)` outside the span of `spans` `(N, K, 784)`: `(N, G)` in [0, 1]."""
    weight = np.float32(1e-4) * np.eye(spans.shape[1], dtype=np.float32)  # in case tangents nearly coincide
    gram = spans @ spans.transpose(0, 2, 1) + weight  # (N, K, K)
    shadow = spans @ rivals.transpose(0, 2, 1)  # (N, K, G)
    inside = (shadow * np.linalg.solve(gram, shadow)).sum(axis=1)
    outside: Array = np.sqrt((1 - inside).clip(min=0))
    return outside


def prepared(images: Array) -> Array:
    """`images` `(N, 28, 28)` or `(N, 1, 28, 28)`, uint8 or in [0, 1], blurred and centred: `(N, 28, 28)` float32.

    Raises: ValueError if the shape is wrong.
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
    """The vectors along the last axis, scaled to length 1; those close to zero become zero."""
    length = np.sqrt((rows * rows).sum(axis=-1, keepdims=True))
    scaled: Array = np.where(length > 1e-5, rows / length.clip(min=1e-5), 0)
    return scaled


def tangents(pictures: Array) -> Array:
    """Each picture and its tangents of shift, rotation, scale, stretch, shear and blur: `(N, 8, 784)`, unit rows."""
    down, right = np.gradient(pictures, axis=1), np.gradient(pictures, axis=2)
    y, x = _PLACES[:, None], _PLACES[None, :]
    blur = np.gradient(down, axis=1) + np.gradient(right, axis=2)
    turn, scale = x * down - y * right, x * right + y * down
    stretch, skew = x * right - y * down, x * down + y * right
    changes = (pictures, right, down, turn, scale, stretch, skew, blur)
    return np.stack([flat(change) for change in changes], axis=1)


def _centred(pictures: Array) -> Array:
    """Each picture shifted, by fractions of a pixel, so that its ink is centred; pixels do not wrap around."""
    ink = (pictures - _INK * pictures.max(axis=(1, 2), keepdims=True)).clip(min=0)
    mass = ink.sum(axis=(1, 2)).clip(min=1e-6)
    down = _mover(ink.sum(axis=2) @ _PLACES / mass)
    right = _mover(ink.sum(axis=1) @ _PLACES / mass)
    centred: Array = down @ pictures @ right.transpose(0, 2, 1)
    return centred


def _mover(place: Array) -> Array:
    """Matrices `(N, 28, 28)` that shift an axis by `place` `(N,)` pixels, with linear interpolation."""
    steps = _PLACES[None, :] - _PLACES[:, None]
    hat: Array = (1 - np.abs(steps - place[:, None, None].astype(np.float32))).clip(min=0)
    return hat
