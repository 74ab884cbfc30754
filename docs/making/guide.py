"""`python -m docs.making.guide [FOLDER]`: the guide as pages for a browser, each a file that needs no other.

The pages of `docs/guide/` and the pages that they link to; pictures and style lie in each page, nothing is loaded from
anywhere. A link to a file that is no page is shown as the file's path in the project.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from markdown_it.token import Token
from markupsafe import Markup

from docs.making.reading import INDEX, ROOT, Link, guide_pages, headings, links, parser, title, tokens
from grader.report.html_page import data_uri, html_page

# Tables align their columns by an attribute, which no digest allows.
POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
# What may be wider than a phone scrolls by itself, also by keyboard.
SCROLLING = {
    "<pre>": '<pre tabindex="0">',
    "<table>": '<div class="wide" tabindex="0"><table>',
    "</table>": "</table></div>",
}


@dataclass(frozen=True)
class Entry:
    """A line of the page's list of pages."""

    title: str
    href: str
    here: bool


def render_guide(folder: Path) -> tuple[Path, ...]:
    """The folder holds every page as HTML, the index as `index.html`; returns the files."""
    guide = guide_pages()
    linked = [link.path for page in guide for link in links(page) if link.path.suffix == ".md" and not link.external]
    names = {page: _name(page, guide) for page in dict.fromkeys([*guide, *linked])}
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for page, name in names.items():
        entries = [Entry(title(other), names[other], other == page) for other in guide]
        at = guide.index(page) if page in guide else -1
        path = folder / name
        text = html_page(
            "docs.making/guide.html.j2",
            ("docs.making/guide.css",),
            policy=POLICY,
            title=title(page),
            guide=title(INDEX),
            body=Markup(_body(page, names)),
            entries=entries,
            following=entries[at + 1] if 0 <= at < len(guide) - 1 else None,
        )
        path.write_text(text, encoding="utf-8")
        written.append(path)
    return tuple(written)


def _name(page: Path, guide: Sequence[Path]) -> str:
    """The file's name; pages from elsewhere in the project keep their folder's, so that no two are alike."""
    if page == INDEX:
        return "index.html"
    if page in guide:
        return f"{page.stem}.html"
    return "-".join([*page.relative_to(ROOT).parent.parts, f"{page.stem.lower()}.html"])


def _body(page: Path, names: dict[Path, str]) -> str:
    """The page's own HTML: headings with anchors, links to other pages, pictures within."""
    page_tokens = tokens(page)
    anchors = iter(headings(page))
    for token in page_tokens:
        if token.type == "heading_open":
            token.attrSet("id", next(anchors)[2])
        elif token.type == "inline":
            token.children = _rewritten(token.children or [], page, names)
        elif token.type == "fence":
            token.info = token.info.partition(" ")[0]
    rendered: str = parser().renderer.render(page_tokens, parser().options, {})
    for plain, scrolling in SCROLLING.items():
        rendered = rendered.replace(plain, scrolling)
    return rendered


def _rewritten(children: list[Token], page: Path, names: dict[Path, str]) -> list[Token]:
    rewritten: list[Token] = []
    lost: list[str] = []  # open links that lead to no page
    for child in children:
        if child.type == "image":
            picture = (page.parent / str(child.attrGet("src"))).read_bytes()
            child.attrSet("src", data_uri(picture))
        elif child.type == "link_open":
            link = Link(page, 0, str(child.attrGet("href")))
            if link.external:
                child.attrSet("rel", "noreferrer")
            elif link.path in names:
                child.attrSet("href", names[link.path] + (f"#{link.anchor}" if link.anchor else ""))
            else:
                lost.append(link.path.relative_to(ROOT).as_posix())
                continue
        elif child.type == "link_close" and lost:
            before, path = (rewritten[-1].content if rewritten else ""), lost.pop()
            if before != path:
                rewritten.append(Token("text", "", 0, content=f" ({path})"))
            continue
        rewritten.append(child)
    return rewritten


def main(arguments: Sequence[str]) -> None:
    """Writes the pages, and says where they are."""
    folder = Path(arguments[0]) if arguments else ROOT / "build" / "guide"
    written = render_guide(folder)
    print(f"{len(written)} pages: {written[0]}")


if __name__ == "__main__":
    main(sys.argv[1:])
