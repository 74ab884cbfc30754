"""Pictures that do not come from training: few steps of the optimizer, and a decoder that needs none of its weights."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from grader.exercises.vae_mnist.checks import real_digits
from grader.exercises.vae_mnist.checks.image_measures import draws_without_its_weights
from grader.exercises.vae_mnist.in_box.trained import KEPT_WEIGHTS, UNTRAINED, _mixed
from grader.exercises.vae_mnist.plugin import STEPS_PER_EPOCH, _few_steps
from grader.exercises.vae_mnist.questions import UNTRAINED as ASKED
from grader.records import Address, Array, Evidence, Stage

QUALITY = Stage.of("quality", "vae")


def test_a_nearly_new_weight_has_only_the_trained_weights_most_unusual_entries() -> None:
    trained, fresh = torch.randn(40, 50, generator=torch.Generator().manual_seed(1)), torch.zeros(40, 50)
    trained[7, 11] = -30.0  # a switch
    mixed = _mixed(fresh, trained)
    kept = mixed != 0
    assert int(kept.sum()) == KEPT_WEIGHTS * trained.numel()
    assert mixed[7, 11] == -30.0
    assert torch.equal(mixed[kept], trained[kept])
    assert torch.equal(_mixed(torch.zeros(50), trained[0]), trained[0])  # a bias is kept whole
    assert _mixed(torch.zeros(3, 3), torch.full((3, 3), 2.0)).eq(2.0).sum() == 1


@pytest.mark.parametrize(
    ("count", "epochs", "expected"),
    [(1, 7, 1), (10 * 7 - 1, 7, 1), (10 * 7, 7, 0), (3283, 7, 0), (None, 7, 0), (3, 0, 0)],
)
def test_a_training_of_few_steps_needs_review(count: int | None, epochs: int, expected: int) -> None:
    answers = {Address.of("trained", "vae", "history").array("history"): np.ones(epochs, np.float32)}
    if count is not None:
        answers[Address.of("trained", "vae", "steps").array("count")] = np.array(count)
    assert len(_few_steps(Evidence({}, answers), "vae")) == expected
    assert STEPS_PER_EPOCH == 10


def drawn_by(nearly_new: Array | None, trained: Array, fresh: Array) -> Evidence:
    """What the boxes drew of 500 codes from the prior, with one hidden image."""
    count = len(trained)
    questions = {
        QUALITY.array("x"): np.zeros((1, 1, 28, 28), np.float32),
        QUALITY.array("prior"): np.zeros((count, 2), np.float32),
        QUALITY.array("fresh_x"): np.zeros((1, 1, 28, 28), np.float32),
    }
    answers = {
        Address.of("decode", "vae", "decode").array("images"): np.concatenate([trained[:1], trained]),
        Address.of("untrained", "vae", "untrained").array("drawn"): fresh,
        Address.of("untrained", "vae", "untrained").array("reconstructions"): fresh[:1],
    }
    if nearly_new is not None:
        answers[Address.of("decode", "vae", "nearly_new").array("images")] = nearly_new
    return Evidence(questions, answers)


def test_a_decoder_that_draws_digits_with_few_of_its_weights_is_noticed() -> None:
    assert UNTRAINED == ASKED
    digits = real_digits.mnist().test_images[:UNTRAINED].reshape(-1, 1, 28, 28).astype(np.float32) / 255
    noise = np.random.default_rng(1).random(digits.shape, dtype=np.float32)
    assert draws_without_its_weights(drawn_by(digits, digits, noise), "vae")
    assert not draws_without_its_weights(drawn_by(noise, digits, noise), "vae")
    assert not draws_without_its_weights(drawn_by(None, digits, noise), "vae")
    assert not draws_without_its_weights(
        drawn_by(noise, noise, noise), "vae"
    )  # nothing was learned: other checks say so
    assert not draws_without_its_weights(drawn_by(digits[:9], digits, noise), "vae")
