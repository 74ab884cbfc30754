"""Reads a page as a browser would, for tests."""

from __future__ import annotations

import re
from html.parser import HTMLParser

VOID = {"meta", "img", "link", "br", "hr", "input"}
FORBIDDEN = {"link", "iframe", "object", "embed", "form", "base", "foreignobject", "a:href"}
LEADING = ("src", "href", "xlink:href", "srcset", "action", "poster", "data")
ADDRESS = re.compile(r"#(?:item|cell)-\d+$|feedback\.html$|data:image/(?:png|jpeg);base64,[\w+/=]*$")


class Page(HTMLParser):
    """Elements, ids and text of a page; complains about a tag that closes nothing."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.elements if name == tag]

    def is_inert(self, scripts: int = 0) -> bool:
        """Whether nothing runs but so many scripts of the page's own, and nothing is loaded from elsewhere."""
        if len(self.all("script")) != scripts or any(self.all("script")):
            return False
        for tag, attributes in self.elements:
            if tag in FORBIDDEN or any(name.startswith("on") or name == "style" for name in attributes):
                return False
            addresses = [attributes[name] for name in LEADING if name in attributes]
            if not all(map(ADDRESS.match, addresses)):
                return False
        return True
