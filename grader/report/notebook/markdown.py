"""A notebook's Markdown as HTML that can do nothing: nbconvert's own renderer, then a short list of tags.

How much of a notebook its page shows is counted by size, so that the same notebook always gets the same page. What is
cut says so in its place and costs no points: a notebook that ran is graded.
"""

from __future__ import annotations

import base64
import binascii
import html
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

TAGS = frozenset(
    {"p", "h1", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "li", "em", "strong", "del", "code", "pre", "blockquote"}
    | {"hr", "br", "table", "thead", "tbody", "tr", "th", "td"}
)
LONGEST = 8000  # characters of a cell that is rendered: the renderer's time grows with their square
LONGEST_TEXT = 20_000  # characters that are shown of a cell that is not
LONGEST_FORMULA = 800
MOST_IMAGE = 2_000_000  # bytes
_MATH_TAG = re.compile(r'<(?:/m[a-z]{1,14}|m[a-z]{1,14}(?: [a-z]{1,20}="[\w\s.#%;:-]{0,60}")* ?/?)>')
_WITHIN = re.compile(r"\(data:(image/(?:png|jpeg));base64,([A-Za-z0-9+/=]+)\)")
_IMAGE_URL = re.compile(r"data:image/(?:png|jpeg);base64,[A-Za-z0-9+/=\s]+")


def markdown_html(text: str, attachments: Mapping[str, Any] | None = None, budget: Budget | None = None) -> str:
    """The Markdown as HTML of a few tags without attributes; formulas as MathML, pictures only from within the text.

    Tags that the text brings along are shown as text, and so is a text that the budget has no room for.
    """
    budget = budget or Budget()
    text, within = _without_pictures(text)
    if len(text) > LONGEST or not budget.take("markdown", len(text)):
        return text_html(text, budget)
    import bleach
    from nbconvert.filters.markdown_mistune import MarkdownWithMath

    kept = _Kept({**(attachments or {}), **within}, budget)
    try:
        made = str(MarkdownWithMath(renderer=_renderer()(kept)).render(text))
    except Exception:  # whatever text makes the renderer stumble can still be read
        return f"<pre>{html.escape(text)}</pre>"
    return kept.put_back(bleach.clean(made, tags=TAGS, attributes={}, strip=False))


def text_html(text: str, budget: Budget) -> str:
    """The text as it is written, cut where it is long."""
    if not budget.take("text", min(len(text), LONGEST_TEXT)):
        return cut(f"a cell of {len(text):,} characters; the notebook has shown too much above")
    more = cut(f"the cell has {len(text):,} characters") if len(text) > LONGEST_TEXT else ""
    return f"<pre>{html.escape(text[:LONGEST_TEXT])}</pre>{more}"


def _without_pictures(text: str) -> tuple[str, dict[str, dict[str, str]]]:
    """The text with pictures that stand within it as attachments: to the renderer they would be very long words."""
    found: dict[str, dict[str, str]] = {}

    def attached(address: re.Match[str]) -> str:
        name = f"within-{secrets.token_hex(8)}"
        found[name] = {address[1]: address[2]}
        return f"(attachment:{name})"

    return _WITHIN.sub(attached, text), found


class _Kept:
    """Pieces of HTML made here, which stand in the text as marks until everything else is cleaned."""

    def __init__(self, attachments: Mapping[str, Any], budget: Budget) -> None:
        self.attachments = attachments
        self.budget = budget
        self._mark = f"kept{secrets.token_hex(8)}n"
        self._pieces: list[str] = []

    def keep(self, piece: str) -> str:
        self._pieces.append(piece)
        return f"{self._mark}{len(self._pieces) - 1}e"

    def put_back(self, text: str) -> str:
        return re.sub(rf"{self._mark}(\d+)e", lambda found: self._pieces[int(found[1])], text)


@cache
def _renderer() -> Any:
    from nbconvert.filters.markdown_mistune import IPythonRenderer

    class Renderer(IPythonRenderer):
        """Hands formulas and pictures to `kept`, and shows tags as text."""

        def __init__(self, kept: _Kept) -> None:
            super().__init__(escape=True, exclude_anchor_links=True)
            self._kept = kept

        def block_code(self, code: str, info: str | None = None) -> str:
            return f"<pre>{html.escape(code)}</pre>"

        def block_math(self, body: str) -> str:
            return self._kept.keep(f'<div class="formula" tabindex="0">{formula_html(body, block=True)}</div>')

        def inline_math(self, body: str) -> str:
            return self._kept.keep(formula_html(body, block=False))

        def latex_environment(self, name: str, body: str) -> str:
            return self.block_math(f"\\begin{{{name}}}{body}\\end{{{name}}}")

        def link(self, text: str, url: str, title: str | None = None) -> str:
            return text  # a page that loads nothing leads nowhere either

        def image(self, text: str, url: str, title: str | None = None) -> str:
            if url.startswith("attachment:"):
                bundle = self._kept.attachments.get(url.removeprefix("attachment:"), {})
                url = next((f"data:{kind};base64,{bundle[kind]}" for kind in IMAGES if kind in bundle), "")
            piece = image_html(url, text, self._kept.budget)
            return self._kept.keep(piece) if piece else html.escape(text)

    return Renderer


IMAGES = ("image/png", "image/jpeg")


def image_html(url: str, alt: str, budget: Budget) -> str:
    """The picture of a `data:` address; nothing where it is none, or of another kind than PNG and JPEG."""
    size = len(url) * 3 // 4
    if not url.startswith("data:image/"):
        return ""
    if size > MOST_IMAGE + 100 or size > budget.picture_bytes or not budget.take("pictures"):
        return cut("a picture; it is too large, or there are too many above")
    if not _IMAGE_URL.fullmatch(url):
        return ""
    kind, _, content = url.partition(";base64,")
    try:
        picture = base64.b64decode("".join(content.split()), validate=True)
    except (binascii.Error, ValueError):
        return ""
    if not picture.startswith((b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff")):
        return ""
    budget.take("picture_bytes", size)
    told = base64.b64encode(picture).decode()
    return f'<img src="{kind};base64,{told}" alt="{html.escape(alt[:300], quote=True)}">'


def formula_html(tex: str, *, block: bool) -> str:
    """The formula as MathML, which browsers draw by themselves; as code where it cannot be read."""
    tex = tex.strip()
    as_code = f"<code>{html.escape(tex[:LONGEST_FORMULA])}</code>"
    if len(tex) > LONGEST_FORMULA:
        return as_code
    from latex2mathml.converter import convert

    try:
        made = str(convert(tex, display="block" if block else "inline"))
    except Exception:  # a formula of a student's may be anything
        return as_code
    made = made.replace(' xmlns="http://www.w3.org/1998/Math/MathML"', "")
    rest = _MATH_TAG.sub("", made)
    return as_code if "<" in rest or ">" in rest else made


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
