"""Digits in rows and columns on one canvas, with room for words beside them. All lengths are pixels of the PNG."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from grader.exercises.vae_mnist.figures.drawing import SMALL, WRONG, write
from grader.records import Array

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas

SCALE = 2  # a whole number, so that no pixel of a digit is wider than another
TILE = 28 * SCALE
GAP = 6

Place = tuple[int, int]  # row, column


@dataclass(frozen=True, slots=True)
class Sheet:
    """Rows of tiles that begin `left` pixels from the left and `tops` from the top; `below` is free under them."""

    tops: tuple[int, ...]
    columns: int
    left: int = 0
    below: int = 0

    @property
    def size(self) -> tuple[int, int]:
        """Width and height."""
        return self.left + self.columns * (TILE + GAP) - GAP, self.tops[-1] + TILE + self.below

    def corner(self, place: Place) -> tuple[int, int]:
        """Where the tile's upper left corner is: x, y."""
        return self.left + place[1] * (TILE + GAP), self.tops[place[0]]

    def paint(self, canvas: Canvas, images: Mapping[Place, Array]) -> Axes:
        """The images, black on white, each 784 numbers in [0, 1]; the axes count pixels from the upper left."""
        width, height = self.size
        raster = np.ones((height, width), dtype=np.float32)
        for place, image in images.items():
            x, y = self.corner(place)
            raster[y : y + TILE, x : x + TILE] = 1 - np.kron(image.reshape(28, 28), np.ones((SCALE, SCALE)))
        axes = canvas.add_axes((0, 0, 1, 1))
        axes.imshow(raster, cmap="gray", vmin=0, vmax=1, extent=(0, width, height, 0), interpolation="nearest")
        axes.set_axis_off()
        return axes

    def name_rows(self, axes: Axes, names: Sequence[str], *, size: int = SMALL, weight: str = "normal") -> None:
        """A name to the left of each row, as far as there are names."""
        for top, name in zip(self.tops, names, strict=False):
            middle = top + TILE / 2
            write(axes, (self.left - 10, middle), name, size=size, weight=weight, ha="right")

    def frame(self, axes: Axes, place: Place, corner: str = "") -> None:
        """A frame around the tile, and a few characters in its lower right corner."""
        from matplotlib.patches import Rectangle

        x, y = self.corner(place)
        axes.add_patch(Rectangle((x + 1, y + 1), TILE - 2, TILE - 2, fill=False, edgecolor=WRONG, linewidth=3))
        if corner:
            wide, high = 20, 25
            left, top = x + TILE - wide, y + TILE - high
            axes.add_patch(Rectangle((left, top), wide, high, facecolor=WRONG, edgecolor="none"))
            write(axes, (left + 9, top + 12), corner, size=20, weight="bold", color="white")


def even_rows(count: int) -> tuple[int, ...]:
    """The tops of `count` rows with equal gaps."""
    return tuple(row * (TILE + GAP) for row in range(count))
