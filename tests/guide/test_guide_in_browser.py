"""The rendered guide: pages that need nothing else, readable on a phone, by dark, and on paper."""

from __future__ import annotations

import html
import re
import sys
from pathlib import Path
from urllib.parse import unquote

import pytest

from docs.making.guide import render_guide
from docs.making.reading import guide_pages, title

sys.path.insert(0, str(Path(__file__).parents[1] / "browser"))
from accessibility import SERIOUS, axe
from chromium import FOUND, Browser

PHONE = 360


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return {path.name: path for path in render_guide(tmp_path_factory.mktemp("guide"))}


def test_every_page_is_there_and_needs_nothing_else(pages: dict[str, Path]) -> None:
    assert set(pages) >= {"index.html", "on-slurm.html", "docs-slurm.html"}
    for path in pages.values():
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"<(script|link|iframe)\b", text), path
        assert not re.search(r'src="(?!data:image/png;base64,)', text), path
        assert "url(" not in text


def test_every_link_leads_to_a_page_and_its_heading(pages: dict[str, Path]) -> None:
    texts = {name: path.read_text(encoding="utf-8") for name, path in pages.items()}
    for name, text in texts.items():
        for target in re.findall(r'href="([^"]+)"', text):
            page, _, anchor = unquote(target).partition("#")
            if not re.match(r"[a-z]+:", target):
                assert (page or name) in texts, f"{name}: {target}"
                assert not anchor or f'id="{anchor}"' in texts[page or name], f"{name}: {target}"


def test_a_page_lists_all_pages_and_says_where_it_is(pages: dict[str, Path]) -> None:
    for page in guide_pages():
        name = "index.html" if page.name == "README.md" else f"{page.stem}.html"
        text = html.unescape(pages[name].read_text(encoding="utf-8"))
        assert text.count('aria-current="page"') == 1
        assert all(title(other) in text for other in guide_pages())


def test_a_file_that_is_no_page_is_named(pages: dict[str, Path]) -> None:
    assert 'href="../../rubric.yaml"' not in pages["change-a-number.html"].read_text(encoding="utf-8")
    assert "<code>rubric.yaml</code>" in pages["change-a-number.html"].read_text(encoding="utf-8")


@pytest.mark.skipif(FOUND is None, reason="no Chromium on the PATH")
def test_a_browser_finds_nothing_amiss(pages: dict[str, Path], tmp_path: Path) -> None:
    with Browser(tmp_path) as browser:
        for name in ("index.html", "grade-a-class.html", "change-a-number.html", "docs-gradebooks.html"):
            for width, dark in ((PHONE, False), (1280, True)):
                browser.open(pages[name], width=width, height=800, dark=dark)
                assert browser.run("document.documentElement.scrollWidth") <= width, (name, width)
                if rules := axe():
                    browser.run(rules)
                    assert browser.run(SERIOUS) == [], (name, width)
        assert browser.problems == []
        assert [url for url in browser.requests if not url.startswith(("file:", "data:"))] == []
