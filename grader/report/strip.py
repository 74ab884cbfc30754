"""A submission's pictures in one small image, for a page that shows a whole class."""

from __future__ import annotations

import io
from collections.abc import Sequence

from grader.records import Figure

WIDTH = 240  # pixels: twelve digits of 20
GAP = 6
QUALITY = 45


def picture_strip(figures: Sequence[Figure]) -> bytes:
    """A model's pictures for the page of a class, one below the other, as a grey WebP image; empty without figures.

    The figures are the grader's own drawings, never a submission's files.
    """
    from PIL import Image

    pictures = []
    for figure in figures:
        if figure.in_strip:
            with Image.open(io.BytesIO(figure.png), formats=["PNG"]) as opened:
                grey = opened.convert("L")
            pictures.append(grey.resize((WIDTH, max(1, round(grey.height * WIDTH / grey.width)))))
    if not pictures:
        return b""
    height = sum(picture.height for picture in pictures) + GAP * (len(pictures) - 1)
    strip, top = Image.new("L", (WIDTH, height), 255), 0
    for picture in pictures:
        strip.paste(picture, (0, top))
        top += picture.height + GAP
    buffer = io.BytesIO()
    strip.save(buffer, "WEBP", quality=QUALITY, method=6)
    return buffer.getvalue()
