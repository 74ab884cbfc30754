"""The calibration's pictures: charts of where models lie between a check's thresholds, and strips of their images.

Charts are SVG that follows the reader's light or dark setting, with the same bytes for the same measurements. Each
check's numbers are drawn on one scale, on which `zero_at` is 0 and `full_at` is 1, whatever the unit and direction.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
from html import escape
from typing import Any

import numpy as np

from grader.audit.calibration import ModelMeasurement, Threshold
from grader.audit.calibration_levels import in_plain_words
from grader.records import Array

GROUPS = (  # group, its name, and the form of its marks
    ("ordinary", "ordinary correct", "dot"),
    ("weak", "weak but correct", "ring"),
    ("first", "first notebook's constants", "plus"),
    ("defective", "defective", "cross"),
)
WIDTH = 480  # of a chart, in its own units; text stays readable on a phone
LEFT, RIGHT = 14.0, WIDTH - 14.0
SPAN = (-1.0, 2.5)  # on the scale of thresholds; models beyond are drawn at the edge
_FORMS: dict[str, Callable[[float, float], str]] = {
    "dot": lambda x, y: f"M{x:.1f} {y:.1f}h0",
    "ring": lambda x, y: f"M{x - 3.5:.1f} {y:.1f}l3.5-3.5 3.5 3.5-3.5 3.5z",
    "plus": lambda x, y: f"M{x - 3.5:.1f} {y:.1f}h7m-3.5-3.5v7",
    "cross": lambda x, y: f"M{x - 3:.1f} {y - 3:.1f}l6 6m0-6l-6 6",
}
_STYLE = """
.sheet{fill:#fff}text{font:12px system-ui,"Segoe UI",Roboto,Arial,sans-serif;fill:#1f2630}
.soft{fill:#59616e;font-size:11px}
.item{font-weight:600;font-size:13px}.line{stroke:#d5d9de}.end{stroke:#59616e}.between{fill:#eef0f2}
path{fill:none;stroke-width:1.6;stroke-opacity:.75}.dot{stroke-width:6;stroke-linecap:round;stroke-opacity:.6}
.ordinary{stroke:#1b7837}.weak{stroke:#7a6a00}.first{stroke:#2b5d91}.defective{stroke:#b2182b}
@media (prefers-color-scheme:dark){.sheet{fill:#12161c}text{fill:#e6e8eb}.soft{fill:#a8b0bc}.line{stroke:#3a424d}
.end{stroke:#a8b0bc}.between{fill:#20262e}.ordinary{stroke:#7fd39b}.weak{stroke:#e0cf5a}.first{stroke:#8fbcf0}.defective{stroke:#ff8f86}}
"""


def overview(rows: Sequence[Threshold], measurements: Sequence[ModelMeasurement]) -> bytes:
    """SVG: for each check a strip with a mark for each model, correct ones above the line and defective ones below."""
    top, parts, item = 76.0, [*_legend(18.0), *_ends(64.0)], ""
    for row in rows:
        if row.item != item:
            item = row.item
            parts.append(_text(LEFT, top + 14, item, "item"))
            top += 22
        parts.append(_text(LEFT, top + 11, in_plain_words(row.check), "soft"))
        parts += _lanes(row, measurements, top + 15, {"ordinary": 5, "weak": 5, "first": 5, "defective": 15})
        top += 40
    return _svg(parts, top + 4, "Where models of known quality lie between the thresholds of each quality check")


def strip_chart(row: Threshold, measurements: Sequence[ModelMeasurement]) -> bytes:
    """SVG: one check, one line of marks per group; the worst correct and the best defective model are named."""
    of_check = [m for m in measurements if (m.item, m.check) == (row.item, row.check) and np.isfinite(m.value)]
    words, lanes = list(_ends(16.0, row)), {}
    for number, (group, name, _) in enumerate(GROUPS):
        of_group = sorted((m for m in of_check if m.group == group), key=lambda m: _place(row, m.value))
        middle = 44.0 + 40 * number
        lanes[group] = middle - 24
        counted = f"{name} ({len(of_group)})"
        if of_group:
            end, named = ("best", of_group[-1]) if group == "defective" else ("worst", of_group[0])
            counted += f", {end}: {in_plain_words(named.name)} {named.value:.3g}"
        words.append(_text(LEFT, middle - 10, counted, "soft"))
    marks = _lanes(row, of_check, 24.0, lanes, height=40 * len(GROUPS))
    return _svg([*marks, *words], 30 + 40 * len(GROUPS), f"{row.item}: {in_plain_words(row.check)}")


def _place(row: Threshold, value: float) -> float:
    """The place of a value on the scale of thresholds: 0 at `zero_at`, 1 at `full_at`."""
    return (value - row.zero_at) / (row.full_at - row.zero_at)


def _x(place: float) -> float:
    low, high = SPAN
    return LEFT + (min(max(place, low), high) - low) / (high - low) * (RIGHT - LEFT)


def _lanes(
    row: Threshold,
    measurements: Sequence[ModelMeasurement],
    top: float,
    lanes: dict[str, float],
    *,
    height: float = 20.0,
) -> Iterator[str]:
    """The band between the thresholds, and the marks of each group at its height below `top`."""
    zero, full = _x(0), _x(1)
    yield f'<rect class="between" x="{zero:.1f}" y="{top:.1f}" width="{full - zero:.1f}" height="{height:g}"/>'
    for x in (zero, full):
        yield f'<path class="end" d="M{x:.1f} {top:.1f}v{height:g}"/>'
    of_check = [m for m in measurements if (m.item, m.check) == (row.item, row.check) and np.isfinite(m.value)]
    for group, _, form in reversed(GROUPS):  # ordinary models last, on top
        marks = [_FORMS[form](_x(_place(row, m.value)), top + lanes[group]) for m in of_check if m.group == group]
        if marks:
            yield f'<path class="{group} {form}" d="{"".join(dict.fromkeys(marks))}"/>'


def _ends(y: float, row: Threshold | None = None) -> Iterator[str]:
    """The words above the two thresholds, with their numbers if a check is given."""
    zero, full = (f" {end:g}" if row else "" for end in ((row.zero_at, row.full_at) if row else (0, 0)))
    yield _text(_x(0), y, f"no points{' up to' if row is None else ' at'}{zero}", "soft", "end")
    yield _text(_x(1), y, f"full points{' from here' if row is None else ' from'}{full}", "soft")


def _legend(y: float) -> Iterator[str]:
    for number, (group, name, form) in enumerate(GROUPS):
        x, line = LEFT + WIDTH / 2 * (number % 2), y + 18 * (number // 2)
        yield f'<path class="{group} {form}" d="{_FORMS[form](x + 4, line - 4)}"/>'
        yield _text(x + 14, line, name, "soft")


def _text(x: float, y: float, words: str, kind: str, anchor: str = "start") -> str:
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(words)}</text>'


def _svg(parts: Sequence[str], height: float, title: str) -> bytes:
    shape = f'viewBox="0 0 {WIDTH} {height:g}" width="{WIDTH * 4 // 3}" height="{height * 4 / 3:.0f}"'
    start = f'<svg xmlns="http://www.w3.org/2000/svg" {shape} role="img"><title>{escape(title)}</title>'
    body = "\n".join([start, f"<style>{_STYLE}</style>", '<rect class="sheet" width="100%" height="100%"/>', *parts])
    return f"{body}\n</svg>\n".encode()


SCALE = 2  # a whole number, so that no pixel of a digit is wider than another
LINE, SPACE = 30, 14  # pixels: the height of a line of words, and the space below a strip
WORDS = 19  # pixels: the size of the words


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
