"""Samples beside the training images that they are nearest to: for people who must say whether they are copies."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from grader.exercises.vae_mnist.checks import pictures, real
from grader.exercises.vae_mnist.checks.reading import give_up
from grader.exercises.vae_mnist.figures.drawing import NAMES, SMALL, clean, figure, write
from grader.exercises.vae_mnist.figures.reference import reference
from grader.exercises.vae_mnist.figures.sheet import GAP, TILE, Sheet
from grader.records import Evidence, Figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Canvas

EXAMINED = 300  # as many as the check of the given rubric examines, so that the search is made once for both
SHOWN = 10


def nearest_training_images(evidence: Evidence, part: str) -> Figure:
    """The samples that are nearest to a training image, above that image."""
    images = clean(pictures.samples(evidence, part)[0][:EXAMINED])
    if not len(images):
        give_up("there are no samples")
    search = pictures.searched(images)
    usual = reference(part).nearest
    rows = np.argsort(search.ratios, kind="stable")[:SHOWN]
    sheet = Sheet((0, TILE + GAP), SHOWN, left=118, below=40)
    tiles = {}
    for column, row in enumerate(rows):
        tiles[0, column] = images[row]
        tiles[1, column] = real.mnist().train_images[search.nearest[row]].astype(np.float32) / 255

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
