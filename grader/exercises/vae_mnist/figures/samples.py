"""New images, as the sampling code draws them."""

from __future__ import annotations

from grader.exercises.vae_mnist.checks import pictures
from grader.exercises.vae_mnist.checks.reading import give_up
from grader.exercises.vae_mnist.figures.drawing import NAMES, clean, figure
from grader.exercises.vae_mnist.figures.sheet import Sheet, even_rows
from grader.records import Evidence, Figure

COLUMNS, ROWS = 12, 4


def new_images(evidence: Evidence, part: str) -> Figure:
    """The first samples, in the order in which they were drawn."""
    images, _ = pictures.samples(evidence, part)
    shown = clean(images[: COLUMNS * ROWS])
    if not len(shown):
        give_up("there are no samples")
    sheet = Sheet(even_rows(-(-len(shown) // COLUMNS)), COLUMNS)
    tiles = {divmod(index, COLUMNS): image for index, image in enumerate(shown)}
    return figure(
        f"{part}-samples",
        f"{NAMES[part]}: samples",
        caption="New images drawn by the sampling code.",
        alt=f"{len(shown)} images drawn by the {NAMES[part]}'s sampling code, the first ones of {len(images)}.",
        size=sheet.size,
        paint=lambda canvas: sheet.paint(canvas, tiles),
        on_wall=True,
    )
