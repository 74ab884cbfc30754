"""Checks of the sampling code, run with a model whose decoder records its inputs."""

from __future__ import annotations

import numpy as np

from grader.checks import check
from grader.exercises.vae_mnist.checks.answers import all_or_nothing, answer, number, percent, shape_text
from grader.exercises.vae_mnist.stand_in_answers import SAMPLING
from grader.records import Array, Evidence, Finding, Stage

SPREAD_ERRORS = 4.0  # standard errors; a spread this far off may still be chance
NUMBER_ERRORS = 5.5  # standard errors; 512 numbers deviate by up to 5.0 in 200 sets of 508 codes
LEAST_SPREAD = 0.88  # of one number of the codes
MOST_RELATED = 0.5  # correlation of two of 512 numbers; chance reaches 0.21, and 0.31 where -z is drawn with each z
PRIOR_HINT = "From which distribution should the codes of new images be drawn?"
OFTEN_HINT = "How many codes does your function draw, and how often is each of them used?"
RELATED = "different numbers of a code are correlated"


@check()
def codes_come_from_the_prior(
    evidence: Evidence,
    part: str,
    *,
    max_mean: float,
    min_spread: float,
    max_spread: float,
    min_kurtosis: float,
    min_distinct_share: float,
) -> Finding:
    """New images are decoded from codes drawn from N(0, I), one per image."""
    (codes,) = answer(evidence, SAMPLING.decisive(evidence, part), "codes")
    if codes.ndim != 2 or len(codes) < 50:
        message = "the decoder was not given one code per image"
        return Finding(0.0, message, "How many codes does your function draw, and do all of them reach the decoder?")
    if number(evidence, SAMPLING.decisive(evidence, part), "encoder_calls") > 0:
        message = "the codes come from the encoder, so from existing images"
        return Finding(0.0, message, PRIOR_HINT)
    count, size = codes.shape
    mean = float(codes.mean())
    spread = float(np.sqrt(codes.var(axis=0, ddof=1).mean()))
    chance = SPREAD_ERRORS / np.sqrt(2 * (count - 1) * size)  # standard error of a normal's spread
    standard = (codes - codes.mean()) / (codes.std() + 1e-9)
    kurtosis = float((standard**4).mean())
    distinct = len(np.unique(np.round(codes, 5), axis=0)) / len(codes)
    results = {
        "mean": "" if abs(mean) <= max_mean else f"the codes have a mean of {mean:.2f}; expected 0",
        "spread": ""
        if min_spread - chance <= spread <= max_spread + chance
        else f"the codes have a standard deviation of {spread:.2f}; expected 1",
        "shape": "" if kurtosis >= min_kurtosis else "the codes are not normally distributed",
        "distinct": "" if distinct >= min_distinct_share else f"only {percent(distinct)} of the codes are distinct",
    }
    wrong = "; ".join(filter(None, results.values()))
    hint = OFTEN_HINT if wrong == results["distinct"] else PRIOR_HINT
    if not wrong:
        wrong, hint = _unlike_numbers(codes, max_mean), "Compare the single numbers of your codes: is each N(0, 1)?"
    if wrong == RELATED:
        hint = "Does every number of every code get its own random value?"
    return all_or_nothing(
        not wrong,
        "the codes come from the prior",
        wrong,
        hint,
        {"mean": abs(mean), "spread": spread, "kurtosis": kurtosis, "share of different codes": distinct},
    )


def _unlike_numbers(codes: Array, max_mean: float) -> str:
    """What is wrong with single columns of codes `(N, D)` that look right as a whole."""
    means, spreads = codes.mean(axis=0), codes.std(axis=0, ddof=1)
    mean, worst = means[np.abs(means).argmax()], spreads[np.abs(spreads - 1).argmax()]
    chance = NUMBER_ERRORS / np.sqrt(2 * (len(codes) - 1))  # of the spread of one column
    if abs(mean) > max(max_mean, NUMBER_ERRORS / np.sqrt(len(codes))):
        return f"one number of the codes has a mean of {mean:.2f}; expected 0"
    if not LEAST_SPREAD - chance <= worst <= 1 / LEAST_SPREAD + chance:
        return f"one number of the codes has a standard deviation of {worst:.2f}; expected 1"
    related = np.abs(np.corrcoef(codes, rowvar=False)) if codes.shape[1] > 1 else np.zeros((1, 1))
    np.fill_diagonal(related, 0.0)
    return RELATED if related.max() > MOST_RELATED else ""


@check()
def samples_are_decoded(evidence: Evidence, part: str, *, tolerance: float) -> Finding:
    """The function returns the decoder's images: the requested number, in the right shape and range."""
    images, decoded, shapes = answer(evidence, SAMPLING.decisive(evidence, part), "images", "decoded", "shapes")
    counts = evidence.questions[Stage.of("sampling", part).array("sample_counts")]
    expected = np.array([[count, 1, 28, 28] for count in counts])
    right_shape = shapes.shape == expected.shape and bool((shapes == expected).all())
    shape = "" if right_shape else _shape_fault(shapes, expected)
    values, hint = "", "What happens to the images between the decoder and the return statement?"
    if images.shape != decoded.shape or not len(images):
        values = "the function does not return one decoded image per code"
        hint = "How many images does the decoder give, and which of them are returned?"
    elif images.min() < -tolerance or images.max() > 1 + tolerance:
        values = f"expected pixel values in [0, 1], got values from {images.min():.2f} to {images.max():.2f}"
    elif (
        order_of(images, decoded, tolerance) is None
        and not _are_draws(images, decoded)
        and not _sigmoid(images, decoded)
    ):
        values = "the returned images are not the decoder's images"
    if values:
        return Finding(0.0, values, hint)
    if shape:
        return Finding(0.5, shape, "Print the shape of what your function returns for 1 image and for 7 images.")
    return Finding(1.0, "the decoder's images are returned")


def order_of(images: Array, decoded: Array, tolerance: float) -> Array | None:
    """Each image's row among the decoded images, or None if they differ; code may decode class by class.

    images, decoded `(N, 784)` -> `(N,)`.
    """
    if images.shape != decoded.shape or not len(images):
        return None
    if np.abs(images - decoded).max() <= tolerance:
        return np.arange(len(images))
    nearest = np.array([np.abs(decoded - image).max(axis=1).argmin() for image in images])
    same = np.abs(images - decoded[nearest]).max() <= tolerance
    return nearest if same and len(np.unique(nearest)) == len(images) else None


def _are_draws(images: Array, decoded: Array) -> bool:
    """Whether the images could be black-and-white draws with the decoded values as probabilities."""
    black_and_white = bool(((images < 1e-3) | (images > 1 - 1e-3)).all())
    error = float(abs((images - decoded).mean()))
    against = float((images != (decoded > 0.5)).mean())  # zero for thresholded images, positive for draws
    correlation = float(np.corrcoef(images.reshape(-1), decoded.reshape(-1))[0, 1]) if images.std() > 0 else 0.0
    by_chance = against > float(np.minimum(decoded, 1 - decoded).mean()) / 2
    return black_and_white and by_chance and error < 0.05 and correlation > 0.1


def _sigmoid(images: Array, decoded: Array) -> bool:
    """Whether the function treats the decoder's output as logits, which is right if the decoder gives logits.

    If the decoder does not, the samples of the trained model are grey, which the quality checks measure.
    """
    return bool(np.abs(images - 1 / (1 + np.exp(-decoded))).max() < 1e-3)


def _shape_fault(shapes: Array, expected: Array) -> str:
    if shapes.shape != expected.shape:
        return f"expected the images of four calls, got shapes {shape_text(shapes)}"
    row = int(np.flatnonzero((shapes != expected).any(axis=1))[0])
    shape = tuple(int(n) for n in shapes[row] if n)
    return f"expected shape {tuple(int(n) for n in expected[row])}, got {shape}"


@check()
def labels_reach_the_decoder(evidence: Evidence, part: str) -> Finding:
    """The decoder gets the requested labels, in their order."""
    labels, images, decoded = answer(evidence, SAMPLING.decisive(evidence, part), "labels", "images", "decoded")
    counts = evidence.questions[Stage.of("sampling", part).array("sample_counts")]
    requested = evidence.questions[Stage.of("sampling", part).array("sample_labels")]
    expected = np.concatenate([requested[: int(count)] for count in counts])
    same = labels.shape == expected.shape
    order = order_of(images, decoded, 1e-3)
    if same and order is not None and len(order) == len(labels):
        labels = labels[order]
    share = float((labels == expected).mean()) if same else 0.0
    return all_or_nothing(
        share == 1,
        "the decoder gets the requested labels",
        f"only {percent(share)} of the images are decoded with the requested label",
        "What does your function do with the labels that it is given?",
        {"share of right labels": share},
    )
