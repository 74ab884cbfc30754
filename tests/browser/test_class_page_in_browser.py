"""The class page in a real browser: sorted, searched, filtered and unfolded, by click and by keyboard."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from accessibility import SERIOUS, axe
from chromium import FOUND, Browser
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[1] / "batch"))
import made_up_class

from grader.batch.page import class_page

pytestmark = pytest.mark.skipif(FOUND is None, reason="no Chromium on the PATH")
COUNT = 300
SHOTS = os.environ.get("VAE_GRADER_SCREENSHOTS")  # a folder, to look at
POINTS = "[...document.querySelectorAll('#students tbody:not([hidden]) td.points')].map(e => Number(e.dataset.value))"
SHOWN = "[...document.querySelectorAll('#students tbody')].filter(e => !e.hidden).length"


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rows = made_up_class.rows(COUNT)
    buffer = io.BytesIO()
    Image.effect_noise((240, 420), 60).save(buffer, "WEBP", quality=45)
    pictures = {row.key: buffer.getvalue()[:] for row in rows if row.report}
    text = class_page(rows, made_up_class.rubric(), "Variational autoencoders", made_up_class.pairs(), pictures)
    path = tmp_path_factory.mktemp("page") / "class.html"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Browser]:
    with Browser(tmp_path) as tab:
        yield tab


def test_the_page_loads_quickly_and_requests_nothing_else(page: Path, browser: Browser) -> None:
    assert browser.open(page) < 60  # about one on a quiet machine; with the square of the class it would take minutes
    assert browser.run(SHOWN) == COUNT
    assert browser.problems == []
    assert [url for url in browser.requests if not url.startswith(("file:", "data:"))] == []
    assert "alert" not in browser.run("[...document.scripts].map(s => s.textContent).join('')")


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_the_page_is_accessible(page: Path, browser: Browser, dark: bool) -> None:
    script = axe()
    if script is None:
        pytest.skip("npm or its registry is not at hand")
    browser.open(page, dark=dark)
    browser.run("document.querySelectorAll('#students tbody').forEach((one, n) => n > 20 && one.remove())")  # time
    browser.run(script + "; 0")
    assert browser.run(SERIOUS) == []


def test_a_click_on_a_heading_sorts_and_the_next_turns_it_round(page: Path, browser: Browser) -> None:
    browser.open(page)
    browser.run("document.querySelectorAll('thead button')[1].click()")
    down = browser.run(POINTS)
    assert down == sorted(down, reverse=True)
    assert browser.run("document.querySelectorAll('thead th')[1].getAttribute('aria-sort')") == "descending"
    browser.run("document.querySelectorAll('thead button')[1].click()")
    assert browser.run(POINTS) == sorted(down)


def test_the_keyboard_sorts_too(page: Path, browser: Browser) -> None:
    browser.open(page)
    browser.run("document.querySelectorAll('thead button')[1].focus()")
    browser.press("Enter", 13)
    down = browser.run(POINTS)
    assert down == sorted(down, reverse=True)


def test_search_and_filters_leave_what_fits(page: Path, browser: Browser) -> None:
    browser.open(page)
    browser.run("s = document.getElementById('search'); s.value = 'zoë'; s.dispatchEvent(new Event('input'))")
    assert browser.run(SHOWN) == 1
    assert browser.run("document.getElementById('shown').textContent") == f"1 of {COUNT}"
    browser.run("s.value = ''; s.dispatchEvent(new Event('input')); document.querySelector('.filter').click()")
    looks = browser.run(SHOWN)
    assert 0 < looks < COUNT / 3
    assert browser.run("document.querySelector('.filter').getAttribute('aria-pressed')") == "true"


def test_a_row_unfolds_to_its_reasons(page: Path, browser: Browser) -> None:
    browser.open(page)
    unfolded = "document.querySelector('#s-s0000 details')"
    browser.run(f"{unfolded}.querySelector('summary').click()")
    assert browser.run(f"{unfolded}.open") is True
    assert "<b>1</b>" in browser.run("document.querySelector('#students').textContent")


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [1280, 360])
def test_the_page_never_scrolls_sideways(page: Path, browser: Browser, width: int, dark: bool) -> None:
    browser.open(page, width=width, height=800, dark=dark)
    assert browser.run("document.documentElement.scrollWidth") <= width
    if SHOTS:
        name = f"class-{width}-{'dark' if dark else 'light'}"
        browser.screenshot(Path(SHOTS) / f"{name}.png")
        browser.run("document.getElementById('everybody').scrollIntoView()")
        browser.screenshot(Path(SHOTS) / f"{name}-table.png")
        browser.run("document.querySelector('.pair').open = true; document.querySelector('.pair').scrollIntoView()")
        browser.screenshot(Path(SHOTS) / f"{name}-pair.png")
