"""Checks of the encoder and the decoder, freshly built: what they give, and what they depend on.

A check's docstring is the sentence that is true when it passes. `part` is "vae" or "cvae".
"""

from __future__ import annotations

import numpy as np

from grader.exercises.vae_mnist.checks.reading import (
    answer,
    between,
    expect_shape,
    give_up,
    halves,
    number,
    shape_text,
    verdict,
)
from grader.judging import check
from grader.records import Address, Array, Evidence, Finding

ROWS = 7
MORE_THAN_CHANCE = 1.25  # 784 pixels' mean noise varies by far less; a batch statistic over two latents reaches 1.5
IMAGE = (1, 28, 28)


def _encoder(part: str) -> Address:
    return Address.of("components", part, "encoder")


def _decoder(part: str) -> Address:
    return Address.of("components", part, "decoder")


def _heads(evidence: Evidence, part: str, prefix: str = "") -> tuple[Array, Array]:
    """mu and logvar of several fresh encoders, `(instances, 7, D)`."""
    mu, logvar = answer(evidence, _encoder(part), prefix + "mu", prefix + "logvar")
    size = number(evidence, _encoder(part), "latent_dim")
    instances = len(mu)
    return (
        expect_shape(mu, (instances, ROWS, size), "mu"),
        expect_shape(logvar, (instances, ROWS, size), "logvar"),
    )


@check()
def encoder_gives_mu_and_logvar(evidence: Evidence, part: str) -> Finding:
    """The encoder gives mu and logvar with one row an image and latent_dim columns."""
    size = number(evidence, _encoder(part), "latent_dim")
    wrong = []
    for when, rows in (("", ROWS), ("single_", 1), ("train_", ROWS)):
        for head in ("mu", "logvar"):
            name = {"": head, "single_": f"{head}_single", "train_": f"train_{head}"}[when]
            (array,) = answer(evidence, _encoder(part), name)
            got = array.shape[1:] if when == "" else array.shape
            if got != (rows, size):
                wrong.append(f"expected {head} of shape ({rows}, {size}), got {tuple(got)}")
    return verdict(
        not wrong,
        f"mu and logvar have shape (N, {size})",
        wrong[0] if wrong else "",
        "Print the shapes of what your encoder returns for a batch of 7 images, and for 1 image.",
    )


@check()
def encoder_uses_the_image(evidence: Evidence, part: str, *, min_change: float) -> Finding:
    """mu and logvar both depend on the image."""
    fresh, moved = _heads(evidence, part), _heads(evidence, part, "moved_")  # a head may start at zero on purpose
    changes = {
        head: max(float(v.std(axis=1).mean(axis=1).max()) for v in values)
        for head, *values in zip(("mu", "logvar"), fresh, moved, strict=True)
    }
    wrong = {
        head: "" if change > min_change else f"{head} is the same for different images"
        for head, change in changes.items()
    }
    return halves(
        wrong,
        "mu and logvar change with the image",
        "Follow x through forward: does it reach both outputs?",
        {f"change of {head}": change for head, change in changes.items()},
    )


@check()
def encoder_heads_are_free(
    evidence: Evidence, part: str, *, min_negative_share: float, max_correlation: float
) -> Finding:
    """mu and logvar are two outputs, and each may become negative."""
    fresh, moved = _heads(evidence, part), _heads(evidence, part, "moved_")
    shares = [float((np.concatenate([a, b]) < 0).mean()) for a, b in zip(fresh, moved, strict=True)]
    mu, logvar = moved[0].reshape(-1), moved[1].reshape(-1)
    tied = float(abs(np.corrcoef(mu, logvar)[0, 1])) if mu.std() > 0 and logvar.std() > 0 else 0.0
    results = {
        "mu": "" if shares[0] >= min_negative_share else "mu is never negative",
        "logvar": "" if shares[1] >= min_negative_share else "logvar is never negative",
        "two": "" if tied <= max_correlation else "mu and logvar are the same numbers",
    }
    return halves(
        results,
        "mu and logvar are two heads that take both signs",
        "A mean and a log variance may be any real number: look at the last operation before each is returned.",
        {"negative share of mu": shares[0], "negative share of logvar": shares[1], "correlation": tied},
    )


@check()
def decoder_gives_images(evidence: Evidence, part: str, *, tolerance: float) -> Finding:
    """The decoder gives images of shape (N, 1, 28, 28) with values in [0, 1]."""
    arrays = dict(
        zip(
            ("x_hat", "far", "single", "train"),
            answer(evidence, _decoder(part), "x_hat", "far", "single", "train"),
            strict=True,
        )
    )
    shapes = ""
    for name, array in arrays.items():
        got = array.shape[1:] if name in {"x_hat", "far"} else array.shape
        expected = (1 if name == "single" else ROWS, *IMAGE)
        if got != expected:
            shapes = f"expected images of shape {expected}, got {tuple(got)}"
    low = float(min(array.min() for array in arrays.values()))
    high = float(max(array.max() for array in arrays.values()))
    inside = low >= -tolerance and high <= 1 + tolerance
    values = "" if inside else f"expected values in [0, 1], got values from {low:.2f} to {high:.2f}"
    return halves(
        {"shape": shapes, "values": values},
        "images have the right shape and range",
        "Look at the last operations of the decoder: what values can they give, and in what shape?",
        {"smallest value": low, "largest value": high},
    )


@check()
def decoder_pixels_are_free(evidence: Evidence, part: str, *, min_variation: float) -> Finding:
    """The decoder's pixels do not compete with each other, nor the images of a batch."""
    x_hat, far = answer(evidence, _decoder(part), "x_hat", "far")
    if x_hat.size % (ROWS * 784) or far.size != x_hat.size:
        give_up(f"expected images of shape (7, 1, 28, 28), got {shape_text(x_hat[0])}")
    images = np.concatenate([x_hat, far]).reshape(-1, ROWS, 28, 28)
    sums = {
        "all pixels of an image": images.sum(axis=(2, 3)),
        "each row": images.sum(axis=3),
        "each column": images.sum(axis=2),
        "a pixel over the batch": images.sum(axis=1),
    }
    variation = {what: float(s.std() / (abs(s.mean()) + 1e-9)) for what, s in sums.items()}
    tied = [what for what, value in variation.items() if value < min_variation]
    return verdict(
        not tied,
        "every pixel is free",
        f"the values always have the same sum over {tied[0]}" if tied else "",
        "A pixel's brightness should not depend on the other pixels' brightness: which activation ties them together?",
        {f"variation of the sum over {what}": value for what, value in variation.items()},
    )


@check()
def decoder_uses_every_latent(
    evidence: Evidence, part: str, *, min_change: float, zero_at: float, full_at: float
) -> Finding:
    """The image changes with every number of the code."""
    still, moves = answer(evidence, _decoder(part), "still", "moves")
    size = number(evidence, _decoder(part), "latent_dim")
    if moves.ndim != 3 or moves.shape[1] != size + 1 or still.shape != moves.shape:
        give_up("the decoder does not give one image a code")
    differences = np.abs(moves - still)  # (instances, 1 + D, 784); the first row's code was not moved
    changes = differences[:, 1:].max(axis=(0, 2))  # (D,)
    chance = differences[:, 0].mean()  # noise that no seed sets, or what other codes of a batch do to this one
    used = int(((changes > min_change) & (differences[:, 1:].mean(axis=(0, 2)) > MORE_THAN_CHANCE * chance)).sum())
    return Finding(
        between(used / size, zero_at=zero_at, full_at=full_at),
        f"the image changes with {used} of the {size} latents",
        "" if used == size else "Follow z through the decoder's forward: do all of its numbers reach the image?",
        {"latents used": used, "latents": size, "smallest change": float(changes.min())},
    )


@check()
def layers_are_nonlinear(evidence: Evidence, part: str, *, min_curvature: float) -> Finding:
    """Encoder and decoder are more than one linear map."""
    (line_mu, line_logvar) = answer(evidence, _encoder(part), "line_mu", "line_logvar")
    (line,) = answer(evidence, _decoder(part), "line")
    before_sigmoid = line
    if line.min() >= 0 and line.max() <= 1:
        clipped = np.clip(line.astype(np.float64), 1e-7, 1 - 1e-7)
        before_sigmoid = np.log(clipped / (1 - clipped))
    curvature = {
        "encoder": max(_curvature(line_mu), _curvature(line_logvar)),
        "decoder": _curvature(before_sigmoid),
    }
    results = {
        what: "" if value > min_curvature else f"the {what} is linear from its input to its last layer"
        for what, value in curvature.items()
    }
    return halves(
        results,
        "both networks bend their input",
        "Stacked linear layers are one linear layer unless something stands between them.",
        {f"curvature of the {what}": value for what, value in curvature.items()},
    )


def _curvature(values: Array) -> float:
    """How far f(a + b) is from f(a) + f(b) - f(0), relative to the size of the changes; values `(4, ...)`."""
    if len(values) != 4:
        give_up(f"expected one row an image, got shape {shape_text(values)}")
    zero, a, b, both = values.reshape(4, -1).astype(np.float64)
    change = np.abs(a - zero).mean() + np.abs(b - zero).mean()
    return float(np.abs(both - a - b + zero).mean() / (change + 1e-12))


@check(spoils_later=False)
def latent_size_is_obeyed(evidence: Evidence, part: str) -> Finding:
    """Encoder and decoder can be built for another latent size."""
    source = Address.of("components", part, "sizes")
    mu, logvar, x_hat = answer(evidence, source, "mu", "logvar", "x_hat")
    size = number(evidence, source, "size")
    encoded = mu.shape == (ROWS, size) and logvar.shape == (ROWS, size)
    got = f"the decoder gives shape {shape_text(x_hat)}" if encoded else f"the encoder gives shape {shape_text(mu)}"
    return verdict(
        encoded and x_hat.shape[:1] == (ROWS,),
        "another latent size works",
        f"built with latent_dim={size}, {got} for {ROWS} images",
        "Is a number written where latent_dim belongs?",
    )


@check()
def parameters_are_registered(evidence: Evidence, part: str, *, min_reached_share: float) -> Finding:
    """The layers' parameters belong to the modules and are reached by the gradient."""
    results: dict[str, str] = {}
    measured: dict[str, int] = {}
    for what in ("encoder", "decoder"):
        (counts,) = answer(evidence, Address.of("components", part, "parameters"), what)
        if counts.size != 3:
            give_up("the parameters could not be counted")
        registered, reached, strangers = (int(n) for n in counts)
        measured |= {f"{what}: registered": registered, f"{what}: reached": reached, f"{what}: strangers": strangers}
        results[what] = ""
        if strangers:
            results[what] = f"the {what} uses {strangers} numbers that parameters() does not list"
        elif registered == 0:
            results[what] = f"the {what} has no parameters"
        elif reached < min_reached_share * registered:
            results[what] = f"the gradient reaches {reached} of the {what}'s {registered} parameters"
    return halves(
        results,
        "all layers can learn",
        "Layers must be attributes of the module (or in a ModuleList), and nothing may cut the gradient.",
        measured,
    )


@check(spoils_later=False)
def eval_is_deterministic(evidence: Evidence, part: str, *, tolerance: float) -> Finding:
    """In eval mode the same input gives the same output, alone or in a batch."""
    mu, again, single = answer(evidence, _encoder(part), "mu", "mu_again", "mu_single")
    x_hat, images, one_image = answer(evidence, _decoder(part), "x_hat", "again", "single")
    if mu[0].shape != again.shape or x_hat[0].shape != images.shape:
        give_up("the same input gives outputs of different shapes")
    results = {}
    for what, first, second, alone in (("encoder", mu[0], again, single), ("decoder", x_hat[0], images, one_image)):
        scale = float(np.abs(first).max()) + 1e-6
        results[what] = ""
        if np.abs(first - second).max() > tolerance * scale:
            results[what] = f"the {what} gives different outputs for the same input"
        elif (
            first[:1].size != alone.size or np.abs(first[:1].reshape(-1) - alone.reshape(-1)).max() > tolerance * scale
        ):
            results[what] = f"the {what}'s output for one row depends on the other rows"
    return halves(results, "the same input gives the same output", "Does forward draw random numbers or mix the batch?")


@check()
def encoder_uses_the_label(evidence: Evidence, part: str, *, min_change: float) -> Finding:
    """The encoder's output changes with the label, for every class."""
    mu, logvar = answer(evidence, _encoder(part), "label_mu", "label_logvar")
    return _uses_label(
        np.concatenate([mu.reshape(len(mu), -1), logvar.reshape(len(logvar), -1)], 1), "code", min_change
    )


@check()
def decoder_uses_the_label(evidence: Evidence, part: str, *, min_change: float) -> Finding:
    """The decoder's image changes with the label, for every class."""
    (images,) = answer(evidence, _decoder(part), "by_label")
    return _uses_label(images.reshape(len(images), -1), "image", min_change)


def _uses_label(rows: Array, what: str, min_change: float) -> Finding:
    if len(rows) != 10:
        give_up(f"expected one {what} a label, got {len(rows)} for 10 labels")
    distance = np.abs(rows[:, None] - rows[None]).max(axis=2)
    np.fill_diagonal(distance, np.inf)
    alike = [label for label in range(10) if distance[label].min() <= min_change]
    return Finding(
        1 - len(alike) / 10,
        f"the {what} is different for every label" if not alike else f"the {what} is the same for labels {alike}",
        "" if not alike else "Follow y through forward: does it reach the output?",
        {"smallest change": float(distance.min())},
    )
