"""Shared parts of all pictures: colours, text sizes, digits in rows and columns, and small PNG files.

A picture is about 700 pixels wide and shown at half of that on a phone, so text is at least 20 pixels high. All lengths
are pixels of the PNG. Pictures compare with the values of the reference notebook, which `make_reference` writes into
`reference.json`. These are values of one correct solution, not thresholds.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import TypeAdapter

from grader.records import Array, Figure
from grader.store.json_files import read_json

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas

OWN = "#35618e"
WRONG = "#c8451b"  # stays apart from `OWN` in every common colour blindness
INK = "#26323d"
QUIET = "#7a8691"
WORDS = 22  # pixels
SMALL = 20
COLOURS = 160  # of a PNG: finer grey levels than the eye can tell apart, and room for the other colours

FILE = Path(__file__).with_name("reference.json")
NAMES = {"vae": "VAE", "cvae": "CVAE"}
SCALE = 2  # a whole number, so that no pixel of a digit is wider than another
TILE = 28 * SCALE
GAP = 6
NOT_TRAINED = "This model was not trained, so the picture shows its random initial weights."
Place = tuple[int, int]  # row, column
Paint = Callable[["Canvas"], object]


def figure(
    id: str,
    title: str,
    *,
    caption: str,
    alt: str,
    size: tuple[int, int],
    paint: Paint,
    in_strip: bool = False,
    for_staff: bool = False,
) -> Figure:
    """The picture that `paint` draws on a white canvas of `size` (width, height) pixels, where a point is a pixel."""
    from matplotlib import rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure as Canvas

    with rc_context({"font.family": "sans-serif", "font.size": WORDS, "text.color": INK}):
        canvas = Canvas(figsize=(size[0] / 72, size[1] / 72), dpi=72, facecolor="white", layout=None)
        agg: Any = FigureCanvasAgg(canvas)
        paint(canvas)
        agg.draw()
    return Figure(id, title, caption, png(np.asarray(agg.buffer_rgba())[..., :3]), in_strip, for_staff, alt)


def write(axes: Axes, at: tuple[float, float], words: str, *, size: int = WORDS, **look: Any) -> None:
    """Writes words on the axes, centred at a place unless `look`, matplotlib's text properties, says otherwise."""
    axes.text(*at, words, size=size, **{"ha": "center", "va": "center_baseline", **look})


def png(pixels: Array) -> bytes:
    """`pixels` `(H, W, 3)` uint8 as a PNG with a palette."""
    from PIL import Image

    picture = Image.fromarray(np.ascontiguousarray(pixels))
    reduced = picture.quantize(COLOURS, method=Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
    buffer = io.BytesIO()
    reduced.save(buffer, format="PNG", optimize=True)
    return buffer.getvalue()


def clean(images: Array) -> Array:
    """The numbers with NaN replaced by 0 and infinities by 1 or 0; others are unchanged, also outside [0, 1]."""
    return np.nan_to_num(images, nan=0.0, posinf=1.0, neginf=0.0)


def short(value: float) -> str:
    """A number with about three significant digits."""
    return f"{value:.0f}" if 100 <= abs(value) < 1e6 else f"{value:.3g}"


@dataclass(frozen=True, slots=True)
class Sheet:
    """Rows of tiles, `left` pixels from the left and `tops` pixels from the top; `below` pixels under them are free."""

    tops: tuple[int, ...]
    columns: int
    left: int = 0
    below: int = 0

    @property
    def size(self) -> tuple[int, int]:
        """Width and height."""
        return self.left + self.columns * (TILE + GAP) - GAP, self.tops[-1] + TILE + self.below

    def corner(self, place: Place) -> tuple[int, int]:
        """x and y of the tile's upper left corner."""
        return self.left + place[1] * (TILE + GAP), self.tops[place[0]]

    def paint(self, canvas: Canvas, images: Mapping[Place, Array]) -> Axes:
        """Draws the images, 784 numbers in [0, 1] each, black on white; the axes count pixels from the upper left."""
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
        """Writes a name to the left of each row that has one."""
        for top, name in zip(self.tops, names, strict=False):
            middle = top + TILE / 2
            write(axes, (self.left - 10, middle), name, size=size, weight=weight, ha="right")

    def frame(self, axes: Axes, place: Place, corner: str = "") -> None:
        """Draws a frame around the tile, and a few characters in its lower right corner."""
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


@dataclass(frozen=True, slots=True)
class Reference:
    """Values of one part of the reference notebook."""

    loss: tuple[float, ...]  # the mean loss of each epoch
    kept: float  # explained variance of hidden images
    worst: tuple[float, ...]  # the error of each digit's worst reconstruction, see `reconstructions.errors_of`
    nearest: float  # the smallest ratio of a sample's distances to training images, see `copies.copy_search`
    read_as_asked: float | None = (
        None  # the share of conditional samples in which the classifier sees the requested digit
    )


@lru_cache(maxsize=1)
def _stored() -> dict[str, Reference]:
    return read_json(FILE, TypeAdapter(dict[str, Reference]))


def reference(part: str) -> Reference:
    """The reference notebook's values for that part."""
    return _stored()[part]
