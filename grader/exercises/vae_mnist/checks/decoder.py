"""Checks of a freshly built decoder: what it returns, what that depends on, and both networks' latent size.

A check's docstring is the sentence that is true when it passes. `part` is "vae" or "cvae".
"""

from __future__ import annotations

import numpy as np

from grader.checks import check
from grader.exercises.vae_mnist.checks import networks
from grader.exercises.vae_mnist.checks.answers import (
    all_or_nothing,
    answer,
    between,
    give_up,
    number,
    percent,
    shape_text,
)
from grader.exercises.vae_mnist.checks.encoder import encoder_uses_the_image
from grader.exercises.vae_mnist.checks.networks import IMAGE, MORE_THAN_CHANCE, ROWS
from grader.exercises.vae_mnist.questions import PIXELS
from grader.records import Address, Evidence, Finding, Stage

STILL = 1e-6  # change of a pixel that does not depend on the code
MOST_STILL = 0.5  # share of such pixels: correct decoders of the corpus have none, but black edges are not a mistake


def _address(part: str) -> Address:
    return Address.of("components", part, "decoder")


@check()
def decoder_gives_images(evidence: Evidence, part: str) -> Finding:
    """The decoder returns images of shape (N, 1, 28, 28)."""
    names = ("x_hat", "far", "single", "train")
    wrong = ""
    for name, array in zip(names, answer(evidence, _address(part), *names), strict=True):
        shape = array.shape[1:] if name in {"x_hat", "far"} else array.shape  # `single` holds the images of seven calls
        if shape != (ROWS, *IMAGE):
            wrong = f"expected images of shape {(ROWS, *IMAGE)}, got {tuple(shape)}"
    return all_or_nothing(
        not wrong, "the images have the right shape", wrong, "Print the shape of what your decoder returns."
    )


@check()
def decoder_uses_every_latent(
    evidence: Evidence, part: str, *, min_change: float, least_rank: float, zero_at: float, full_at: float
) -> Finding:
    """The image depends on every number of the code."""
    still, moves, gradients = answer(evidence, _address(part), "still", "moves", "gradients")
    size = number(evidence, _address(part), "latent_dim")
    if moves.ndim != 3 or moves.shape[1] != size + 1 or still.shape != moves.shape:
        give_up("the decoder does not return one image per code")
    differences = np.abs(moves - still)  # (instances, 1 + D, 784); the first row's code was not moved
    changes = differences[:, 1:].max(axis=(0, 2))  # (D,)
    chance = differences[:, 0].mean()  # noise without a seed, or the effect of other codes in the batch
    used_latents = int(
        ((changes > min_change) & (differences[:, 1:].mean(axis=(0, 2)) > MORE_THAN_CHANCE * chance)).sum()
    )
    narrow = size > 1 and gradients.ndim == 3 and networks.one_direction(gradients, least_rank)
    message = f"the image depends on {used_latents} of the {size} numbers of the code"
    hint = "Follow z through the decoder's forward: does all of it reach the image?" if used_latents < size else ""
    if narrow:
        message = "the image depends on the code through a single number, as with one hidden unit"
        hint = "How many numbers does the narrowest layer of your decoder pass on?"
    return Finding(
        0.0 if narrow else between(used_latents / size, zero_at=zero_at, full_at=full_at),
        message,
        hint,
        {"latents used": used_latents, "latents": size, "smallest change": float(changes.min())},
    )


@check(presupposes=(decoder_uses_every_latent,))
def decoder_uses_the_label(evidence: Evidence, part: str, *, min_change: float) -> Finding:
    """The decoder's image is different for every label."""
    by_label, by_one_label = answer(evidence, _address(part), "by_label", "by_one_label")
    still, moves = answer(evidence, _address(part), "still", "moves")
    by_code = float(np.abs(moves - still).max(axis=2).mean())
    rows = [images.reshape(len(images), -1) for images in (by_label, by_one_label)]
    return networks.uses_label(rows[0], rows[1], "image", by_code, min_change)


@check(presupposes=(decoder_uses_every_latent,))
def decoder_can_learn(evidence: Evidence, part: str, *, min_reached_share: float) -> Finding:
    """All parameters of the decoder are registered, and the gradient reaches them and the code."""
    wrong, hint, counts = networks.can_learn(evidence, part, "decoder", min_reached_share)
    (gradients,) = answer(evidence, _address(part), "gradients")
    reached = float((np.abs(gradients).max(axis=(0, 1)) > 0).mean()) if gradients.ndim == 3 else 0.0
    if not wrong and reached == 0:
        wrong = "no gradient flows back through the decoder to the code"
        hint = "The encoder learns through z: what in the decoder's forward may cut the gradient?"
    return all_or_nothing(
        not wrong,
        "all layers of the decoder can learn, and the gradient reaches the code",
        wrong,
        hint,
        {**counts, "share of latents that a gradient reaches": reached},
    )


@check(presupposes=(decoder_uses_every_latent,))
def decoder_is_nonlinear(evidence: Evidence, part: str, *, min_angle: float, min_curvature: float) -> Finding:
    """The decoder is nonlinear, even without its last activation."""
    gradients, line = answer(evidence, _address(part), "gradients", "line")
    linear = networks.same_direction(gradients, min_angle) if gradients.ndim == 3 else None
    before_sigmoid = line
    if line.min() >= 0 and line.max() <= 1:
        clipped = np.clip(line.astype(np.float64), 1e-7, 1 - 1e-7)
        before_sigmoid = np.log(clipped / (1 - clipped))
    bent = networks.curvature(before_sigmoid)
    if linear is None:
        linear = bent <= min_curvature
    return all_or_nothing(
        not linear,
        "the decoder is nonlinear",
        "the decoder is a single linear map, apart from a function of each pixel",
        networks.LINEAR_HINT,
        {"curvature": bent},
    )


@check(presupposes=(decoder_uses_every_latent, decoder_uses_the_label, decoder_can_learn))
def decoder_values_are_in_range(evidence: Evidence, part: str, *, tolerance: float) -> Finding:
    """All pixel values are in [0, 1]."""
    arrays = answer(evidence, _address(part), "x_hat", "far", "single", "train")
    low, high = float(min(array.min() for array in arrays)), float(max(array.max() for array in arrays))
    return all_or_nothing(
        low >= -tolerance and high <= 1 + tolerance,
        "all pixel values are in [0, 1]",
        f"expected pixel values in [0, 1], got values from {low:.2f} to {high:.2f}",
        "Look at the last operation of the decoder: which values can it give?",
        {"smallest value": low, "largest value": high},
    )


@check(presupposes=(decoder_uses_every_latent, decoder_uses_the_label, decoder_can_learn))
def decoder_pixels_are_free(evidence: Evidence, part: str, *, min_variation: float) -> Finding:
    """A pixel's value does not depend on the other pixels or on the other images of the batch."""
    x_hat, far = answer(evidence, _address(part), "x_hat", "far")
    if x_hat.size % (ROWS * PIXELS) or far.size != x_hat.size:
        give_up(f"expected images of shape (7, 1, 28, 28), got {shape_text(x_hat[0])}")
    images = np.concatenate([x_hat, far]).reshape(-1, ROWS, 28, 28)
    sums = {
        "all pixels of an image": images.sum(axis=(2, 3)),
        "each row of pixels": images.sum(axis=3),
        "each column of pixels": images.sum(axis=2),
        "the images of a batch": images.sum(axis=1),
    }
    variation = {name: float(s.std() / (abs(s.mean()) + 1e-9)) for name, s in sums.items()}
    constant_sums = [name for name, value in variation.items() if value < min_variation]
    each = np.concatenate([x_hat.reshape(-1, ROWS, PIXELS), far.reshape(-1, ROWS, PIXELS)], axis=1)
    still = float((np.ptp(each, axis=1).max(axis=0) <= STILL).mean())
    wrong = f"the sum over {constant_sums[0]} is always the same" if constant_sums else ""
    hint = "Which operation of the decoder ties different pixels or different images together?"
    if not wrong and still > MOST_STILL:
        wrong = f"{percent(still)} of the pixels have the same value for every code"
        hint = "Which pixels of your decoder's images never change, and which layer computes them?"
    return all_or_nothing(
        not wrong,
        "pixel values are independent",
        wrong,
        hint,
        {f"variation of the sum over {name}": value for name, value in variation.items()},
    )


@check(presupposes=(decoder_uses_every_latent,))
def decoder_sees_each_code_alone(evidence: Evidence, part: str, *, tolerance: float) -> Finding:
    """In eval mode, a code always gives the same image, alone or in any batch."""
    order = evidence.questions[Stage.of("components", part).array("order")]
    x_hat, again, alone, reordered = answer(evidence, _address(part), "x_hat", "again", "single", "reordered")
    back = networks.back_in_order(reordered, order)
    wrong, hint = networks.row_by_row("decoder", x_hat[0], again, alone, back, tolerance)
    return all_or_nothing(not wrong, "each code is decoded independently of its batch", wrong, hint)


@check(presupposes=(encoder_uses_the_image, decoder_uses_every_latent), affects_later=False)
def latent_size_is_obeyed(evidence: Evidence, part: str) -> Finding:
    """The encoder and the decoder also work with another latent_dim."""
    address = Address.of("components", part, "sizes")
    mu, logvar, x_hat = answer(evidence, address, "mu", "logvar", "x_hat")
    size = number(evidence, address, "size")
    encoded = mu.shape == (ROWS, size) and logvar.shape == (ROWS, size)
    difference = f"the encoder returns mu of shape {shape_text(mu)} for {ROWS} images"
    if mu.shape == (ROWS, size):
        difference = f"the encoder returns logvar of shape {shape_text(logvar)} for {ROWS} images"
    if encoded:
        difference = f"the decoder returns images of shape {shape_text(x_hat)} for {ROWS} codes"
    return all_or_nothing(
        encoded and x_hat.shape[:1] == (ROWS,),
        "the networks also work with another latent_dim",
        f"built with latent_dim={size}, {difference}",
        "Is there a fixed number in your code where latent_dim belongs?",
    )
