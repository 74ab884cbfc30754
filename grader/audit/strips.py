"""Strips of pictures with a line of words above each: what a level of a quality check looks like."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import numpy as np

from grader.records import Array

SCALE = 2  # a whole number, so that no pixel of a digit is wider than another
LINE, SPACE = 30, 14  # pixels: a line of words, and what is free below a strip
WORDS = 19  # pixels


def sheet(strips: Sequence[tuple[str, Array]]) -> bytes:
    """PNG: each strip, rows of images `(R, N, H, W)` in [0, 1], dark on white, below its words."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from PIL import Image

    pictures = [_picture(images) for _, images in strips]
    width = max(picture.shape[1] for picture in pictures)
    height = sum(LINE + picture.shape[0] + SPACE for picture in pictures)
    canvas = Figure(figsize=(width / 72, height / 72), dpi=72, facecolor="white", layout=None)
    agg: Any = FigureCanvasAgg(canvas)
    top, places = 0, []
    for (words, _), picture in zip(strips, pictures, strict=True):
        canvas.text(0, 1 - (top + LINE / 2) / height, words, size=WORDS, va="center", ha="left", color="#26323d")
        places.append(top + LINE)
        top += LINE + picture.shape[0] + SPACE
    agg.draw()
    pixels = np.asarray(agg.buffer_rgba())[..., :3].copy()
    for place, picture in zip(places, pictures, strict=True):
        pixels[place : place + picture.shape[0], : picture.shape[1]] = picture[..., None]
    buffer = io.BytesIO()
    Image.fromarray(pixels).convert("L").quantize(32).save(buffer, format="PNG", optimize=True)
    return buffer.getvalue()


def _picture(images: Array) -> Array:
    """Rows of images as one picture `(R * H, N * W)` uint8, dark on white."""
    rows, count, height, width = images.shape
    dark = 255 - np.round(255 * np.clip(np.nan_to_num(images), 0, 1)).astype(np.uint8)
    laid: Array = dark.transpose(0, 2, 1, 3).reshape(rows * height, count * width)
    return laid.repeat(SCALE, axis=0).repeat(SCALE, axis=1)
