"""Pictures of new images from the sampling code: do they show the requested digit, and are they copies?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from grader.exercises.vae_mnist.checks import image_measures, real_digits
from grader.exercises.vae_mnist.checks.answers import give_up, percent
from grader.exercises.vae_mnist.figures.drawing import (
    GAP,
    INK,
    NAMES,
    OWN,
    QUIET,
    SMALL,
    TILE,
    WRONG,
    Sheet,
    clean,
    even_rows,
    figure,
    reference,
    write,
)
from grader.records import Array, Evidence, Figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Canvas
from grader.exercises.vae_mnist.checks.image_measures import reconstructions, samples

COLUMNS, ROWS = 12, 4
CELL = 62
LEFT, BELOW = 92, 84  # room for the labels of the table's sides
EXAMINED = 300  # as many as the check of the default rubric examines, so that both use the same search
SHOWN = 10  # of these, the nearest to a training image


def new_images(evidence: Evidence, part: str) -> Figure:
    """The first samples, in the order in which they were drawn."""
    images, _ = _samples(evidence, part)
    first = images[: COLUMNS * ROWS]
    sheet = Sheet(even_rows(-(-len(first) // COLUMNS)), COLUMNS)
    tiles = {divmod(index, COLUMNS): image for index, image in enumerate(first)}
    return figure(
        f"{part}-samples",
        f"{NAMES[part]}: samples",
        caption=f"The first {len(first)} of {len(images):,} new images drawn by the sampling code.",
        alt=f"The first {len(first)} of {len(images):,} images drawn by the {NAMES[part]}'s sampling code.",
        size=sheet.size,
        paint=lambda canvas: sheet.paint(canvas, tiles),
        in_strip=True,
    )


def digits_on_request(evidence: Evidence, part: str) -> Figure:
    """One row of samples per digit; samples in which the classifier sees another digit are framed."""
    images, labels = _samples(evidence, part)
    readings = image_measures.classified(images).labels
    sheet = Sheet(even_rows(10), COLUMNS, left=40)
    tiles, wrong = {}, {}
    for digit in range(10):
        for column, index in enumerate(np.flatnonzero(labels == digit)[:COLUMNS]):
            tiles[digit, column] = images[index]
            if readings[index] != digit:
                wrong[digit, column] = str(readings[index])

    def paint(canvas: Canvas) -> None:
        axes = sheet.paint(canvas, tiles)
        sheet.name_rows(axes, [str(digit) for digit in range(10)], size=24, weight="bold")
        for place, guess in wrong.items():
            sheet.frame(axes, place, guess)

    missed = int((readings != labels).sum())
    return figure(
        f"{part}-samples",
        f"{NAMES[part]}: digits on request",
        caption="One row per requested digit, 0 to 9. Framed: a classifier sees a different digit (shown in the "
        f"corner): {percent(missed / len(labels))} of {len(labels):,} samples{_usual(part, wrong=True)}.",
        alt=f"Ten rows of samples, one per requested digit; {len(wrong)} of {len(tiles)} are framed because a "
        f"classifier sees a different digit: {percent(missed / len(labels))} of {len(labels):,} samples.",
        size=sheet.size,
        paint=paint,
        in_strip=True,
    )


def digits_read(evidence: Evidence, part: str) -> Figure:
    """A table of the digits that the classifier sees, for each requested digit."""
    from sklearn.metrics import confusion_matrix  # imported here, since it takes a second

    images, labels = _samples(evidence, part)
    counts = confusion_matrix(labels, image_measures.classified(images).labels, labels=range(10))
    totals = counts.sum(axis=1, keepdims=True)
    shares = counts / np.maximum(totals, 1)

    def paint(canvas: Canvas) -> None:
        axes = canvas.add_axes((0, 0, 1, 1))
        width, height = LEFT + 10 * CELL, 10 * CELL + BELOW
        axes.set(xlim=(0, width), ylim=(height, 0))
        axes.set_axis_off()
        place = (LEFT, LEFT + 10 * CELL, 10 * CELL, 0)
        axes.imshow(shaded(shares), extent=place, interpolation="nearest", aspect="auto")
        for at in range(11):
            axes.plot([LEFT, width], [at * CELL, at * CELL], color="white", linewidth=3)
            axes.plot([LEFT + at * CELL] * 2, [0, 10 * CELL], color="white", linewidth=3)
        for digit in range(10):
            middle = (digit + 0.5) * CELL
            write(axes, (LEFT - 20, middle), str(digit), weight="bold")
            write(axes, (LEFT + middle, 10 * CELL + 22), str(digit), weight="bold")
            for other in np.flatnonzero(shares[digit] > 0.005):  # a smaller share rounds to 0 %
                share = float(shares[digit, other])
                color = "white" if share > 0.4 else INK
                write(axes, (LEFT + (other + 0.5) * CELL, middle), f"{100 * share:.0f}", color=color)
        write(axes, (22, 5 * CELL), "requested digit", size=SMALL, color=QUIET, rotation=90, va="center")
        write(axes, (LEFT + 5 * CELL, height - 20), "digit seen by the classifier, in %", size=SMALL, color=QUIET)

    right = int(np.trace(counts))
    most = np.where(np.eye(10, dtype=bool), -1, counts)
    digit, other = (int(at) for at in np.unravel_index(most.argmax(), most.shape))
    share = percent(counts[digit, other] / max(int(totals[digit, 0]), 1))
    commonest = f" Most frequent confusion: {digit} seen as {other}, {share} of {totals[digit, 0]:,}."
    often = commonest if most.max() > 0 else ""
    return figure(
        f"{part}-requests",
        f"{NAMES[part]}: requested digits and digits seen",
        caption="What a classifier sees in the samples. On the diagonal, the requested digit: "
        f"{percent(right / len(labels))} of {len(labels):,} samples{_usual(part)}.{often}",
        alt="A table of ten requested digits by ten digits seen by a classifier: "
        f"{percent(right / len(labels))} of {len(labels):,} samples are on the diagonal.{often}",
        size=(LEFT + 10 * CELL, 10 * CELL + BELOW),
        paint=paint,
    )


def shaded(shares: Array) -> Array:
    """Colours `(10, 10, 3)` of shares in [0, 1]: stronger for larger shares, another colour off the diagonal."""
    right, wrong = (np.array([int(colour[at : at + 2], 16) for at in (1, 3, 5)]) / 255 for colour in (OWN, WRONG))
    full = np.where(np.eye(10, dtype=bool)[..., None], right, wrong)
    strength = (0.04 + 0.96 * shares**0.7)[..., None]  # small shares are the interesting ones and stay visible
    colours: Array = np.where(strength > 0.04, 1 - strength * (1 - full), 0.965)
    return colours


def _usual(part: str, *, wrong: bool = False) -> str:
    usual = reference(part).read_as_asked
    return "" if usual is None else f"; reference {percent(1 - usual if wrong else usual)}"


def nearest_training_images(evidence: Evidence, part: str) -> Figure:
    """The samples that are nearest to a training image, above that image."""
    images = _samples(evidence, part)[0][:EXAMINED]
    search = image_measures.searched(images)
    usual = reference(part).nearest
    rows = np.argsort(search.ratios, kind="stable")[:SHOWN]
    sheet = Sheet((0, TILE + GAP), SHOWN, left=118, below=40)
    tiles = {}
    for column, row in enumerate(rows):
        tiles[0, column] = images[row]
        tiles[1, column] = real_digits.mnist().train_images[search.nearest[row]].astype(np.float32) / 255

    def paint(canvas: Canvas) -> None:
        axes = sheet.paint(canvas, tiles)
        sheet.name_rows(axes, ["sample", "training"])
        height = sheet.size[1] - 18
        write(axes, (sheet.left - 10, height), "distance", size=SMALL, ha="right")
        for column, row in enumerate(rows):
            ratio = float(search.ratios[row])
            middle = sheet.corner((0, column))[0] + TILE / 2
            write(axes, (middle, height), f"{ratio:.2f}", size=SMALL)
            if ratio < usual:
                sheet.frame(axes, (0, column))

    nearer = int((search.ratios < usual).sum())
    return figure(
        f"{part}-nearest",
        f"{NAMES[part]}: samples and their nearest training images",
        caption=f"Of {len(images)} samples, those nearest to a training image, each above that image. Distance "
        "0 is a copy; distance 1 is no nearer than to other training images. Framed: nearer than every sample of the "
        f"reference notebook ({usual:.2f}): {nearer} of {len(images)} samples.",
        alt=f"{len(rows)} samples above their nearest training images, at distances from {search.ratios[rows[0]]:.2f}; "
        f"{nearer} of {len(images)} samples are nearer than every sample of the reference notebook.",
        size=sheet.size,
        paint=paint,
        for_staff=True,
    )


def _samples(evidence: Evidence, part: str) -> tuple[Array, Array]:
    """The samples, at least one, and the labels that were requested."""
    images, labels = image_measures.samples(evidence, part)
    if not len(images):
        give_up("there are no samples")
    return clean(images), labels


def strip(evidence: Evidence, item: str, columns: int) -> Array:
    """The first hidden images above their reconstructions, or the first samples: `(2, columns, 28, 28)` in [0, 1].

    Conditional samples are ordered by the requested digit, 0 to 9, with equally many columns for each.

    Raises:
        NotAnswered: if the model gave no such images.
    """
    part, _, about = item.partition(".")
    if about == "reconstruction":
        x, x_hat = reconstructions(evidence, part)
        return np.stack([x[:columns, 0], x_hat[:columns, 0]])
    images, labels = samples(evidence, part)
    rows = np.arange(2 * columns)
    if part == "cvae":
        columns_each = columns // 10
        of_digit = [np.flatnonzero(labels == digit)[: 2 * columns_each].reshape(2, columns_each) for digit in range(10)]
        rows = np.concatenate(of_digit, axis=1).reshape(-1)
    pictures: Array = images[rows, 0].reshape(2, columns, 28, 28)
    return pictures
