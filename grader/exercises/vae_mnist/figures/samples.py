"""New images, as the sampling code draws them: whether they show what was asked for, and whether they are copies."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from grader.exercises.vae_mnist.checks import image_measures, real_digits
from grader.exercises.vae_mnist.checks.answers import give_up
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
LEFT, BELOW = 92, 84  # room for the names of the table's sides
EXAMINED = 300  # as many as the check of the given rubric examines, so that the search is made once for both
SHOWN = 10  # of those that are nearest to a training image


def new_images(evidence: Evidence, part: str) -> Figure:
    """The first samples, in the order in which they were drawn."""
    images, _ = _samples(evidence, part)
    first = images[: COLUMNS * ROWS]
    sheet = Sheet(even_rows(-(-len(first) // COLUMNS)), COLUMNS)
    tiles = {divmod(index, COLUMNS): image for index, image in enumerate(first)}
    return figure(
        f"{part}-samples",
        f"{NAMES[part]}: samples",
        caption="New images drawn by the sampling code.",
        alt=f"{len(first)} images drawn by the {NAMES[part]}'s sampling code, the first ones of {len(images)}.",
        size=sheet.size,
        paint=lambda canvas: sheet.paint(canvas, tiles),
        on_wall=True,
    )


def digits_on_request(evidence: Evidence, part: str) -> Figure:
    """A row of samples for each digit; those that the classifier reads as another one are framed."""
    images, labels = _samples(evidence, part)
    readings = image_measures.judged(images).labels
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
        caption="Each row was asked for one digit, from 0 at the top to 9. Framed: a trained classifier reads another "
        f"digit, the one in the corner. So it does in {missed} of all {len(labels)} samples{_usual(part, wrong=True)}.",
        alt=f"Ten rows of samples, one for each digit asked for; {len(wrong)} of {len(tiles)} are framed because a "
        f"classifier reads another digit, {missed} of all {len(labels)} samples.",
        size=sheet.size,
        paint=paint,
        on_wall=True,
    )


def digits_read(evidence: Evidence, part: str) -> Figure:
    """How often each digit asked for is read as which."""
    from sklearn.metrics import confusion_matrix  # here, since it takes a second

    images, labels = _samples(evidence, part)
    counts = confusion_matrix(labels, image_measures.judged(images).labels, labels=range(10))
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
            for other in np.flatnonzero(shares[digit] > 0.005):  # less is 0 percent
                share = float(shares[digit, other])
                color = "white" if share > 0.4 else INK
                write(axes, (LEFT + (other + 0.5) * CELL, middle), f"{100 * share:.0f}", color=color)
        write(axes, (22, 5 * CELL), "asked for", size=SMALL, color=QUIET, rotation=90, va="center")
        write(axes, (LEFT + 5 * CELL, height - 20), "read as, in percent", size=SMALL, color=QUIET)

    right = int(np.trace(counts))
    most = np.where(np.eye(10, dtype=bool), -1, counts)
    digit, other = (int(at) for at in np.unravel_index(most.argmax(), most.shape))
    commonest = f" The commonest mistake: {digit} read as {other}, {counts[digit, other]} of {totals[digit, 0]}."
    often = commonest if most.max() > 0 else ""
    return figure(
        f"{part}-requests",
        f"{NAMES[part]}: digits asked for and digits read",
        caption=f"What a trained classifier reads in all {len(labels)} samples: {right} as asked for, on the diagonal"
        f"{_usual(part)}.{often}",
        alt=f"A table of ten digits asked for by ten digits read: {right} of {len(labels)} samples lie on the "
        f"diagonal.{often}",
        size=(LEFT + 10 * CELL, 10 * CELL + BELOW),
        paint=paint,
    )


def shaded(shares: Array) -> Array:
    """Colours `(10, 10, 3)` of shares in [0, 1]: stronger for more, of another colour off the diagonal."""
    right, wrong = (np.array([int(colour[at : at + 2], 16) for at in (1, 3, 5)]) / 255 for colour in (OWN, WRONG))
    full = np.where(np.eye(10, dtype=bool)[..., None], right, wrong)
    strength = (0.04 + 0.96 * shares**0.7)[..., None]  # small shares, the interesting ones, are seen too
    colours: Array = np.where(strength > 0.04, 1 - strength * (1 - full), 0.965)
    return colours


def _usual(part: str, *, wrong: bool = False) -> str:
    usual = reference(part).read_as_asked
    return "" if usual is None else f" (the reference notebook: {1 - usual if wrong else usual:.0%})"


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
        caption=f"Of {len(images)} samples, those nearest to a training image, above that image. A distance of 0 is a "
        f"copy, 1 is no nearer than to others. Framed: nearer than any sample of the reference notebook ({usual:.2f}); "
        f"so are {nearer} of {len(images)}.",
        alt=f"{len(rows)} samples above the training images nearest to them, at distances from "
        f"{search.ratios[rows[0]]:.2f}; {nearer} of {len(images)} are nearer than any of the reference notebook's.",
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
    """`(2, columns, 28, 28)` in [0, 1]: hidden images above their reconstructions, or samples; the first ones.

    Conditional samples stand in the order of the digits that were asked for, 0 to 9, equally many of each side by side.

    Raises:
        NotAnswered: where the model gave none.
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
