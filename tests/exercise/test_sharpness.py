"""Sharpness: what a blur takes from it, what it does not depend on, and its value where that is known."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from grader.exercises.vae_mnist.metrics import sharpness


def test_a_wave_has_the_frequency_that_it_was_drawn_with() -> None:
    wave = np.cos(0.2 * np.arange(2000))[None, None, :].repeat(3, axis=1)
    assert sharpness(wave) == pytest.approx(2 * np.sin(0.1), rel=0.01)  # of neighbouring pixels


def test_brightness_does_not_matter_and_blur_does() -> None:
    images = (np.random.default_rng(0).random((5, 1, 28, 28)) > 0.8).astype(float)
    assert sharpness(0.3 * images) == pytest.approx(sharpness(images))
    levels = [sharpness(ndimage.gaussian_filter(images, (0, 0, s, s))) for s in (0.5, 1, 2, 4)]
    assert levels == sorted(levels, reverse=True)


def test_the_sharpness_of_black_images_is_zero() -> None:
    assert sharpness(np.zeros((2, 1, 28, 28))) == 0
    with pytest.raises(ValueError, match="expected images"):
        sharpness(np.zeros((0, 28, 28)))
