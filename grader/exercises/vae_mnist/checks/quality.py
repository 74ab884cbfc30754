"""Checks of the trained models' images, measured by a classifier and metrics that never enter the box.

Each check measures one value and its standard error over the choice of images and draws.
"""

from __future__ import annotations

import math

import numpy as np

from grader.checks import Measurement, check
from grader.exercises.vae_mnist.checks import real_digits
from grader.exercises.vae_mnist.checks.answers import not_trained
from grader.exercises.vae_mnist.checks.image_measures import (
    Estimate,
    black_and_white,
    cached,
    classified,
    digit_deviations,
    digit_moments,
    drawn,
    error_of,
    ink,
    ink_moments,
    labelled_digit_moments,
    prior_images,
    reconstructions,
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

NO_FRESH_MODEL = "no untrained model could be tested, so there is nothing to compare with; no points are lost"
NOT_TRAINED = "your model was not trained: no optimizer made a step on it"
FIND_THE_STOP = "Find out why the training cell stopped, or why the training loop makes no step."
NO_DECODER = "the decoder could not be tested separately, so there is nothing to compare with; no points are lost"
SLIGHT = 0.05  # gain in explained variance or Fréchet distance that is not visible
LEAST_VARIANCE = 0.1  # share of real digits' variance: the variance of a collapsed decoder's images is near 0


def _unless_untrained(evidence: Evidence, part: str, text: str, instead: str = FIND_THE_STOP) -> str:
    """The text, or `instead` if no optimizer ever made a step on the part's model."""
    return instead if not_trained(evidence, part) else text


@check(has_thresholds=True, needs_training=True)
def reconstructions_come_from_training(evidence: Evidence, part: str) -> Measurement | Finding:
    """The reconstructions come from training: those of an untrained model are far worse.

    Without answers of an untrained model, no points are lost, and the result needs manual review.
    """
    x, x_hat = reconstructions(evidence, part)
    fresh = untrained(evidence, part)
    if fresh is None:
        return Finding(1.0, NO_FRESH_MODEL)
    before = max(0.0, explained_variance(fresh[0], fresh[1], real_digits.mean_image()))
    gain = explained_variance(x, x_hat, real_digits.mean_image()) - before
    return Measurement(
        "gain in explained variance",
        gain,
        explained_variance_error(x, x_hat, real_digits.mean_image()),
        "the trained model reconstructs far better than an untrained one",
        _unless_untrained(evidence, part, "Compare the reconstructions of your trained model with those of a new one."),
        {"explained variance of a fresh model": before},
        poor=_unless_untrained(
            evidence, part, f"your model reconstructs {_hardly(gain)} better than an untrained one", NOT_TRAINED
        ),
        fair="your model reconstructs only somewhat better than an untrained one",
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
        "Compare the test images with their reconstructions in your notebook's picture.",
        poor="your reconstructions are not close to the images",
        fair="your reconstructions are only somewhat close to the images",
    )


# A conditional model can keep the digit from the label alone, so this counts only if reconstructions resemble images.
@check(has_thresholds=True, needs_training=True, presupposes=(reconstructions_resemble_the_images,))
def reconstructions_keep_their_digit(evidence: Evidence, part: str) -> Measurement:
    """Reconstructions of hidden test images show the same digit as the image."""
    _, x_hat = reconstructions(evidence, part)
    agreement = label_agreement(evidence.questions[Stage.of("quality", part).array("y")], classified(x_hat).labels)
    error = share_standard_error(agreement.overall, len(x_hat))
    return Measurement(
        "share of right digits",
        agreement.overall,
        error,
        "reconstructions show the same digit as the image",
        "Which digits turn into other digits in your notebook's picture of reconstructions?",
        {"worst digit": agreement.worst},
        poor="many of your reconstructions show a different digit than the image",
        fair="some of your reconstructions show a different digit than the image",
    )


@check(has_thresholds=True, needs_training=True)
def samples_come_from_training(evidence: Evidence, part: str) -> Measurement | Finding:
    """The decoder's images come from training: those of an untrained decoder are far less like digits.

    Without answers of an untrained model, no points are lost, and the result needs manual review.
    """
    samples(evidence, part)  # ends the check if there are none
    fresh, trained = untrained(evidence, part), prior_images(evidence, part)
    if fresh is None or trained is None:
        return Finding(1.0, NO_FRESH_MODEL)
    (before, before_error), (after, error) = (
        worst("Fréchet distance", _from_digits, [(classified(images).features,)], max) for images in (fresh[2], trained)
    )
    return Measurement(
        "Fréchet distance that training takes away",
        before - after,
        math.hypot(before_error, error),
        "the trained decoder draws far better digits than an untrained one",
        _unless_untrained(evidence, part, "Compare images that your trained decoder draws with those of a new one."),
        {"of a fresh model": before},
        poor=_unless_untrained(
            evidence,
            part,
            f"your decoder's digits are {_hardly(before - after)} better than an untrained one's",
            NOT_TRAINED,
        ),
        fair="your decoder's digits are only somewhat better than an untrained one's",
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
        "Where does your sampling function take its images from?",
        poor="many of your samples are copies of training images",
        fair="some of your samples are copies of training images",
    )


@check(has_thresholds=True, smaller_is_better=True, needs_training=True, presupposes=(samples_are_new,))
def samples_resemble_digits(evidence: Evidence, part: str) -> Measurement:
    """Samples look like handwritten digits.

    Conditional samples must look like the requested digit, in varied handwriting: the labels are compared, too.
    """
    if part == "cvae":
        name = "Fréchet joint distance"
        rows = [(with_labels(classified(images).features, labels),) for images, labels in drawn(evidence, part)]
        distance = worst(name, _from_labelled_digits, rows, max)
        others, wanted = ", all alike, or of another digit", "the requested digits in varied handwriting"
    else:
        name = "Fréchet distance"
        rows = [(classified(images).features,) for images, _ in drawn(evidence, part)]
        distance = worst(name, _from_digits, rows, max)
        others, wanted = " or all alike", "digits"
    return Measurement(
        name,
        *distance,
        "samples look like digits",
        f"Look at your samples: are they blurred, broken{others}?",
        poor=f"your samples do not look like {wanted}",
        fair=f"your samples look only somewhat like {wanted}",
    )


@check(has_thresholds=True, needs_training=True, presupposes=(samples_resemble_digits,))
def samples_of_a_digit_differ(evidence: Evidence, part: str) -> Measurement:
    """Samples of the same digit vary as handwriting does."""
    spread = _spread(evidence, part)
    least = min(spread_against(*rows, digit_deviations()).worst for rows in drawn(evidence, part))
    return Measurement(
        "spread within a digit",
        *spread,
        "samples of the same digit vary as handwriting does",
        "Look along a row of your picture of samples: is it always the same handwriting?",
        {"smallest spread": least},
        poor="your samples of the same digit vary far less than handwriting does",
        fair="your samples of the same digit vary less than handwriting does",
    )


@check(has_thresholds=True, needs_training=True, presupposes=(samples_resemble_digits, samples_of_a_digit_differ))
def samples_are_sharp(evidence: Evidence, part: str) -> Measurement:
    """Samples are as sharp as those of a well-trained model.

    A classifier recognises strokes even when they are blurred; this check measures the blur.
    """
    sharp = worst("sharpness", sharpness, [(images,) for images, _ in drawn(evidence, part)], min)
    return Measurement(
        "sharpness",
        *sharp,
        "samples have clear edges",
        "Are your samples blurred? What makes a decoder draw the average of many digits?",
        poor="your samples have no clear edges",
        fair="the edges of your samples are not quite clear",
    )


@check(
    has_thresholds=True,
    smaller_is_better=True,
    needs_training=True,
    presupposes=(samples_resemble_digits, samples_of_a_digit_differ),
)
def samples_spread_their_ink_as_digits_do(evidence: Evidence, part: str) -> Measurement:
    """Samples are bright in the same places as real digits.

    A classifier looks at strokes and may accept codes that hardly vary or a decoder far from the prior; this check does
    not.
    """
    squares = [(ink(images),) for images, _ in drawn(evidence, part)]
    distance = worst(
        "Fréchet distance of ink", lambda squares: normalised_frechet_distance(squares, ink_moments()), squares, max
    )
    return Measurement(
        "Fréchet distance of ink",
        *distance,
        "ink is distributed as in real digits",
        "Look at many samples at once: do they vary in position, slant and thickness as handwriting does?",
        poor="the ink of your samples is not distributed as in real digits",
        fair="the ink of your samples is distributed only roughly as in real digits",
    )


@check(has_thresholds=True, needs_training=True, presupposes=(samples_resemble_digits,))
def samples_show_all_digits(evidence: Evidence, part: str) -> Measurement:
    """Samples show all ten digits."""
    labels = [(classified(images).labels,) for images, _ in drawn(evidence, part)]
    evenness = worst("evenness of digits", class_entropy, labels, min)
    return Measurement(
        "evenness of digits",
        *evenness,
        "all ten digits appear among the samples",
        "Count the digits in your picture of samples.",
        poor="some digits are missing or very rare among your samples",
        fair="some digits are rare among your samples",
    )


@check(has_thresholds=True, needs_training=True, presupposes=(samples_resemble_digits,))
def samples_differ(evidence: Evidence, part: str, *, tolerance: float) -> Measurement:
    """Samples differ from each other."""
    name = f"share of pictures further than {tolerance} from all others"

    def share(images: Array) -> Estimate:
        value = cached(name, lambda: distinct_share(images, tolerance=tolerance), images)
        # no bootstrap: rows drawn twice are duplicates
        return Estimate(value, share_standard_error(value, len(images)))

    distinct = min(share(images) for images, _ in drawn(evidence, part))
    return Measurement(
        "share of different samples",
        *distinct,
        "samples differ from each other",
        "How many different pictures are there among your samples?",
        poor="many of your samples are identical, or nearly",
        fair="some of your samples are identical, or nearly",
    )


# One picture per class would always show the requested digit, so this counts only together with the spread.
@check(has_thresholds=True, needs_training=True, presupposes=(samples_of_a_digit_differ,))
def samples_show_the_requested_digit(evidence: Evidence, part: str, *, enough_spread: float) -> Measurement:
    """Samples show the requested digit, in varied handwriting.

    The share of requested digits, times their spread where that is less than `enough_spread`: each of the two can be
    improved at the cost of the other.
    """
    agreement, labels = _requested(evidence, part)
    spread = _spread(evidence, part).value
    varied = min(1.0, spread / enough_spread)
    return Measurement(
        "share of requested digits, in hands of their own",
        agreement.overall * varied,
        share_standard_error(agreement.overall, len(labels)) * varied,
        "samples show the requested digit, in varied handwriting",
        "In your picture of samples, does each row show the digit beside it, and is the handwriting varied?",
        {"share of requested digits": agreement.overall, "spread within a digit": spread},
        poor="too few of your samples show the requested digit, or the handwriting hardly varies",
        fair="some of your samples do not show the requested digit, or the handwriting varies too little",
    )


@check(has_thresholds=True, needs_training=True, presupposes=(samples_of_a_digit_differ,))
def every_digit_can_be_requested(evidence: Evidence, part: str) -> Measurement:
    """Every digit can be requested; a digit that is never drawn costs all of these points."""
    agreement, _ = _requested(evidence, part)
    return Measurement(
        "evenness of requested digits",
        agreement.even,
        agreement.even_error,
        "every digit can be requested",
        f"Look at the row for digit {agreement.worst_class} in your picture of samples.",
        {"worst digit": agreement.worst_class, "its share": agreement.worst},
        poor="some digits are drawn far too rarely when they are requested",
        fair="some digits are drawn too rarely when they are requested",
    )


@check(
    has_thresholds=True,
    smaller_is_better=True,
    needs_training=True,
    presupposes=(samples_resemble_digits, samples_of_a_digit_differ),
)
def samples_are_the_decoders_own(evidence: Evidence, part: str) -> Measurement | Finding:
    """Samples are what the trained decoder draws from the prior.

    Where the decoder could not be tested separately, no points are lost, and the result needs manual review.
    """
    images, _ = samples(evidence, part)
    expected = prior_images(evidence, part)
    if expected is None:
        return Finding(1.0, NO_DECODER)
    if black_and_white(images):  # draws, compared with draws
        expected = (np.random.default_rng(0).random(expected.shape) < expected).astype(np.float32)
    return Measurement(
        "distance from the decoder's own images",
        *_distance(images, expected),
        "the samples are what the trained decoder draws from the prior",
        "Which model draws the samples, and from which codes?",
        poor="your samples are not what the trained decoder draws from the prior",
        fair="your samples differ somewhat from what the trained decoder draws from the prior",
    )


def _hardly(gain: float) -> str:
    """The word for a gain that earns no points: "no" or "hardly"."""
    return "no" if gain < SLIGHT else "hardly"


def _from_digits(features: Array) -> float:
    """The Fréchet distance of the classifier's features from those of real digits."""
    return normalised_frechet_distance(features, digit_moments())


def _from_labelled_digits(rows: Array) -> float:
    """The Fréchet joint distance of features with labels from those of real digits."""
    return normalised_frechet_distance(rows, labelled_digit_moments())


def _spread(evidence: Evidence, part: str) -> Estimate:
    """The variation among drawn images of one digit, relative to real digits, in the worse set."""
    return worst(
        "spread within a digit",
        lambda images, labels: spread_against(images, labels, digit_deviations()).mean,
        drawn(evidence, part),
        min,
    )


def _requested(evidence: Evidence, part: str) -> tuple[Agreement, Array]:
    """The agreement in the worse set of drawn images, and that set's labels."""
    agreements = [
        (label_agreement(labels, classified(images).labels), labels) for images, labels in drawn(evidence, part)
    ]
    return min(agreements, key=lambda pair: pair[0].overall)


def _distance(images: Array, expected: Array) -> Estimate:
    """The Fréchet distance of two sets of pictures, in units of the expected pictures' variance.

    Its standard error combines those of both sets, since both are drawn.
    """
    features, expected_features = classified(images).features, classified(expected).features
    least = LEAST_VARIANCE * float(np.trace(digit_moments().covariance))

    def make() -> Estimate:
        sample_moments, expected_moments = moments(features), moments(expected_features)

        def from_expected(rows: Array) -> float:
            return normalised_frechet_distance(rows, expected_moments, least_variance=least)

        def from_samples(rows: Array) -> float:
            return normalised_frechet_distance(sample_moments, rows, least_variance=least)

        return Estimate(
            from_expected(features),
            math.hypot(error_of(from_expected, features), error_of(from_samples, expected_features)),
        )

    return cached("distance from the decoder's own images", make, features, expected_features)
