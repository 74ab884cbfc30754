"""Where a measured quality stands between the two ends of partial credit, as a small drawing for the staff page."""

from __future__ import annotations

import math

from markupsafe import Markup

from grader.records import Level

WIDTH, HEIGHT, MARGIN = 420, 46, 24
_TRACK = 20  # from above
_NEAR = 74  # pixels: labels that are nearer would stand on each other


def level_bar(level: Level) -> Markup:
    """An SVG of the scale: grey track, the stretch of partial credit, its two ends, and the value with its error.

    Nothing where a number is not finite. Colours come from the page's style.
    """
    numbers = (level.value, level.standard_error, level.zero_at, level.full_at)
    if not all(map(math.isfinite, numbers)):
        return Markup("")
    ends = (level.zero_at, level.full_at)
    low = min(*ends, level.value - level.standard_error)
    high = max(*ends, level.value + level.standard_error)
    spread = (high - low) or abs(high) or 1.0

    def at(value: float) -> float:
        return round(MARGIN + (value - low) / spread * (WIDTH - 2 * MARGIN), 1)

    left, right = sorted(map(at, ends))
    value, error = at(level.value), level.standard_error / spread * (WIDTH - 2 * MARGIN)
    told = f"{level.name}: {level.value:.3g}; nothing at {level.zero_at:.3g}, full points at {level.full_at:.3g}"
    pieces = [
        Markup('<svg class="bar" viewBox="0 0 {} {}" role="img" aria-label="{}">').format(WIDTH, HEIGHT, told),
        _rect("track", 0, WIDTH, _TRACK - 2, 4),
        _rect("partial", left, right - left, _TRACK - 3, 6),
    ]
    good = at(level.full_at)
    start, width = (good, WIDTH - good) if level.full_at >= level.zero_at else (0.0, good)
    pieces.append(_rect("good", start, width, _TRACK - 3, 6))
    apart = right - left >= _NEAR
    for end, name, line in ((level.zero_at, "0 at", 1), (level.full_at, "full at", 1 if apart else 2)):
        x = at(end)
        anchor = "start" if x < 60 else "end" if x > WIDTH - 60 else "middle"
        text = Markup('<text x="{}" y="{}" text-anchor="{}">{} {:.3g}</text>')
        pieces.append(Markup('<path d="M{} {}v10"/>').format(x, _TRACK - 5))
        pieces.append(text.format(x, _TRACK + 5 + 10 * line, anchor, name, end))
    anchor = "start" if value < 60 else "end" if value > WIDTH - 60 else "middle"
    pieces.append(_rect("error", round(value - error, 1), max(round(2 * error, 1), 0.5), _TRACK - 1, 2))
    pieces.append(Markup('<circle cx="{}" cy="{}" r="5"/>').format(value, _TRACK))
    pieces.append(
        Markup('<text class="value" x="{}" y="11" text-anchor="{}">{:.3g}</text>').format(value, anchor, level.value)
    )
    pieces.append(Markup("</svg>"))
    return Markup("").join(pieces)


def _rect(kind: str, x: float, width: float, y: float, height: float) -> Markup:
    rect = Markup('<rect class="{}" x="{}" y="{}" width="{}" height="{}"/>')
    return rect.format(kind, x, y, round(width, 1), height)
