"""Pictures of hidden images above their reconstructions: the first ones, and the worst one of each digit."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from grader.exercises.vae_mnist.checks import image_measures, real_digits
from grader.exercises.vae_mnist.checks.answers import give_up, percent
from grader.exercises.vae_mnist.figures.drawing import (
    GAP,
    NAMES,
    QUIET,
    SMALL,
    TILE,
    Sheet,
    clean,
    figure,
    reference,
    write,
)
from grader.exercises.vae_mnist.metrics import explained_variance
from grader.records import Array, Evidence, Figure, Stage

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Canvas

COLUMNS = 12
PAIRS = 2 * (TILE + GAP) + 12  # the height of a row of images, the row below it, and the space under both


def first_reconstructions(evidence: Evidence, part: str) -> Figure:
    """The first hidden images, each above its reconstruction."""
    x, x_hat = _both(evidence, part)
    explained = explained_variance(x, x_hat, real_digits.mean_image())
    count = min(len(x), 2 * COLUMNS)
    sheet = Sheet((0, TILE + GAP, PAIRS, PAIRS + TILE + GAP)[: 2 * -(-count // COLUMNS)], COLUMNS)
    images = {}
    for index in range(count):
        row, column = divmod(index, COLUMNS)
        images[2 * row, column], images[2 * row + 1, column] = x[index], x_hat[index]
    return figure(
        f"{part}-reconstructions",
        f"{NAMES[part]}: reconstructions",
        caption="Hidden test images, slightly shifted and rotated, each above its reconstruction. "
        f"{_explained(explained, len(x))}; reference {percent(reference(part).kept)}.",
        alt=f"Pairs of digits: {count} hidden test images, each above its reconstruction by the {NAMES[part]}.",
        size=sheet.size,
        paint=lambda canvas: sheet.paint(canvas, images),
        in_strip=True,
    )


def worst_reconstructions(evidence: Evidence, part: str) -> Figure:
    """For each digit the hidden image whose reconstruction has the largest error."""
    x, x_hat = _both(evidence, part)
    errors = errors_of(x, x_hat)
    rows = worst_rows(errors, evidence.questions[Stage.of("quality", part).array("y")])
    usual = reference(part).worst
    sheet = Sheet((36, 36 + TILE + GAP), 10, left=118, below=70)
    images = {}
    for digit, row in rows.items():
        images[0, digit], images[1, digit] = x[row], x_hat[row]

    def paint(canvas: Canvas) -> None:
        axes = sheet.paint(canvas, images)
        sheet.name_rows(axes, ["image", "yours"])
        numbers, levels = sheet.size[1] - 48, sheet.size[1] - 18
        write(axes, (sheet.left - 10, numbers), "error", size=SMALL, ha="right")
        write(axes, (sheet.left - 10, levels), "reference", size=SMALL, ha="right", color=QUIET)
        for digit, row in rows.items():
            middle = sheet.corner((0, digit))[0] + TILE / 2
            write(axes, (middle, 16), str(digit), weight="bold")
            write(axes, (middle, numbers), _error_text(errors[row]), size=SMALL)
            write(axes, (middle, levels), _error_text(usual[digit]), size=SMALL, color=QUIET)

    most = max(rows, key=lambda digit: float(errors[rows[digit]]))
    return figure(
        f"{part}-worst",
        f"{NAMES[part]}: each digit's worst reconstruction",
        caption="For each digit, the hidden test image with the worst reconstruction. Error 0: a perfect "
        "reconstruction; error 1: no better than always answering with the mean image. In grey: the reference's worst "
        "error for that digit, perhaps on another image.",
        alt=f"The worst reconstruction of each of {len(rows)} digits under its image; the worst of all is a picture of "
        f"digit {most}, with an error of {_error_text(errors[rows[most]])}.",
        size=sheet.size,
        paint=paint,
    )


def errors_of(x: Array, x_hat: Array) -> Array:
    """Each reconstruction's squared error, relative to that of the mean image: `(N,)`, 0 or more."""
    squares = ((x - x_hat).astype(np.float64) ** 2).reshape(len(x), -1).sum(axis=1)
    whole = ((x - real_digits.mean_image()).astype(np.float64) ** 2).reshape(len(x), -1).sum(axis=1)
    shares: Array = squares / np.maximum(whole, 1.0)  # no digit is this close to the mean image
    return shares


def worst_rows(errors: Array, labels: Array) -> dict[int, int]:
    """For each digit among the labels, the row of the largest error."""
    rows = {digit: np.flatnonzero(labels == digit) for digit in range(10)}
    return {digit: int(of_digit[errors[of_digit].argmax()]) for digit, of_digit in rows.items() if of_digit.size}


def _both(evidence: Evidence, part: str) -> tuple[Array, Array]:
    x, x_hat = image_measures.reconstructions(evidence, part)
    if not len(x):
        give_up("there are no hidden images")
    return clean(x), clean(x_hat)


def _explained(share: float, count: int) -> str:
    """The explained variance in words; a negative value is not shown, since its size means little."""
    if share < 0:
        return "Explained variance below 0 (worse than always showing the mean image)"
    return f"Explained variance over {count:,} images: {percent(share)}"


def _error_text(error: float) -> str:
    return f"{min(error, 9.99):.2f}"
