"""Checks of a freshly built encoder: what it returns, and what that depends on.

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
    expect_shape,
    give_up,
    number,
    percent,
)
from grader.exercises.vae_mnist.checks.networks import MORE_THAN_CHANCE, ROWS
from grader.exercises.vae_mnist.questions import PIXELS
from grader.records import Address, Array, Evidence, Finding, Stage

HEADS = ("mu", "logvar")
LEAST_DIRECTION = (
    1e-4  # singular value relative to the largest: tied heads of the corpus reach 1.2e-7, correct ones start at 0.5
)
SIGN_HINT = "A mean and a log variance may be any real number: which values can the last operation before each give?"
TIED_HINT = "Follow mu and logvar back through forward: where does each of them come from?"


def _address(part: str) -> Address:
    return Address.of("components", part, "encoder")


def _heads(evidence: Evidence, part: str, kind: str) -> tuple[Array, Array]:
    """mu and logvar as the encoder returned them for that kind of question."""
    mu, logvar = answer(evidence, _address(part), f"{kind}mu", f"{kind}logvar")
    return mu, logvar


@check()
def encoder_gives_mu_and_logvar(evidence: Evidence, part: str) -> Finding:
    """The encoder returns mu and logvar with one row per image and latent_dim columns."""
    size = number(evidence, _address(part), "latent_dim")
    wrong = []
    for kind in ("", "train_", "single_"):  # `single_` holds the rows of seven calls
        for head, array in zip(HEADS, _heads(evidence, part, kind), strict=True):
            shape = array.shape[1:] if kind == "" else array.shape
            if shape != (ROWS, size):
                wrong.append(f"expected {head} of shape ({ROWS}, {size}), got {tuple(shape)}")
    return all_or_nothing(
        not wrong,
        f"mu and logvar have shape (N, {size})",
        wrong[0] if wrong else "",
        "Print the shapes of what your encoder returns for a batch of 7 images and for 1 image.",
    )


@check()
def encoder_uses_the_image(
    evidence: Evidence, part: str, *, min_change: float, least_rank: float, zero_at: float, full_at: float
) -> Finding:
    """mu and logvar both depend on the pixels of the image."""
    x = evidence.questions[Stage.of("components", part).array("many_x")]
    varied = x.reshape(len(x), PIXELS).std(axis=0) > 0
    shares, chances = {}, {}
    for head in HEADS:
        flips = answer(evidence, _address(part), f"flip0_{head}", f"flip1_{head}")
        copies = answer(evidence, _address(part), f"copies0_{head}", f"copies1_{head}")
        if any(flip.size != PIXELS for flip in flips):
            give_up("the encoder does not return one row per image")
        least_changes = [max(min_change, MORE_THAN_CHANCE * float(copy.max())) for copy in copies]
        changes = np.any([flip.reshape(-1) > least for flip, least in zip(flips, least_changes, strict=True)], axis=0)
        shares[head], chances[head] = float(changes[varied].mean()), max(least_changes) / MORE_THAN_CHANCE
    (gradients,) = answer(evidence, _address(part), "gradients")
    narrow = gradients.ndim == 3 and networks.one_direction(gradients, least_rank)
    scores = {head: between(share, zero_at=zero_at, full_at=full_at) for head, share in shares.items()}
    wrong = [_unused(head, shares[head], chances[head], min_change) for head in HEADS if scores[head] < 1]
    hint = "Follow x through forward: does all of it reach both outputs?"
    if narrow:
        wrong = ["mu and logvar depend on the image through a single number, as with one hidden unit"]
        hint = "How many numbers does the narrowest layer of your encoder pass on?"
    return Finding(
        0.0 if narrow else sum(scores.values()) / 2,
        "; ".join(wrong) or "mu and logvar change with every part of the image",
        hint if wrong else "",
        {f"share of pixels that change {head}": share for head, share in shares.items()},
    )


def _unused(head: str, share: float, chance: float, min_change: float) -> str:
    if share == 0 and chance > min_change:
        return f"{head} changes between images no more than between copies of the same image"
    if share == 0:
        return f"{head} is the same for all images"
    return f"{head} depends on only {percent(share)} of the pixels"


@check(presupposes=(encoder_uses_the_image,))
def encoder_uses_the_label(evidence: Evidence, part: str, *, min_change: float) -> Finding:
    """The encoder's output is different for every label."""
    by_label, by_one_label, images = (
        np.concatenate([head.reshape(len(head), -1) for head in _heads(evidence, part, kind)], axis=1)
        for kind in ("label_", "one_label_", "many_")
    )
    by_image = float(np.abs(images - images.mean(axis=0)).max(axis=1).mean())
    return networks.uses_label(by_label, by_one_label, "encoder's output", by_image, min_change)


@check(presupposes=(encoder_uses_the_image,))
def encoder_can_learn(evidence: Evidence, part: str, *, min_reached_share: float) -> Finding:
    """All parameters of the encoder are registered, and the gradient reaches them."""
    wrong, hint, counts = networks.can_learn(evidence, part, "encoder", min_reached_share)
    return all_or_nothing(not wrong, "all layers of the encoder can learn", wrong, hint, counts)


@check(presupposes=(encoder_uses_the_image,))
def encoder_is_nonlinear(evidence: Evidence, part: str, *, min_angle: float, min_curvature: float) -> Finding:
    """The encoder is nonlinear."""
    (gradients,) = answer(evidence, _address(part), "gradients")
    linear = networks.same_direction(gradients, min_angle) if gradients.ndim == 3 else None
    bent = max(networks.curvature(head) for head in _heads(evidence, part, "line_"))
    if linear is None:  # an encoder that rounds its input passes no gradient on
        linear = bent <= min_curvature
    return all_or_nothing(
        not linear,
        "the encoder is nonlinear",
        "the encoder is a single linear map, apart from a function of each output",
        networks.LINEAR_HINT,
        {"curvature": bent},
    )


@check(presupposes=(encoder_uses_the_image, encoder_uses_the_label, encoder_can_learn))
def encoder_heads_are_free(
    evidence: Evidence, part: str, *, min_negative_share: float, max_rank_correlation: float
) -> Finding:
    """mu and logvar are separate outputs, and each of them can become negative."""
    size = number(evidence, _address(part), "latent_dim")
    values: dict[str, list[Array]] = {head: [] for head in HEADS}
    for kind in ("", "moved_"):
        for head, array in zip(HEADS, _heads(evidence, part, kind), strict=True):
            values[head].append(expect_shape(array, (len(array), ROWS, size), head))
    shares = {head: float((np.concatenate(heads_by_instance) < 0).mean()) for head, heads_by_instance in values.items()}
    many = [expect_shape(head, (len(head), size), "mu and logvar") for head in _heads(evidence, part, "many_")]
    tied = _tied(many[0], many[1], max_rank_correlation)
    (gradients,) = answer(evidence, _address(part), "gradients")
    if gradients.ndim == 3 and _one_follows(gradients):
        tied = 1.0
    results = {
        head: "" if share >= min_negative_share else f"{head} is never negative" for head, share in shares.items()
    }
    if not results["mu"] and float(np.concatenate(values["mu"]).max()) <= 0:
        results["mu"] = "mu is never positive"
    results["two"] = "logvar is a function of mu: the two are not separate outputs" if tied > 0.5 else ""
    wrong = [text for text in results.values() if text]
    hints = [SIGN_HINT] if any(results[head] for head in HEADS) else []
    hints += [TIED_HINT] if results["two"] else []
    return Finding(
        max(0.0, 1 - len(wrong) / 2),
        "; ".join(wrong) or "mu and logvar are separate outputs that can take both signs",
        " ".join(hints),
        {**{f"negative share of {head}": share for head, share in shares.items()}, "share of logvar tied to mu": tied},
    )


def _one_follows(gradients: Array) -> bool:
    """Whether logvar is a function of mu: for every image, its gradients lie in the span of mu's gradients.

    `gradients` `(numbers, images, pixels)`, the first half of mu, the second of logvar.
    """
    half = len(gradients) // 2
    sizes = np.linalg.norm(gradients.astype(np.float64), axis=2, keepdims=True)
    if not half or not (sizes > 0).all() or len(gradients) % 2:
        return False  # another check reports outputs that never change
    scales = np.linalg.svd((gradients / sizes).swapaxes(0, 1), compute_uv=False)  # (images, numbers)
    return bool((scales[:, half] < LEAST_DIRECTION * scales[:, 0]).all())


def _tied(mu: Array, logvar: Array, max_rank_correlation: float) -> float:
    """The share of logvar's columns that are a monotone function of some column of mu."""
    ranks = [np.argsort(np.argsort(head, axis=0), axis=0) - (len(head) - 1) / 2 for head in (mu, logvar)]
    varying = [head.std(axis=0) > 1e-6 * (np.abs(head).max() + 1e-12) for head in (mu, logvar)]
    norms = [np.linalg.norm(rank, axis=0) for rank in ranks]
    correlation = np.abs(ranks[1].T @ ranks[0]) / np.outer(norms[1], norms[0])
    if not varying[0].any() or not varying[1].any():
        return 0.0
    return float((correlation[varying[1]][:, varying[0]].max(axis=1) > max_rank_correlation).mean())


@check(presupposes=(encoder_uses_the_image,))
def encoder_sees_each_image_alone(evidence: Evidence, part: str, *, tolerance: float) -> Finding:
    """In eval mode, an image always gives the same mu and logvar, alone or in any batch."""
    order = evidence.questions[Stage.of("components", part).array("order")]
    wrong, hint = "", ""
    for head in range(2):
        together = _heads(evidence, part, "")[head][0]
        again, alone, reordered = (_heads(evidence, part, kind)[head] for kind in ("again_", "single_", "reordered_"))
        reordered = networks.back_in_order(reordered, order)
        if not wrong:
            wrong, hint = networks.row_by_row("encoder", together, again, alone, reordered, tolerance)
    return all_or_nothing(not wrong, "each image is encoded independently of its batch", wrong, hint)
