"""Markdown pages as data: fenced blocks, links and headings. Everything that reads the docs uses this module.

The words after a fence's language say what a block is. A path names the file that the block is (`yaml`) or changes
(`diff`). `long` marks a command that trains, `fails` a command that ends with an error, `elsewhere` a command that
needs something that tests do not have.
"""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token

ROOT = Path(__file__).parents[2]
GUIDE = ROOT / "docs" / "guide"
INDEX = GUIDE / "README.md"
WORDS = frozenset({"long", "fails", "elsewhere"})
PROMPT = "$ "


@dataclass(frozen=True)
class Block:
    """A fenced block."""

    page: Path
    line: int  # of the fence, from 1
    language: str
    words: frozenset[str]  # of `WORDS`
    path: str  # of the file that the block is or changes; may be empty
    text: str

    @property
    def commands(self) -> list[str]:
        """The commands: each line after a prompt with its continuation lines; for `sh`, the whole block."""
        if self.language == "sh":
            return [self.text.strip()]
        if self.language != "console":
            return []
        typed: list[str] = []
        open_line = False
        for line in self.text.splitlines():
            if line.startswith(PROMPT):
                typed.append(line.removeprefix(PROMPT))
            elif open_line:
                typed[-1] += "\n" + line
            open_line = bool(typed) and typed[-1].endswith("\\") and (line.startswith(PROMPT) or open_line)
        return typed

    @property
    def output(self) -> list[str]:
        """The lines of output below the commands."""
        if self.language != "console":
            return []
        typed = {line for command in self.commands for line in command.split("\n")}
        return [line for line in self.text.splitlines() if line.removeprefix(PROMPT) not in typed]


@dataclass(frozen=True)
class Link:
    """A link or picture, and its target."""

    page: Path
    line: int
    target: str

    @property
    def external(self) -> bool:
        """Whether the target is outside the project."""
        return bool(re.match(r"[a-z][a-z0-9+.-]*:", self.target))

    @property
    def path(self) -> Path:
        """The file that a link within the project points to."""
        name = self.target.partition("#")[0]
        return (self.page.parent / name).resolve() if name else self.page.resolve()

    @property
    def anchor(self) -> str:
        """The part after `#`; may be empty."""
        return self.target.partition("#")[2]


def parser() -> MarkdownIt:
    """The parser of this project's Markdown: CommonMark with tables; HTML is treated as text."""
    return MarkdownIt("commonmark", {"html": False}).enable("table")


def tokens(page: Path) -> list[Token]:
    """The tokens of the page, a new list for each call."""
    return parser().parse(page.read_text(encoding="utf-8"))


def blocks(page: Path) -> list[Block]:
    """The page's fenced blocks, in order."""
    fenced = []
    for token in tokens(page):
        if token.type == "fence":
            language, *rest = token.info.split() or [""]
            words = frozenset(rest) & WORDS
            path = " ".join(word for word in rest if word not in WORDS)
            fenced.append(Block(page, (token.map or [0])[0] + 1, language, words, path, token.content))
    return fenced


def links(page: Path) -> list[Link]:
    """Every link and picture of the page."""
    targets = []
    for token in tokens(page):
        for child in token.children or ():
            target = child.attrGet("href") if child.type == "link_open" else child.attrGet("src")
            if isinstance(target, str) and child.type in {"link_open", "image"}:
                targets.append(Link(page, (token.map or [0])[0] + 1, target))
    return targets


def headings(page: Path) -> Iterator[tuple[int, str, str]]:
    """Level, text and anchor of each heading; anchors follow the rule of code hosts."""
    seen: Counter[str] = Counter()
    for opening, inline in itertools.pairwise(tokens(page)):
        if opening.type == "heading_open":
            text = "".join(child.content for child in inline.children or ())
            slug = re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-")
            yield int(opening.tag[1]), text, f"{slug}-{seen[slug]}" if seen[slug] else slug
            seen[slug] += 1


def title(page: Path) -> str:
    """The page's first heading."""
    return next((text for _, text, _ in headings(page)), page.stem)


def guide_pages() -> list[Path]:
    """The index of the guide, then its pages in the order of the index."""
    listed = [link.path for link in links(INDEX) if link.path.parent == GUIDE and link.path.suffix == ".md"]
    return list(dict.fromkeys([INDEX, *listed]))
