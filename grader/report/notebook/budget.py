"""How much of a notebook its page shows: counted by size, so that the same notebook always gets the same page.

What is cut says so in its place and costs no points: a notebook that ran is graded.
"""

from __future__ import annotations

import html
from dataclasses import dataclass


@dataclass
class Budget:
    """What may still be shown. Drawing all of it takes a few seconds at worst, and a page has to open on a phone."""

    picture_bytes: int = 6_000_000
    pictures: int = 500
    outputs: int = 3000
    text: int = 2_000_000  # characters of outputs, and of text that is not rendered
    coloured: int = 120_000  # characters of code
    markdown: int = 50_000  # characters that are rendered

    def take(self, what: str, size: int = 1) -> bool:
        """Whether there is room for so much of it; then there is less room afterwards."""
        left: int = getattr(self, what)
        if size > left:
            return False
        setattr(self, what, left - size)
        return True


def cut(what: str) -> str:
    """A line of HTML that says what is not shown in its place."""
    return f'<p class="left-out">cut: {html.escape(what)}.</p>'
