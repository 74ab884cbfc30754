"""Pictures for the report, drawn on the trusted side from evidence."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from grader.exercises.vae_mnist.checks import pictures
from grader.exercises.vae_mnist.checks.reading import answer
from grader.judging import NotAnswered
from grader.records import Array, Evidence, Figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Canvas

NAMES = {"vae": "VAE", "cvae": "CVAE"}


def draw(evidence: Evidence) -> list[Figure]:
    """Every picture that the evidence allows, VAE first."""
    made = []
    for part in NAMES:
        for picture in (_losses, _reconstructions, _samples):
            try:
                made.append(picture(evidence, part))
            except NotAnswered:
                continue
    return made


def _losses(evidence: Evidence, part: str) -> Figure:
    (history,) = answer(evidence, f"trained.{part}/history", "history")

    def paint(canvas: Canvas) -> None:
        axes = canvas.add_subplot()
        axes.plot(range(1, history.size + 1), history.reshape(-1), marker="o", color="#35618e")
        axes.set_xlabel("epoch")
        axes.set_ylabel("loss")
        axes.grid(alpha=0.3)

    title = f"{NAMES[part]}: loss of the notebook's own training"
    return _figure(f"{part}-loss", title, "The mean loss of each epoch, as the notebook reported it.", (6, 2.6), paint)


def _reconstructions(evidence: Evidence, part: str) -> Figure:
    x, x_hat = pictures.reconstructions(evidence, part)
    columns = 12
    rows = np.concatenate([x[:columns], x_hat[:columns], x[columns : 2 * columns], x_hat[columns : 2 * columns]])
    caption = "Hidden test images, moved a little, above what the trained model makes of them."
    return _grid(f"{part}-reconstructions", f"{NAMES[part]}: reconstructions", caption, rows, columns, [])


def _samples(evidence: Evidence, part: str) -> Figure:
    images, labels = pictures.samples(evidence, part)
    if part == "vae":
        return _grid("vae-samples", "VAE: samples", "New images drawn by the sampling code.", images[:48], 12, [])
    rows = np.concatenate([images[labels == digit][:12] for digit in range(10)])
    caption = "Each row was asked for one digit, from 0 at the top to 9."
    return _grid("cvae-samples", "CVAE: digits on request", caption, rows, 12, [str(digit) for digit in range(10)])


def _grid(id: str, title: str, caption: str, images: Array, columns: int, row_labels: list[str]) -> Figure:
    rows = len(images) // columns
    picture = images[: rows * columns].reshape(rows, columns, 28, 28).transpose(0, 2, 1, 3).reshape(rows * 28, -1)

    def paint(canvas: Canvas) -> None:
        axes = canvas.add_axes((0.04 if row_labels else 0, 0, 0.96 if row_labels else 1, 1))
        axes.imshow(1 - picture, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
        axes.set_xticks([])
        axes.set_yticks(list(range(14, rows * 28, 28)) if row_labels else [], row_labels or None)
        axes.tick_params(length=0)

    return _figure(id, title, caption, (columns * 0.55, rows * 0.55), paint)


def _figure(id: str, title: str, caption: str, size: tuple[float, float], paint: Callable[[Canvas], None]) -> Figure:
    from matplotlib.figure import Figure as Canvas

    canvas = Canvas(figsize=size, dpi=110, layout=None)
    paint(canvas)
    buffer = io.BytesIO()
    canvas.savefig(buffer, format="png", bbox_inches="tight" if id.endswith("loss") else None)
    return Figure(id, title, caption, buffer.getvalue(), on_wall=not id.endswith("loss"))
