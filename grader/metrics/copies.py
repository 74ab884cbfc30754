"""Samples that are training images in disguise: moved, turned a little, noisy, blurred, lighter or darker."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from grader.metrics.tangents import SIDE, flat, prepared, tangents, unit
from grader.records import Array

_COARSE = 64  # principal components in which candidates are looked for
_BASIS_STRIDE = 15  # the components come from every 15th training image
_GROUPS = 16  # rivals a sample is compared with
_ROWS = 250  # samples at once: bounds the memory
_BANK_ROWS = 500  # training images at once: stays in the processor's cache


@dataclass(frozen=True, slots=True)
class CopyBank:
    """M training images made ready for the search; about 200 MB for the whole training set."""

    pictures: Array  # (M, 784), rows of mean 0 and length 1
    coarse: Array  # (M or a few more, 64), rows of length 1, filled up to whole groups with zeros
    basis: Array  # (784, 64)


def copy_bank(train_images: Array) -> CopyBank:
    """The bank of `train_images` `(M, 28, 28)` or `(M, 1, 28, 28)`, uint8 or in [0, 1]; make it once, use it often.

    Raises: ValueError where the shape is another or there are fewer than 16 images.
    """
    if len(train_images) < _GROUPS:
        raise ValueError(f"copy_bank: expected at least {_GROUPS} training images, got {len(train_images)}")
    pictures = np.empty((len(train_images), SIDE * SIDE), dtype=np.float32)
    for start in range(0, len(pictures), _BANK_ROWS):
        pictures[start : start + _BANK_ROWS] = flat(prepared(train_images[start : start + _BANK_ROWS]))
    some = pictures[::_BASIS_STRIDE] if len(pictures) > _BASIS_STRIDE * _COARSE else pictures
    basis = np.linalg.eigh(some.T @ some)[1][:, -_COARSE:]
    fill = -len(pictures) % _GROUPS
    coarse = np.pad(unit(pictures @ basis), ((0, fill), (0, 0)))
    return CopyBank(pictures, coarse, basis)


class CopySearch(NamedTuple):
    """For each of N samples, how near the nearest training image is, and which one that is."""

    ratios: Array  # (N,), see `copy_ratios`
    nearest: Array  # (N,), rows of the training images


def copy_ratios(samples: Array, bank: CopyBank) -> Array:
    """How much nearer each sample is to its nearest training image than to the rivals: `(N,)` in [0, 1].

    0.0 to 0.4 for a copy, 0.6 to 0.95 for a new picture, 1 for an empty one. `min_g d_g / median_g d_g` over
    the nearest training image of each of 16 equal parts of the training set: the ratio test of Lowe
    (Distinctive Image Features from Scale-Invariant Keypoints, 2004, section 7.1), so no digit needs a
    threshold of its own. `d` is the one-sided tangent distance: what of the training image is left outside
    the span of the sample and its tangents. Sees copies moved by any number of pixels; mixed, flipped or
    strongly turned ones pass as new.

    Raises: ValueError where the shape is not `(N, 28, 28)` or `(N, 1, 28, 28)`.
    """
    return copy_search(samples, bank).ratios


def copy_search(samples: Array, bank: CopyBank) -> CopySearch:
    """The `copy_ratios` of the samples, and the training image that each is nearest to.

    Raises: as `copy_ratios`.
    """
    pictures = prepared(samples)
    ratios, nearest = np.ones(len(pictures)), np.zeros(len(pictures), dtype=np.int64)
    size = len(bank.coarse) // _GROUPS
    firsts = np.arange(_GROUPS) * size
    for start in range(0, len(pictures), _ROWS):
        part = pictures[start : start + _ROWS]
        likeness = (flat(part) @ bank.basis) @ bank.coarse.T  # (rows, M)
        found = likeness.reshape(len(part), _GROUPS, size).argmax(axis=2) + firsts
        found = found.clip(max=len(bank.pictures) - 1)
        distances = _outside(bank.pictures[found], tangents(part))  # (rows, groups)
        nearest[start : start + _ROWS] = found[np.arange(len(part)), distances.argmin(axis=1)]
        ratios[start : start + _ROWS] = distances.min(axis=1) / np.median(distances, axis=1).clip(min=1e-9)
    ratios[~flat(pictures).any(axis=1)] = 1
    return CopySearch(ratios, nearest)


def copy_share(samples: Array, train_images: Array | CopyBank, *, ratio: float) -> float:
    """The share of `samples` whose `copy_ratios` lie below `ratio`: disguised training images; in [0, 1].

    Raises: ValueError where there are no samples or a shape is wrong.
    """
    if not len(samples):
        raise ValueError("copy_share: expected at least one sample, got none")
    bank = train_images if isinstance(train_images, CopyBank) else copy_bank(train_images)
    return float((copy_ratios(samples, bank) < ratio).mean())


def _outside(rivals: Array, spans: Array) -> Array:
    """The length of each of `rivals` `(N, G, 784)` outside the span of `spans` `(N, K, 784)`: `(N, G)` in [0, 1]."""
    weight = np.float32(1e-4) * np.eye(spans.shape[1], dtype=np.float32)  # for tangents that nearly coincide
    gram = spans @ spans.transpose(0, 2, 1) + weight  # (N, K, K)
    shadow = spans @ rivals.transpose(0, 2, 1)  # (N, K, G)
    inside = (shadow * np.linalg.solve(gram, shadow)).sum(axis=1)
    outside: Array = np.sqrt((1 - inside).clip(min=0))
    return outside
