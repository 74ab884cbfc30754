"""The exercise: fit a straight line to points, in two items. Written to be changed: say here what yours is about."""

from __future__ import annotations

from grader.exercise import Exercise


def exercise() -> Exercise:
    """What the engine asks for when a rubric names this package."""
    from .plugin import StraightLine  # what it imports is needed only where something is judged

    return StraightLine()
