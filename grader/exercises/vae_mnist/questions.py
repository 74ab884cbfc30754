"""The questions of a run, drawn from its secret seed outside the box and copied in.

Hidden images are slightly shifted and rotated test images, so that a table of known answers is useless. The questions
of a stage are a dictionary of float32 and int64 arrays; `sizes` comes from the rubric.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from grader.exercise import Questions
from grader.exercises.vae_mnist.data.mnist import Mnist
from grader.records import Array, Stage

PARTS = ("vae", "cvae")
PIXELS = 784  # of an image
MAX_LATENT = 512
MANY = 64  # images on which mu and logvar are compared, or that an untrained model reconstructs
UNTRAINED = 500  # codes from the prior that an untrained model decodes


def make_questions(rng: np.random.Generator, sizes: Mapping[str, int], mnist: Mnist) -> Questions:
    """The first questions, which do not depend on a box's answers."""
    questions: Questions = {}
    for part in PARTS:
        components = _component_questions(rng, sizes, mnist)
        if part == "vae":
            components |= _loss_questions(rng, mnist)
        questions[Stage.of("components", part)] = components
        questions[Stage.of("sampling", part)] = _sampling_questions(rng, sizes)
        for kind in ("ended", "trained"):
            questions[Stage.of(kind, part)] = {"nothing": np.zeros(1, dtype=np.int64)}
        questions[Stage.of("quality", part)] = _quality_questions(rng, sizes, mnist)
    return questions


def decode_questions(codes: Array, quality: Mapping[str, Array], state: Mapping[str, Array]) -> dict[str, Array]:
    """The trained decoder's state and the codes to decode: slightly moved codes, then codes from the prior.

    `codes` `(N, D)` are the first box's answers for the hidden images, which the fresh box does not receive.
    """
    size = codes.shape[1]
    near_codes = codes + quality["noise"][: len(codes), :size]
    prior = quality["prior"][:, :size]
    labels = np.concatenate([quality["y"], quality["prior_labels"]])
    return {**state, "codes": np.concatenate([near_codes, prior]).astype(np.float32), "labels": labels}


def untrained_questions(quality: Mapping[str, Array]) -> dict[str, Array]:
    """Images and codes for an untrained model in a fresh box; the hidden images are not among them."""
    return {
        "x": quality["fresh_x"],
        "y": quality["fresh_y"],
        "codes": quality["prior"][:UNTRAINED],
        "labels": quality["prior_labels"][:UNTRAINED],
    }


def hidden_images(rng: np.random.Generator, images: Array, count: int) -> tuple[Array, Array]:
    """`count` of the images, shifted by up to one pixel and rotated by up to six degrees, and their indices.

    images `(M, 28, 28)` uint8 -> `(count, 1, 28, 28)` float32 in [0, 1].
    """
    from scipy import ndimage

    indices = rng.choice(len(images), size=count, replace=False)
    hidden = np.empty((count, 1, 28, 28), dtype=np.float32)
    centre = np.array([13.5, 13.5])
    for row, index in enumerate(indices):
        angle = np.deg2rad(rng.uniform(-6, 6))
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        offset = centre - turn @ (centre + rng.uniform(-1, 1, size=2))
        picture = images[index].astype(np.float32) / 255
        hidden[row, 0] = ndimage.affine_transform(picture, turn, offset=offset, order=1)
    return np.clip(hidden, 0, 1), indices


def _normal(rng: np.random.Generator, *shape: int, scale: float = 1.0) -> Array:
    return (scale * rng.standard_normal(shape)).astype(np.float32)


def _uniform(rng: np.random.Generator, low: float, high: float, *shape: int) -> Array:
    return rng.uniform(low, high, shape).astype(np.float32)


def _integer(value: int) -> Array:
    return np.array(value, dtype=np.int64)


def _component_questions(rng: np.random.Generator, sizes: Mapping[str, int], mnist: Mnist) -> dict[str, Array]:
    rows, draws_rows = 7, sizes["draw_rows"]
    x, indices = hidden_images(rng, mnist.test_images, rows)
    y = mnist.test_labels[indices]
    first, second = _uniform(rng, 0, 0.5, 2, 1, 28, 28)
    code_a, code_b = _normal(rng, 2, MAX_LATENT)
    many_x, many_indices = hidden_images(rng, mnist.test_images, MANY)
    batch, batches = sizes["train_batch"], sizes["train_batches"]
    train_x, train_indices = hidden_images(rng, mnist.test_images, batch * batches - batch // 2)
    return {
        "x": x,
        "y": y,
        "z": _normal(rng, rows, MAX_LATENT),
        "order": np.roll(np.arange(rows), int(rng.integers(1, rows))),  # no row stays where it was
        "many_x": many_x,
        "many_y": mnist.test_labels[many_indices],
        # f is affine exactly if f(a + b) - f(a) - f(b) + f(0) is zero
        "line_images": np.stack([0 * first, first, second, first + second]),
        "line_codes": np.stack([0 * code_a, code_a, code_b, code_a + code_b]),
        "mu": _normal(rng, draws_rows, MAX_LATENT, scale=2.0),
        "logvar": _uniform(rng, -3, 2, draws_rows, MAX_LATENT),
        "weights": _normal(rng, draws_rows, MAX_LATENT),
        "draws": _integer(sizes["draws"]),
        "draw_seed": _integer(int(rng.integers(1 << 31))),
        "train_x": train_x,
        "train_y": mnist.test_labels[train_indices],
        "train_batch": _integer(batch),
        "train_epochs": _integer(sizes["train_epochs"]),
    }


def _sampling_questions(rng: np.random.Generator, sizes: Mapping[str, int]) -> dict[str, Array]:
    return {
        "draw_seed": _integer(int(rng.integers(1 << 31))),
        "sample_counts": np.array([sizes["toy_samples"], 1, 7, sizes["toy_samples"]], dtype=np.int64),
        "sample_labels": rng.integers(0, 10, sizes["toy_samples"]),
        "sample_codes": _normal(rng, 2, MAX_LATENT),
    }


def _loss_questions(rng: np.random.Generator, mnist: Mnist) -> dict[str, Array]:
    questions: dict[str, Array] = {}
    latents = 6
    digits, _ = hidden_images(rng, mnist.test_images, 9)
    noise = _uniform(rng, 0, 1, 5, 1, 28, 28)
    x_hat = _uniform(rng, 0.05, 0.95, 5, 1, 28, 28)
    batches = {
        "random": (x_hat, noise),
        "digits": (_uniform(rng, 0.05, 0.95, 9, 1, 28, 28), digits),
        "shifted": (x_hat, noise),  # as `random`, with other codes: only the KL term differs
        "small": (_uniform(rng, 0.05, 0.95, 2, 1, 28, 28), digits[:2]),
    }
    for name, (guess, x) in batches.items():
        questions[f"{name}_x_hat"] = guess
        questions[f"{name}_x"] = x
        questions[f"{name}_mu"] = _normal(rng, len(x), latents, scale=1.5)
        questions[f"{name}_logvar"] = _uniform(rng, -2.5, 1.5, len(x), latents)
    return questions


def _quality_questions(rng: np.random.Generator, sizes: Mapping[str, int], mnist: Mnist) -> dict[str, Array]:
    x, indices = hidden_images(rng, mnist.test_images, sizes["reconstructions"])
    fresh_x, fresh_indices = hidden_images(rng, mnist.test_images, MANY)
    labels = np.arange(sizes["samples"], dtype=np.int64) % 10
    prior_labels = np.arange(sizes["prior_samples"], dtype=np.int64) % 10
    return {
        "x": x,
        "y": mnist.test_labels[indices],
        "fresh_x": fresh_x,
        "fresh_y": mnist.test_labels[fresh_indices],
        "labels": rng.permutation(labels),
        "draw_seed": _integer(int(rng.integers(1 << 31))),
        "noise": _normal(rng, sizes["reconstructions"], MAX_LATENT, scale=0.05),
        "prior": _normal(rng, sizes["prior_samples"], MAX_LATENT),
        "prior_labels": rng.permutation(prior_labels),
    }
