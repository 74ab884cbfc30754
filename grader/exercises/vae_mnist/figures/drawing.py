"""What all pictures share: colours, sizes of words, and the way from a drawing to a small PNG.

A picture is about 700 pixels wide and read at half of that on a phone, so words are 20 pixels high or more.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from grader.records import Array, Figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas

OWN = "#35618e"
WRONG = "#c8451b"  # stays apart from `OWN` in every common colour blindness
INK = "#26323d"
QUIET = "#7a8691"
WORDS = 22  # pixels
SMALL = 20
COLOURS = 160  # of a PNG: grey levels finer than eyes tell, and room for the rest

NAMES = {"vae": "VAE", "cvae": "CVAE"}
Paint = Callable[["Canvas"], object]


def figure(
    id: str,
    title: str,
    *,
    caption: str,
    alt: str,
    size: tuple[int, int],
    paint: Paint,
    on_wall: bool = False,
    for_staff: bool = False,
) -> Figure:
    """What `paint` draws on a white canvas of `size` (width, height) pixels; a point is a pixel there."""
    from matplotlib import rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure as Canvas

    with rc_context({"font.family": "sans-serif", "font.size": WORDS, "text.color": INK}):
        canvas = Canvas(figsize=(size[0] / 72, size[1] / 72), dpi=72, facecolor="white", layout=None)
        agg: Any = FigureCanvasAgg(canvas)
        paint(canvas)
        agg.draw()
    return Figure(id, title, caption, png(np.asarray(agg.buffer_rgba())[..., :3]), on_wall, for_staff, alt)


def write(axes: Axes, at: tuple[float, float], words: str, *, size: int = WORDS, **look: Any) -> None:
    """Words on the axes, centred at a place unless `look`, which is matplotlib's, says otherwise."""
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
    """The images with black for what is no number; values outside [0, 1] have been cut off before."""
    return np.nan_to_num(images, nan=0.0, posinf=1.0, neginf=0.0)


def short(value: float) -> str:
    """A number with as many digits as are read at a glance."""
    return f"{value:.0f}" if 100 <= abs(value) < 1e6 else f"{value:.3g}"
