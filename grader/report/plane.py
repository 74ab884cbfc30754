"""Planes that students move through on their page: the positions of the map's dots, and a limit on the planes' size.

No student code runs there. A plane is a picture that the grader drew from checked arrays, and numbers; the few lines of
script are the grader's own, and the page's policy allows them by their digest. Without scripts, the page shows the
whole picture.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from grader.records import Figure, Plane

STYLE, SCRIPT = "grader.report/plane.css", "grader.report/plane.js"
MOST_BYTES = 290_000  # that all planes together add to a page, as base64; style and script are a few kB
MAP = 1000  # the map's width and height in units of its drawing
_DOT_BYTES = 30  # of the page, at most


@dataclass(frozen=True, slots=True)
class PlaneView:
    """A figure with a plane, as the page shows it."""

    figure: Figure
    plane: Plane
    dots: tuple[tuple[str, tuple[tuple[int, int], ...]], ...]  # label -> its dots on the map: x, and y from the top

    @property
    def cell(self) -> float:
        """The side of a point's cell on the map."""
        return MAP / self.plane.side


def plane_views(figures: Sequence[Figure]) -> list[PlaneView]:
    """The figures that students move through, in order, as many as a page may hold."""
    views, room = [], MOST_BYTES
    for figure in figures:
        if figure.plane is None or figure.for_staff or not _can_be_shown(figure.plane):
            continue
        room -= 4 * len(figure.png) // 3 + _DOT_BYTES * len(figure.plane.dots)
        if room < 0:
            break
        views.append(PlaneView(figure, figure.plane, _dots(figure.plane)))
    return views


def _can_be_shown(plane: Plane) -> bool:
    has_heading = bool(plane.choices) == bool(plane.choices_are)
    return has_heading and 2 <= plane.side <= 1000 and plane.per_row >= 1 and 0 < plane.reach < math.inf


def _dots(plane: Plane) -> tuple[tuple[str, tuple[tuple[int, int], ...]], ...]:
    """The dots by label. Points of the plane are the centres of cells, so the map is half a cell wider on each side."""
    scale = MAP * (plane.side - 1) / (2 * plane.side * plane.reach)
    places: dict[str, list[tuple[int, int]]] = {}
    for x, y, label in plane.dots:
        if max(abs(x), abs(y)) <= plane.reach:
            places.setdefault(label, []).append((round(MAP / 2 + x * scale), round(MAP / 2 - y * scale)))
    return tuple((label, tuple(places[label])) for label in sorted(places))
