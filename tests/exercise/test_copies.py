"""Training images in disguise are seen, other people's digits are not."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter, rotate

from grader.exercises.vae_mnist.copies import CopyBank, copy_bank, copy_search, prepared
from grader.exercises.vae_mnist.data import ensure_mnist, load_mnist
from grader.records import Array

COUNT = 150


@pytest.fixture(scope="module")
def train_images() -> Array:
    return load_mnist(ensure_mnist(print)).train_images[:12_001]  # not a multiple of the groups


@pytest.fixture(scope="module")
def bank(train_images: Array) -> CopyBank:
    return copy_bank(train_images)


@pytest.fixture(scope="module")
def originals(train_images: Array) -> Array:
    return train_images[-COUNT:].astype(np.float32)[:, None] / 255  # the last group, with the odd one


def copy_share(samples: Array, bank: CopyBank) -> float:
    return float((copy_search(samples, bank).ratios < 0.45).mean())


def noisy(images: Array) -> Array:
    noise = np.random.default_rng(0).normal(0, 0.05, images.shape)
    return (images + noise).clip(0, 1).astype(np.float32)


@pytest.mark.parametrize(
    ("disguise", "least"),
    [
        (lambda x: x, 1.0),
        (lambda x: np.roll(x, (2, -2), axis=(2, 3)), 0.97),
        (lambda x: x * np.float32(0.6), 1.0),
        (noisy, 0.9),
        (lambda x: gaussian_filter(x, (0, 0, 0.8, 0.8)), 0.9),
        (lambda x: rotate(x, 4, (2, 3), reshape=False, order=1).clip(0, 1), 0.85),
    ],
    ids=["plain", "moved", "darker", "noisy", "blurred", "turned"],
)
def test_disguised_training_images_are_found(disguise: object, least: float, originals: Array, bank: CopyBank) -> None:
    assert callable(disguise)
    assert copy_share(disguise(originals), bank) >= least


def test_new_digits_are_no_copies(bank: CopyBank) -> None:
    digits = load_mnist(ensure_mnist(print)).test_images[:500]
    assert copy_share(digits, bank) < 0.02


def test_empty_and_even_pictures_are_no_copies(bank: CopyBank) -> None:
    assert copy_search(np.zeros((3, 1, 28, 28), dtype=np.float32), bank).ratios.tolist() == [1, 1, 1]
    assert copy_search(np.full((2, 28, 28), 0.5, dtype=np.float32), bank).ratios.min() > 0.8
    assert copy_search(np.zeros((0, 28, 28), dtype=np.float32), bank).ratios.shape == (0,)


def test_moving_and_dimming_a_picture_changes_nothing_after_preparation() -> None:
    ink = np.random.default_rng(0).random((20, 1, 10, 10)).astype(np.float32)
    images = np.pad(ink, ((0, 0), (0, 0), (9, 9), (9, 9)))  # room to move and to blur
    shifted_images = np.roll(images, (1, 2), axis=(2, 3))
    np.testing.assert_allclose(prepared(shifted_images), prepared(images), atol=1e-3)
    np.testing.assert_allclose(prepared(images / 2) * 2, prepared(images), atol=1e-3)


def test_images_and_banks_of_invalid_shapes_are_refused(bank: CopyBank) -> None:
    with pytest.raises(ValueError, match="28"):
        copy_search(np.zeros((2, 3, 28, 28)), bank)
    with pytest.raises(ValueError, match="16"):
        copy_bank(np.zeros((15, 28, 28)))


def test_a_bank_can_be_made_of_what_was_kept(train_images: Array, bank: CopyBank) -> None:
    again = CopyBank(train_images, bank.coarse, bank.basis)
    rows = np.array([[5, 9], [9, 12_000]])
    assert (again.pictures(rows) == copy_bank(train_images).pictures(rows)).all()
    assert (copy_search(train_images[:40], again).ratios == copy_search(train_images[:40], bank).ratios).all()
    with pytest.raises(ValueError, match="another bank's"):
        CopyBank(train_images, bank.coarse[:-1], bank.basis)


def test_a_copy_is_traced_to_its_original(train_images: Array, bank: CopyBank) -> None:
    rows = np.array([3, 77, 150])
    copies = np.roll(train_images[rows], (1, 2), axis=(1, 2))
    assert copy_search(copies, bank).nearest.tolist() == rows.tolist()
