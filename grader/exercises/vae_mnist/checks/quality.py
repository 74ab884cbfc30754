"""Checks of what the trained models draw, measured by a classifier and metrics that never enter the box.

Each measures one level, with the standard error that other images and draws would give it.
"""

from __future__ import annotations

import math

import numpy as np

from grader.checks import Measurement, check
from grader.exercises.vae_mnist.checks import real_digits
from grader.exercises.vae_mnist.checks.image_measures import (
    Measure,
    black_and_white,
    digit_deviations,
    digit_moments,
    drawn,
    error_of,
    ink,
    ink_moments,
    judged,
    labelled_digit_moments,
    prior_images,
    reconstructions,
    remembered,
    samples,
    searched,
    untrained,
    with_labels,
    worst,
)
from grader.exercises.vae_mnist.metrics import (
    Agreement,
    class_entropy,
    distinct_share,
    explained_variance,
    explained_variance_error,
    label_agreement,
    moments,
    normalised_frechet_distance,
    share_standard_error,
    sharpness,
    spread_against,
)
from grader.records import Array, Evidence, Finding, Stage

NO_FRESH_MODEL = "no fresh model could be asked, so there is nothing to compare with"
LEAST_VARIANCE = 0.1  # of real digits': a collapsed decoder draws one picture, whose own is nothing to divide by


@check(has_thresholds=True, needs_training=True)
def reconstructions_come_from_training(evidence: Evidence, part: str) -> Measurement | Finding:
    """Training makes the reconstructions: with a fresh model they are far worse.

    Where no fresh model could be asked there is nothing to compare with, and nothing is lost: a person is told.
    """
    x, x_hat = reconstructions(evidence, part)
    fresh = untrained(evidence, part)
    if fresh is None:
        return Finding(1.0, NO_FRESH_MODEL)
    before = max(0.0, explained_variance(fresh[0], fresh[1], real_digits.mean_image()))
    return Measurement(
        "gain in explained variance",
        explained_variance(x, x_hat, real_digits.mean_image()) - before,
        explained_variance_error(x, x_hat, real_digits.mean_image()),
        "training makes the reconstructions",
        "Which numbers does training change? A model that reconstructs without it has not learnt to.",
        {"explained variance of a fresh model": before},
    )


@check(has_thresholds=True, needs_training=True, presupposes=(reconstructions_come_from_training,))
def reconstructions_resemble_the_images(evidence: Evidence, part: str) -> Measurement:
    """Reconstructions of hidden test images are close to the images."""
    x, x_hat = reconstructions(evidence, part)
    explained = explained_variance(x, x_hat, real_digits.mean_image())
    error = explained_variance_error(x, x_hat, real_digits.mean_image())
    return Measurement(
        "explained variance",
        explained,
        error,
        "reconstructions are close to the images",
        "Compare the two kinds of rows in your own picture of reconstructions.",
    )


# The conditional model's label alone keeps every digit, so this counts only beside likeness.
@check(has_thresholds=True, needs_training=True, presupposes=(reconstructions_resemble_the_images,))
def reconstructions_keep_their_digit(evidence: Evidence, part: str) -> Measurement:
    """Reconstructions of hidden test images show the digit that the image shows."""
    _, x_hat = reconstructions(evidence, part)
    agreement = label_agreement(evidence.questions[Stage.of("quality", part).array("y")], judged(x_hat).labels)
    error = share_standard_error(agreement.overall, len(x_hat))
    return Measurement(
        "share of right digits",
        agreement.overall,
        error,
        "reconstructions show the right digit",
        "Which digits turn into others in your picture of reconstructions?",
        {"worst digit": agreement.worst},
    )


@check(has_thresholds=True, needs_training=True)
def samples_come_from_training(evidence: Evidence, part: str) -> Measurement | Finding:
    """Training makes the decoder's images: a fresh decoder's are much further from digits.

    Where no fresh model could be asked there is nothing to compare with, and nothing is lost: a person is told.
    """
    samples(evidence, part)  # what cannot be judged is told first
    fresh, trained = untrained(evidence, part), prior_images(evidence, part)
    if fresh is None or trained is None:
        return Finding(1.0, NO_FRESH_MODEL)
    (before, before_error), (after, error) = (
        worst("Fréchet distance", _from_digits, [(judged(images).features,)], max) for images in (fresh[2], trained)
    )
    return Measurement(
        "Fréchet distance that training takes away",
        before - after,
        math.hypot(before_error, error),
        "training makes the decoder's images",
        "Which numbers does training change? A decoder has learnt to draw where it draws better than a fresh one.",
        {"of a fresh model": before},
    )


@check(has_thresholds=True, smaller_is_better=True, needs_training=True, presupposes=(samples_come_from_training,))
def samples_are_new(evidence: Evidence, part: str, *, copy_ratio: float, examined: int) -> Measurement:
    """Samples are new pictures, not copies of training images."""
    images = samples(evidence, part)[0][:examined]
    copies = float((searched(images).ratios < copy_ratio).mean())
    return Measurement(
        "share of copies",
        copies,
        share_standard_error(copies, len(images)),
        "samples are new pictures, not copies of training images",
        "Who draws the samples?",
    )


@check(has_thresholds=True, smaller_is_better=True, needs_training=True, presupposes=(samples_are_new,))
def samples_resemble_digits(evidence: Evidence, part: str) -> Measurement:
    """Samples look like handwritten digits.

    Conditional ones like the digit that was asked for, in as many hands: their labels are part of what is compared.
    """
    if part == "cvae":
        name = "Fréchet joint distance"
        rows = [(with_labels(judged(images).features, labels),) for images, labels in drawn(evidence, part)]
        distance = worst(name, _from_labelled_digits, rows, max)
    else:
        name = "Fréchet distance"
        rows = [(judged(images).features,) for images, _ in drawn(evidence, part)]
        distance = worst(name, _from_digits, rows, max)
    return Measurement(
        name,
        *distance,
        "samples look like digits",
        "Look at your samples: are they blurred, broken, or all alike?",
    )


@check(has_thresholds=True, needs_training=True, presupposes=(samples_resemble_digits,))
def samples_of_a_digit_differ(evidence: Evidence, part: str) -> Measurement:
    """Samples of the same digit differ as handwriting does."""
    spread = _spread(evidence, part)
    least = min(spread_against(*rows, digit_deviations()).worst for rows in drawn(evidence, part))
    return Measurement(
        "spread within a digit",
        *spread,
        "samples of one digit differ from each other",
        "Look along a row of your picture: is it always the same handwriting?",
        {"smallest spread": least},
    )


@check(has_thresholds=True, needs_training=True, presupposes=(samples_resemble_digits, samples_of_a_digit_differ))
def samples_are_sharp(evidence: Evidence, part: str) -> Measurement:
    """Samples are as sharp as a trained model draws them.

    A classifier that has learnt strokes forgives blur; this does not.
    """
    sharp = worst("sharpness", sharpness, [(images,) for images, _ in drawn(evidence, part)], min)
    return Measurement(
        "sharpness",
        *sharp,
        "samples have clear edges",
        "Are your samples blurred? What makes a model answer many codes with the mean of many digits?",
    )


@check(
    has_thresholds=True,
    smaller_is_better=True,
    needs_training=True,
    presupposes=(samples_resemble_digits, samples_of_a_digit_differ),
)
def samples_spread_their_ink_as_digits_do(evidence: Evidence, part: str) -> Measurement:
    """Samples spread their ink over the picture as handwritten digits do.

    A classifier looks at strokes and forgives codes that hardly vary, or a decoder far off its prior; this does not.
    """
    squares = [(ink(images),) for images, _ in drawn(evidence, part)]
    distance = worst(
        "Fréchet distance of ink", lambda squares: normalised_frechet_distance(squares, ink_moments()), squares, max
    )
    return Measurement(
        "Fréchet distance of ink",
        *distance,
        "samples have their ink where digits have it",
        "Look at many samples at once: do they differ in place, slant and weight as handwriting does?",
    )


@check(has_thresholds=True, needs_training=True, presupposes=(samples_resemble_digits,))
def samples_show_all_digits(evidence: Evidence, part: str) -> Measurement:
    """Samples show all ten digits."""
    labels = [(judged(images).labels,) for images, _ in drawn(evidence, part)]
    evenness = worst("evenness of digits", class_entropy, labels, min)
    return Measurement(
        "evenness of digits",
        *evenness,
        "all digits appear among the samples",
        "Count the digits in your picture of samples.",
    )


@check(has_thresholds=True, needs_training=True, presupposes=(samples_resemble_digits,))
def samples_differ(evidence: Evidence, part: str, *, tolerance: float) -> Measurement:
    """Samples differ from each other."""
    name = f"share of pictures further than {tolerance} from all others"

    def share(images: Array) -> Measure:
        value = remembered(name, lambda: distinct_share(images, tolerance=tolerance), images)
        return Measure(value, share_standard_error(value, len(images)))  # rows drawn twice would be near-duplicates

    distinct = min(share(images) for images, _ in drawn(evidence, part))
    return Measurement(
        "share of different samples",
        *distinct,
        "samples differ from each other",
        "How many different pictures are there among your samples?",
    )


# One picture a class is always right, so this counts only beside spread.
@check(has_thresholds=True, needs_training=True, presupposes=(samples_of_a_digit_differ,))
def samples_show_the_requested_digit(evidence: Evidence, part: str, *, enough_spread: float) -> Measurement:
    """A conditional sample shows the digit that was asked for, in a hand of its own.

    The share of requested digits, times their spread where that is less than `enough_spread`: either alone can be had
    by giving up the other.
    """
    agreement, labels = _requested(evidence, part)
    spread = _spread(evidence, part).value
    varied = min(1.0, spread / enough_spread)
    return Measurement(
        "share of requested digits, in hands of their own",
        agreement.overall * varied,
        share_standard_error(agreement.overall, len(labels)) * varied,
        "samples show the requested digit, each in its own hand",
        "In your picture, does each row show the digit written beside it, and not always in the same hand?",
        {"share of requested digits": agreement.overall, "spread within a digit": spread},
    )


@check(has_thresholds=True, needs_training=True, presupposes=(samples_of_a_digit_differ,))
def every_digit_can_be_requested(evidence: Evidence, part: str) -> Measurement:
    """No digit is drawn much worse on request than the others: one that never comes costs all of it."""
    agreement, _ = _requested(evidence, part)
    return Measurement(
        "evenness of requested digits",
        agreement.even,
        agreement.even_error,
        "every digit can be requested",
        f"Look at the row of the {agreement.worst_class} in your picture.",
        {"worst digit": agreement.worst_class, "its share": agreement.worst},
    )


@check(
    has_thresholds=True,
    smaller_is_better=True,
    needs_training=True,
    presupposes=(samples_resemble_digits, samples_of_a_digit_differ),
)
def samples_are_the_decoders_own(evidence: Evidence, part: str) -> Measurement | Finding:
    """Samples are what the trained decoder draws from the prior.

    Where the decoder could not be asked apart there is nothing to compare with, and nothing is lost: a person
    is told about such a decoder.
    """
    images, _ = samples(evidence, part)
    expected = prior_images(evidence, part)
    if expected is None:
        return Finding(1.0, "there were no images of the decoder's own to compare the samples with")
    if black_and_white(images):  # draws, compared with draws
        expected = (np.random.default_rng(0).random(expected.shape) < expected).astype(np.float32)
    return Measurement(
        "distance from the decoder's own images",
        *_distance(images, expected),
        "the samples are what the trained decoder draws from the prior",
        "Who draws the samples, and from which codes?",
    )


def _from_digits(features: Array) -> float:
    """The Fréchet distance of the classifier's features from real digits'."""
    return normalised_frechet_distance(features, digit_moments())


def _from_labelled_digits(rows: Array) -> float:
    """The Fréchet joint distance of features beside labels from real digits'."""
    return normalised_frechet_distance(rows, labelled_digit_moments())


def _spread(evidence: Evidence, part: str) -> Measure:
    """How much drawn images of one digit differ, as a ratio to real digits; of the worse set."""
    return worst(
        "spread within a digit",
        lambda images, labels: spread_against(images, labels, digit_deviations()).mean,
        drawn(evidence, part),
        min,
    )


def _requested(evidence: Evidence, part: str) -> tuple[Agreement, Array]:
    """The agreement in the worse set of drawn images, and that set's labels."""
    agreements = [(label_agreement(labels, judged(images).labels), labels) for images, labels in drawn(evidence, part)]
    return min(agreements, key=lambda pair: pair[0].overall)


def _distance(images: Array, expected: Array) -> Measure:
    """The Fréchet distance of two sets of pictures, in units of the expected ones' variance.

    Its standard error has a share of each set, since both are drawn.
    """
    features, expected_features = judged(images).features, judged(expected).features
    least = LEAST_VARIANCE * float(np.trace(digit_moments().covariance))

    def make() -> Measure:
        sample_moments, expected_moments = moments(features), moments(expected_features)

        def from_expected(rows: Array) -> float:
            return normalised_frechet_distance(rows, expected_moments, least_variance=least)

        def from_samples(rows: Array) -> float:
            return normalised_frechet_distance(sample_moments, rows, least_variance=least)

        return Measure(
            from_expected(features),
            math.hypot(error_of(from_expected, features), error_of(from_samples, expected_features)),
        )

    return remembered("distance from the decoder's own images", make, features, expected_features)
