"""Mistakes that recorded steps reveal in a training loop: pure functions of made-up numbers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from grader.exercises.vae_mnist.checks import steps
from grader.exercises.vae_mnist.checks.steps import LOSSES, Pass, Steps
from grader.exercises.vae_mnist.questions import PIXELS
from grader.records import Address, Evidence

COUNT, WIDTH, ROWS, LATENTS = 6, 8, 4, 3
ANSWER = Address.of("components", "vae", "training")
RANDOM = np.random.default_rng(4)
STATES = RANDOM.normal(size=(COUNT + 1, WIDTH))
GRADIENTS = RANDOM.normal(size=(COUNT, WIDTH))
SOUND = Steps(
    batches=[(np.zeros((ROWS, PIXELS)), np.zeros(ROWS, dtype=np.int64))] * 3,
    before=STATES[:-1],
    after=STATES[1:],
    used=GRADIENTS,
    came=GRADIENTS,
    rates=np.full(COUNT, 1e-3),
    losses=np.ones((COUNT, 6)),
    rows=[np.arange(ROWS) + ROWS * (step % 3) for step in range(COUNT)],
    start=STATES[0],
    end=STATES[-1],
    epochs=2,
    passes={},
)


def test_steps_that_go_on_from_each_other() -> None:
    assert SOUND.goes_on.all()
    assert (SOUND.clear > 0.999).all()
    assert not SOUND.heaped
    assert not SOUND.faint.any()
    assert [SOUND.ends_in(step) for step in range(COUNT)] == [False] * (COUNT - 1) + [True]


def test_weights_that_something_else_writes() -> None:
    before = SOUND.before.copy()
    before[3] *= 0.5
    assert replace(SOUND, before=before).goes_on.tolist() == [True] * 3 + [False] + [True] * 2
    assert not replace(SOUND, start=SOUND.start + 1).goes_on[0]


@pytest.mark.parametrize("cleared", [COUNT, 3])  # never, or once an epoch
def test_gradients_that_accumulate(cleared: int) -> None:
    gradients = np.concatenate([np.cumsum(GRADIENTS[at : at + cleared], axis=0) for at in range(0, COUNT, cleared)])
    assert replace(SOUND, used=gradients).heaped


def test_other_gradients_do_not_count_as_accumulated() -> None:
    assert not replace(SOUND, used=RANDOM.normal(size=(COUNT, WIDTH))).heaped
    only_the_first_fits = np.concatenate([GRADIENTS[:1], RANDOM.normal(size=(COUNT - 1, WIDTH))])
    assert not replace(SOUND, used=only_the_first_fits).heaped


def test_gradients_too_small_for_a_step_are_found_in_any_direction() -> None:
    assert replace(SOUND, used=1e-9 * GRADIENTS, came=1e-9 * GRADIENTS).faint.all()
    assert not replace(SOUND, used=1e-3 * GRADIENTS).faint.any()


def pass_of(name: str, *, scale: float = 1.0, kl: float = 1.0, sign: float = 1.0) -> Pass:
    """A pass of that loss, its gradients times `scale`, its KL term times `kl`, its reconstruction times `sign`."""
    loss = LOSSES[name]
    x, x_hat = RANDOM.random((ROWS, PIXELS)), RANDOM.uniform(0.05, 0.95, (ROWS, PIXELS))
    mu, logvar = RANDOM.normal(size=(2, ROWS, LATENTS))
    slopes = loss.mu(mu), loss.logvar(logvar)
    return Pass(
        x,
        x_hat,
        sign * scale * loss.x_hat(x_hat, x) / ROWS,
        mu,
        logvar,
        kl * scale * slopes[0] / ROWS,
        kl * scale * slopes[1] / ROWS,
    )


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize(
    ("change", "wrong"),
    [
        ({}, ""),
        ({"scale": 500.0}, ""),  # summed over the batch, or averaged: Adam makes the same steps of it
        ({"scale": 0.002}, ""),
        ({"scale": 1e-5}, "hardly any size"),
        ({"scale": 1e5}, "an enormous size"),
        ({"kl": 0.0}, "no KL term"),
        ({"kl": -1.0}, "another KL term"),
        ({"kl": 3.0}, "another KL term"),
        ({"sign": -1.0}, "uphill"),
        ({"sign": 0.0}, "another loss"),
    ],
)
def test_mistakes_in_a_training_step_are_named(name: str, change: dict[str, float], wrong: str) -> None:
    assert pass_of(name, **change).deviation(LOSSES[name], 0.999) == wrong


def test_a_pass_of_one_loss_does_not_match_another() -> None:
    for name in LOSSES:
        recorded_pass = pass_of(name)
        assert [other for other, loss in LOSSES.items() if not recorded_pass.deviation(loss, 0.999)] == [name]


def test_a_kl_term_that_cannot_be_separated_from_the_codes_gradient_is_not_graded() -> None:
    recorded_pass = replace(pass_of("cross-entropy", kl=0.0), kl_mu=None)
    assert recorded_pass.deviation(LOSSES["cross-entropy"], 0.999) == ""


def test_a_pass_that_is_not_used_moves_no_rows_of_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first of two passes belongs to no recorded step, or has no images: the second keeps its own rows."""
    monkeypatch.setattr(steps, "steps_address", lambda evidence, part: ANSWER)
    heads = np.arange(5 * 2, dtype=np.float32).reshape(5, 2)
    images = np.arange(5 * PIXELS, dtype=np.float32).reshape(5, PIXELS)
    for recorded, image_counts in (([9, 0], [2, 3]), ([1, 0], [0, 3])):
        arrays = {
            **{f"pass_{name}": heads for name in ("mu", "logvar", "grad_mu", "grad_logvar", "path_mu", "path_logvar")},
            **{f"pass_{name}": images[-sum(image_counts) :] for name in ("x_hat", "grad_x_hat")},
            "kept": np.array(recorded),
            "pass_rows": np.array([2, 3]),
            "pass_images": np.array(image_counts),
            "tapped": np.array([0, 0]),
            "way": np.array([0, 0]),
        }
        evidence = Evidence({}, {ANSWER.array(name): array for name, array in arrays.items()})
        passes = steps._passes(evidence, "vae", np.zeros((6, PIXELS)), [np.arange(3), np.arange(3)], 3)
        assert list(passes) == [0]
        assert np.array_equal(passes[0].mu, heads[2:])
        assert np.array_equal(passes[0].x_hat, images[2:])
