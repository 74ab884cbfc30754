"""Checks of the decoder, freshly built: what it gives, and what that depends on; and of both networks' latent size.

A check's docstring is the sentence that is true when it passes. `part` is "vae" or "cvae".
"""

from __future__ import annotations

import numpy as np

from grader.checks import check
from grader.exercises.vae_mnist.checks import networks
from grader.exercises.vae_mnist.checks.answers import answer, between, give_up, number, shape_text, verdict
from grader.exercises.vae_mnist.checks.encoder import encoder_uses_the_image
from grader.exercises.vae_mnist.checks.networks import IMAGE, MORE_THAN_CHANCE, PIXELS, ROWS
from grader.records import Address, Evidence, Finding, Stage

STILL = 1e-6  # change of a pixel that does not depend on the code
MOST_STILL = 0.5  # share of such pixels: honest decoders of the corpus have none, but black edges are no mistake


def _source(part: str) -> Address:
    return Address.of("components", part, "decoder")


@check()
def decoder_gives_images(evidence: Evidence, part: str) -> Finding:
    """The decoder gives images of shape (N, 1, 28, 28)."""
    names = ("x_hat", "far", "single", "train")
    wrong = ""
    for name, array in zip(names, answer(evidence, _source(part), *names), strict=True):
        shape = array.shape[1:] if name in {"x_hat", "far"} else array.shape  # `single` holds the images of seven calls
        if shape != (ROWS, *IMAGE):
            wrong = f"expected images of shape {(ROWS, *IMAGE)}, got {tuple(shape)}"
    return verdict(not wrong, "images have the right shape", wrong, "Print the shape of what your decoder returns.")


@check()
def decoder_uses_every_latent(
    evidence: Evidence, part: str, *, min_change: float, least_rank: float, zero_at: float, full_at: float
) -> Finding:
    """The image changes with every number of the code."""
    still, moves, gradients = answer(evidence, _source(part), "still", "moves", "gradients")
    size = number(evidence, _source(part), "latent_dim")
    if moves.ndim != 3 or moves.shape[1] != size + 1 or still.shape != moves.shape:
        give_up("the decoder does not give one image per code")
    differences = np.abs(moves - still)  # (instances, 1 + D, 784); the first row's code was not moved
    changes = differences[:, 1:].max(axis=(0, 2))  # (D,)
    chance = differences[:, 0].mean()  # noise that no seed sets, or what other codes of a batch do to this one
    used_latents = int(
        ((changes > min_change) & (differences[:, 1:].mean(axis=(0, 2)) > MORE_THAN_CHANCE * chance)).sum()
    )
    narrow = size > 1 and gradients.ndim == 3 and networks.one_direction(gradients, least_rank)
    message = f"the image changes with {used_latents} of the {size} latents"
    if narrow:
        message = "all pixels follow from one number, as behind a single hidden unit"
    return Finding(
        0.0 if narrow else between(used_latents / size, zero_at=zero_at, full_at=full_at),
        message,
        ""
        if used_latents == size and not narrow
        else "Follow z through the decoder's forward: does all of it reach the image?",
        {"latents used": used_latents, "latents": size, "smallest change": float(changes.min())},
    )


@check(presupposes=(decoder_uses_every_latent,))
def decoder_uses_the_label(evidence: Evidence, part: str, *, min_change: float) -> Finding:
    """The decoder's image changes with the label, for every class."""
    by_label, by_one_label = answer(evidence, _source(part), "by_label", "by_one_label")
    still, moves = answer(evidence, _source(part), "still", "moves")
    by_code = float(np.abs(moves - still).max(axis=2).mean())
    rows = [images.reshape(len(images), -1) for images in (by_label, by_one_label)]
    return networks.uses_label(rows[0], rows[1], "image", by_code, min_change)


@check(presupposes=(decoder_uses_every_latent,))
def decoder_can_learn(evidence: Evidence, part: str, *, min_reached_share: float) -> Finding:
    """The decoder's parameters belong to it, and the gradient reaches them and the code."""
    wrong, counts = networks.can_learn(evidence, part, "decoder", min_reached_share)
    (gradients,) = answer(evidence, _source(part), "gradients")
    reached = float((np.abs(gradients).max(axis=(0, 1)) > 0).mean()) if gradients.ndim == 3 else 0.0
    if not wrong and reached == 0:
        wrong = "no gradient goes back through the decoder to its code"
    return verdict(
        not wrong,
        "all layers can learn, and so can what stands before the decoder",
        wrong,
        "Layers must be attributes of the module (or in a ModuleList), and nothing may cut the gradient: the encoder "
        "learns through z.",
        {**counts, "share of latents that a gradient reaches": reached},
    )


@check(presupposes=(decoder_uses_every_latent,))
def decoder_is_nonlinear(evidence: Evidence, part: str, *, min_angle: float, min_curvature: float) -> Finding:
    """The decoder is more than one linear map and an activation."""
    gradients, line = answer(evidence, _source(part), "gradients", "line")
    linear = networks.same_direction(gradients, min_angle) if gradients.ndim == 3 else None
    before_sigmoid = line
    if line.min() >= 0 and line.max() <= 1:
        clipped = np.clip(line.astype(np.float64), 1e-7, 1 - 1e-7)
        before_sigmoid = np.log(clipped / (1 - clipped))
    bent = networks.curvature(before_sigmoid)
    if linear is None:
        linear = bent <= min_curvature
    return verdict(
        not linear,
        "the decoder is more than one linear map",
        "the decoder is one linear map, at most with a function of each pixel behind it",
        "Stacked linear layers are one linear layer unless something stands between them.",
        {"curvature": bent},
    )


@check(presupposes=(decoder_uses_every_latent, decoder_uses_the_label, decoder_can_learn))
def decoder_values_are_in_range(evidence: Evidence, part: str, *, tolerance: float) -> Finding:
    """The decoder's values are in [0, 1]."""
    arrays = answer(evidence, _source(part), "x_hat", "far", "single", "train")
    low, high = float(min(array.min() for array in arrays)), float(max(array.max() for array in arrays))
    return verdict(
        low >= -tolerance and high <= 1 + tolerance,
        "all values are in [0, 1]",
        f"expected values in [0, 1], got values from {low:.2f} to {high:.2f}",
        "Look at the last operation of the decoder: what values can it give?",
        {"smallest value": low, "largest value": high},
    )


@check(presupposes=(decoder_uses_every_latent, decoder_uses_the_label, decoder_can_learn))
def decoder_pixels_are_free(evidence: Evidence, part: str, *, min_variation: float) -> Finding:
    """The decoder's pixels do not compete with each other, nor the images of a batch."""
    x_hat, far = answer(evidence, _source(part), "x_hat", "far")
    if x_hat.size % (ROWS * PIXELS) or far.size != x_hat.size:
        give_up(f"expected images of shape (7, 1, 28, 28), got {shape_text(x_hat[0])}")
    images = np.concatenate([x_hat, far]).reshape(-1, ROWS, 28, 28)
    sums = {
        "all pixels of an image": images.sum(axis=(2, 3)),
        "each row": images.sum(axis=3),
        "each column": images.sum(axis=2),
        "a pixel over the batch": images.sum(axis=1),
    }
    variation = {name: float(s.std() / (abs(s.mean()) + 1e-9)) for name, s in sums.items()}
    constant_sums = [name for name, value in variation.items() if value < min_variation]
    each = np.concatenate([x_hat.reshape(-1, ROWS, PIXELS), far.reshape(-1, ROWS, PIXELS)], axis=1)  # of each decoder
    still = float((np.ptp(each, axis=1).max(axis=0) <= STILL).mean())
    wrong = f"the values always have the same sum over {constant_sums[0]}" if constant_sums else ""
    if not wrong and still > MOST_STILL:
        wrong = f"{still:.0%} of the pixels are the same whatever the code"
    return verdict(
        not wrong,
        "every pixel is free",
        wrong,
        "A pixel's brightness should not depend on the other pixels' brightness: which activation ties them together?",
        {f"variation of the sum over {name}": value for name, value in variation.items()},
    )


@check(presupposes=(decoder_uses_every_latent,))
def decoder_sees_each_code_alone(evidence: Evidence, part: str, *, tolerance: float) -> Finding:
    """In eval mode a code gives the same image again, alone and in any batch."""
    order = evidence.questions[Stage.of("components", part).array("order")]
    x_hat, again, alone, reordered = answer(evidence, _source(part), "x_hat", "again", "single", "reordered")
    back = networks.back_in_order(reordered, order)
    wrong = networks.row_by_row("decoder", x_hat[0], again, alone, back, tolerance)
    return verdict(
        not wrong, "each code is decoded by itself", wrong, "Does forward draw random numbers or mix the batch?"
    )


@check(presupposes=(encoder_uses_the_image, decoder_uses_every_latent), affects_later=False)
def latent_size_is_obeyed(evidence: Evidence, part: str) -> Finding:
    """Encoder and decoder can be built for another latent size."""
    source = Address.of("components", part, "sizes")
    mu, logvar, x_hat = answer(evidence, source, "mu", "logvar", "x_hat")
    size = number(evidence, source, "size")
    encoded = mu.shape == (ROWS, size) and logvar.shape == (ROWS, size)
    difference = (
        f"the decoder gives shape {shape_text(x_hat)}" if encoded else f"the encoder gives shape {shape_text(mu)}"
    )
    return verdict(
        encoded and x_hat.shape[:1] == (ROWS,),
        "another latent size works",
        f"built with latent_dim={size}, {difference} for {ROWS} images",
        "Is a number written where latent_dim belongs?",
    )
