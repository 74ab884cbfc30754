"""Checks of what the trained models draw, measured by a classifier and metrics that never enter the box."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np

from grader.classifier import Judgement, judge
from grader.exercises.vae_mnist import real
from grader.exercises.vae_mnist.checks.reading import answer, between, give_up, halves, shape_text
from grader.judging import NotAnswered
from grader.metrics.agreement import Agreement, label_agreement
from grader.metrics.copies import copy_share
from grader.metrics.diversity import class_entropy, distinct_share, within_class_spread
from grader.metrics.frechet import frechet_distance, normalised_frechet_distance
from grader.metrics.reconstruction import explained_variance
from grader.records import Array, Evidence, Finding

_judgements: dict[str, Judgement] = {}  # several checks look at the same pictures


def _judged(images: Array) -> Judgement:
    key = hashlib.sha256(images.tobytes()).hexdigest()
    if key not in _judgements:
        if len(_judgements) >= 16:
            _judgements.clear()
        _judgements[key] = judge(images, device="auto")
    return _judgements[key]


def _pictures(array: Array, count: int, what: str) -> Array:
    """`(count, 1, 28, 28)` float32 in [0, 1]; values outside are cut off, their cost is another check's matter."""
    if array.size != count * 784:
        give_up(f"expected {count} {what}, got an array of shape {shape_text(array)}")
    return np.clip(array.reshape(count, 1, 28, 28), 0, 1).astype(np.float32)


def fresh_decoder_answered(evidence: Evidence, part: str) -> bool:
    """Whether the freshly built decoder has answered, rather than the trained one in its own process."""
    return f"decode.{part}/decode/images" in evidence.answers


def reconstructions(evidence: Evidence, part: str) -> tuple[Array, Array]:
    """The hidden images and what became of them, `(N, 1, 28, 28)` each."""
    x = evidence.questions[f"quality.{part}/x"]
    if fresh_decoder_answered(evidence, part):
        (images,) = answer(evidence, f"decode.{part}/decode", "images")
        prior = len(evidence.questions[f"quality.{part}/prior"])
        return x, _pictures(images, len(x) + prior, "images")[: len(x)]
    if (fault := evidence.faults.get(f"decode.{part}/decode")) is not None and fault.blame == "ours":
        raise NotAnswered(fault)
    (images,) = answer(evidence, f"quality.{part}/here", "images")
    return x, _pictures(images, len(x), "reconstructions")


def samples(evidence: Evidence, part: str) -> tuple[Array, Array]:
    """The model's samples `(N, 1, 28, 28)` and the labels that were requested."""
    (images,) = answer(evidence, f"quality.{part}/samples", "images")
    labels = evidence.questions[f"quality.{part}/labels"]
    return _pictures(images, len(labels), "samples"), labels


def prior_images(evidence: Evidence, part: str) -> Array | None:
    """What the trained decoder makes of our own codes from the prior, or None where it was not asked."""
    if not fresh_decoder_answered(evidence, part):
        return None
    (images,) = answer(evidence, f"decode.{part}/decode", "images")
    prior = len(evidence.questions[f"quality.{part}/prior"])
    return _pictures(images, len(evidence.questions[f"quality.{part}/x"]) + prior, "images")[-prior:]


def drawn(evidence: Evidence, part: str) -> list[tuple[Array, Array]]:
    """Sets of drawn images with their labels: the samples, and what the decoder makes of our own codes.

    The worse of the two counts. Samples alone would pay copies and collapsed models that hide behind them; the
    decoder alone would pay sampling code that does not use it.
    """
    sets = [samples(evidence, part)]
    expected = prior_images(evidence, part)
    if expected is not None:
        sets.append((expected, evidence.questions[f"quality.{part}/prior_labels"]))
    return sets


def reconstructions_resemble_the_images(evidence: Evidence, part: str, *, zero_at: float, full_at: float) -> Finding:
    """Reconstructions of hidden test images are close to the images."""
    x, x_hat = reconstructions(evidence, part)
    explained = explained_variance(x, x_hat, real.mean_image())
    return Finding(
        between(explained, zero_at=zero_at, full_at=full_at),
        _level(explained, zero_at, full_at, "reconstructions are close to the images"),
        "" if explained >= full_at else "Compare the two kinds of rows in your own picture of reconstructions.",
        {"explained variance": explained},
    )


def reconstructions_keep_their_digit(evidence: Evidence, part: str, *, zero_at: float, full_at: float) -> Finding:
    """Reconstructions of hidden test images show the digit that the image shows."""
    _, x_hat = reconstructions(evidence, part)
    agreement = label_agreement(evidence.questions[f"quality.{part}/y"], _judged(x_hat).labels)
    return Finding(
        between(agreement.overall, zero_at=zero_at, full_at=full_at),
        _level(agreement.overall, zero_at, full_at, "reconstructions show the right digit"),
        "" if agreement.overall >= full_at else "Which digits turn into others in your picture of reconstructions?",
        {"share of right digits": agreement.overall, "worst digit": agreement.worst},
    )


def samples_resemble_digits(evidence: Evidence, part: str, *, zero_at: float, full_at: float) -> Finding:
    """Samples look like handwritten digits."""
    digits = real.digit_judgement().features
    distance = max(normalised_frechet_distance(_judged(images).features, digits) for images, _ in drawn(evidence, part))
    return Finding(
        between(distance, zero_at=zero_at, full_at=full_at),
        _level(-distance, -zero_at, -full_at, "samples look like digits"),
        "" if distance <= full_at else "Look at your samples: are they blurred, broken, or all alike?",
        {"Fréchet distance": distance},
    )


def samples_show_all_digits(evidence: Evidence, part: str, *, zero_at: float, full_at: float) -> Finding:
    """Samples show all ten digits."""
    entropy = min(class_entropy(_judged(images).labels) for images, _ in drawn(evidence, part))
    return Finding(
        between(entropy, zero_at=zero_at, full_at=full_at),
        _level(entropy, zero_at, full_at, "all digits appear among the samples"),
        "" if entropy >= full_at else "Count the digits in your picture of samples.",
        {"evenness of digits": entropy},
    )


def samples_differ(evidence: Evidence, part: str, *, tolerance: float, zero_at: float, full_at: float) -> Finding:
    """Samples differ from each other."""
    distinct = min(distinct_share(images, tolerance=tolerance) for images, _ in drawn(evidence, part))
    return Finding(
        between(distinct, zero_at=zero_at, full_at=full_at),
        _level(distinct, zero_at, full_at, "samples differ from each other"),
        "" if distinct >= full_at else "How many different pictures are there among your samples?",
        {"share of different samples": distinct},
    )


def _requested(evidence: Evidence, part: str) -> Agreement:
    found = [label_agreement(labels, _judged(images).labels) for images, labels in drawn(evidence, part)]
    return min(found, key=lambda agreement: agreement.overall)


def samples_show_the_requested_digit(evidence: Evidence, part: str, *, zero_at: float, full_at: float) -> Finding:
    """A conditional sample shows the digit that was asked for."""
    agreement = _requested(evidence, part)
    return Finding(
        between(agreement.overall, zero_at=zero_at, full_at=full_at),
        _level(agreement.overall, zero_at, full_at, "samples show the requested digit"),
        "" if agreement.overall >= full_at else "In your picture, does each row show the digit written beside it?",
        {"share of requested digits": agreement.overall},
    )


def every_digit_can_be_requested(evidence: Evidence, part: str, *, zero_at: float, full_at: float) -> Finding:
    """No digit is drawn much worse on request than the others."""
    agreement = _requested(evidence, part)
    return Finding(
        between(agreement.worst, zero_at=zero_at, full_at=full_at),
        _level(agreement.worst, zero_at, full_at, "every digit can be requested"),
        "" if agreement.worst >= full_at else f"Look at the row of the {agreement.worst_class} in your picture.",
        {"worst share": agreement.worst, "worst digit": agreement.worst_class},
    )


def samples_of_a_digit_differ(evidence: Evidence, part: str, *, zero_at: float, full_at: float) -> Finding:
    """Samples of the same digit differ as handwriting does."""
    spreads = [within_class_spread(images, labels, *real.digits()) for images, labels in drawn(evidence, part)]
    spread = min(spreads, key=lambda found: found.mean)
    return Finding(
        between(spread.mean, zero_at=zero_at, full_at=full_at),
        _level(spread.mean, zero_at, full_at, "samples of one digit differ from each other"),
        "" if spread.mean >= full_at else "Look along a row of your picture: is it always the same handwriting?",
        {"spread within a digit": spread.mean, "smallest spread": spread.worst},
    )


def samples_are_new(
    evidence: Evidence, part: str, *, copy_ratio: float, max_copies: float, max_distance: float, examined: int
) -> Finding:
    """Samples are new pictures by the trained decoder, not copies of training images or of something else."""
    images, _ = samples(evidence, part)
    copies = copy_share(images[:examined], real.training_bank(), ratio=copy_ratio)
    measured: dict[str, Any] = {"share of copies": copies}
    results = {"copies": "" if copies <= max_copies else f"{copies:.0%} of the samples are copies of training images"}
    expected = prior_images(evidence, part)
    if expected is not None:
        if ((images < 1e-3) | (images > 1 - 1e-3)).mean() > 0.999:  # black and white: draws, compared with draws
            expected = (np.random.default_rng(0).random(expected.shape) < expected).astype(np.float32)
        distance = _distance(images, expected)
        measured["distance from the decoder's own images"] = distance
        results["decoder"] = (
            "" if distance <= max_distance else "the samples are not what the trained decoder draws from the prior"
        )
    return halves(
        results, "the samples are the decoder's own", "Who draws the samples, and from which codes?", measured
    )


def _distance(images: Array, expected: Array) -> float:
    """The Fréchet distance of two sets of pictures, in units of the expected ones' variance.

    A collapsed decoder draws one picture, whose variance is nothing to divide by; real digits' is taken instead.
    """
    features, wanted = _judged(images).features.astype(np.float64), _judged(expected).features.astype(np.float64)
    moments = [(found.mean(axis=0), np.cov(found, rowvar=False)) for found in (features, wanted)]
    scale = max(np.trace(moments[1][1]), 0.1 * np.trace(np.cov(real.digit_judgement().features, rowvar=False)))
    return frechet_distance(*moments[0], *moments[1]) / float(scale)


def _level(value: float, zero_at: float, full_at: float, good: str) -> str:
    """A sentence about where a value stands, without the numbers a student could aim at."""
    if value >= full_at:
        return good
    share = max(0.0, (value - zero_at) / (full_at - zero_at))
    if share == 0:
        return f"expected: {good}; they are far from it"
    return f"expected: {good}; they are {'nearly' if share > 0.6 else 'partly'} there"
