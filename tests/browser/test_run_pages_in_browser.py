"""The pages of a run in a real browser: both readers, four submissions, two widths, light and dark."""

from __future__ import annotations

import itertools
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from accessibility import SERIOUS, axe
from chromium import FOUND, Browser

from grader.exercises.vae_mnist.plugin import VaeMnist
from grader.grading.run_pages import provided_sources
from grader.notebook.format import load_notebook, source_of
from grader.records import CellRun, CellStatus, Execution, Status
from grader.report.notebook_view import make_view
from grader.report.pages import feedback_html, report_html

sys.path.insert(0, str(Path(__file__).parents[1] / "report"))
import report_samples

pytestmark = pytest.mark.skipif(FOUND is None, reason="no Chromium on the PATH")
ROOT = Path(__file__).parents[2]
SHOTS = os.environ.get("VAE_GRADER_SCREENSHOTS")  # a folder, to look at
SAMPLES = ("perfect", "middling", "empty", "hostile")
READERS = ("feedback", "report")
WIDTHS = (360, 1280)
EXECUTION = Execution(
    Status.OK, 0, 80.5, 140.0, 900, "cpu", "bubblewrap", log_tail="a line\n" * 3 + "<script>x</script>"
)


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pages")
    names = {item: spec.annotated_names for item, spec in VaeMnist.items.items()}
    runs = (
        CellRun(
            18, CellStatus.ERROR, 3.0, "RuntimeError: mat1 and mat2 shapes cannot be multiplied (128x784 and 28x400)"
        ),
    )
    provided = provided_sources({"": load_notebook(ROOT / "student_template" / "vae_mnist.ipynb")})
    notebook = load_notebook(ROOT / "reference" / "vae_mnist.ipynb")
    for cell in notebook["cells"]:  # without the markers, which no student has
        lines = source_of(cell).splitlines(keepends=True)
        cell["source"] = "".join(line for line in lines if "BEGIN SOLUTION" not in line and "END SOLUTION" not in line)
    view = make_view(notebook, names, runs, provided)
    for sample in SAMPLES:
        report = getattr(report_samples, sample)()
        pictures = report_samples.figures(3)
        pictures = (*pictures[:2], replace(pictures[2], for_staff=True), *report_samples.planes())
        (folder / f"feedback-{sample}.html").write_text(feedback_html(report, pictures, view, names), encoding="utf-8")
        (folder / f"report-{sample}.html").write_text(report_html(report, pictures, EXECUTION), encoding="utf-8")
    near = report_samples.borderline()
    (folder / "report-borderline.html").write_text(report_html(near), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with Browser(tmp_path_factory.mktemp("profile")) as tab:
        yield tab


@pytest.mark.parametrize("name", [f"{reader}-{sample}" for reader, sample in itertools.product(READERS, SAMPLES)])
def test_a_page_loads_nothing_and_needs_no_sideways_scroll(pages: Path, browser: Browser, name: str) -> None:
    script = axe()
    for width, dark in itertools.product(WIDTHS, (False, True)):
        browser.problems.clear()
        browser.requests.clear()
        browser.open(pages / f"{name}.html", width=width, dark=dark)
        wide = "[...document.querySelectorAll('*')].filter(e => e.getBoundingClientRect().right > innerWidth + 1)"
        wide += (
            ".filter(e => !e.closest('pre, .formula, .source, math, svg, .hidden')).map(e => e.outerHTML.slice(0, 90))"
        )
        assert browser.run("document.documentElement.scrollWidth <= innerWidth"), browser.run(wide)
        assert browser.problems == []
        assert [url for url in browser.requests if not url.startswith(("file:", "data:"))] == []
        if script is not None:
            browser.run(script + "; 0")
            assert browser.run(SERIOUS) == []
        if SHOTS:
            tone = "dark" if dark else "light"
            browser.screenshot(Path(SHOTS) / f"{name}-{'phone' if width < 600 else 'desktop'}-{tone}.png", whole=True)


def test_a_click_and_a_key_fold_an_item(pages: Path, browser: Browser) -> None:
    browser.open(pages / "feedback-middling.html")
    is_open = "document.querySelectorAll('details')[0].open"
    before = browser.run(is_open)
    browser.run("document.querySelectorAll('summary')[0].click()")
    assert browser.run(is_open) is not before
    browser.run("document.querySelectorAll('summary')[0].focus()")
    browser.press("Enter", 13)
    assert browser.run(is_open) is before


def test_a_remark_leads_to_its_item_and_back(pages: Path, browser: Browser) -> None:
    browser.open(pages / "feedback-middling.html")
    browser.run("document.querySelector('.where a').click()")
    cell = browser.run("location.hash")
    assert cell.startswith("#cell-")
    browser.run(f"document.querySelector('{cell} .remark a').click()")
    item = browser.run("location.hash")
    assert item.startswith("#item-")
    assert browser.run(f"document.querySelector('{item}').tagName") == "DETAILS"


def test_a_bar_is_drawn_where_a_level_was_measured(pages: Path, browser: Browser) -> None:
    browser.open(pages / "report-borderline.html")
    assert browser.run("document.querySelector('svg.bar').getBoundingClientRect().width") > 200
    assert browser.run("getComputedStyle(document.querySelector('svg.bar .good')).fill") != "rgb(0, 0, 0)"


def test_printed_pages_are_unfolded(pages: Path, browser: Browser) -> None:
    browser.open(pages / "feedback-perfect.html")
    browser.ask("Emulation.setEmulatedMedia", {"media": "print"})
    height = "document.querySelector('details:not([open]) .body').getBoundingClientRect().height"
    assert browser.run(height) > 20
    browser.ask("Emulation.setEmulatedMedia", {"media": "screen"})


def test_a_middling_page_fits_in_a_few_screens(pages: Path, browser: Browser) -> None:
    browser.open(pages / "feedback-middling.html")
    assert browser.run("document.documentElement.scrollHeight") <= 4000


FOCUSED = "document.activeElement.getAttribute('aria-label')"


def test_keys_and_a_button_lead_from_comment_to_comment(pages: Path, browser: Browser) -> None:
    browser.open(pages / "feedback-middling.html")
    seen = []
    for key in ("n", "j", "k", "p"):
        browser.press(key, ord(key.upper()))
        seen.append(browser.run(FOCUSED))
    assert seen[0].startswith("Comments on cell ")
    assert seen[2] == seen[0] != seen[1]
    assert browser.run("document.getElementById('said').textContent").startswith("Comment ")
    browser.run("document.querySelectorAll('#comments button')[1].click()")
    assert browser.run(FOCUSED) == seen[0]
    top = "document.activeElement.getBoundingClientRect().top"
    assert 0 <= browser.run(top) < browser.run("innerHeight")


def test_a_letter_that_is_typed_moves_nothing(pages: Path, browser: Browser) -> None:
    browser.open(pages / "feedback-middling.html")
    browser.run("document.querySelector('main').append(document.createElement('input'))")
    browser.run("document.querySelector('main > input').focus()")
    browser.press("n", ord("N"))
    assert browser.run("document.activeElement.tagName") == "INPUT"


def test_a_link_to_a_folded_cell_opens_it(pages: Path, browser: Browser) -> None:
    browser.open(pages / "feedback-perfect.html")
    folded = "document.querySelector('details.cells:not([open]) .cell').id"
    cell = browser.run(folded)
    browser.run(f"location.hash = '#{cell}'; new Promise((done) => setTimeout(done, 100))")
    assert browser.run(f"document.getElementById('{cell}').closest('details').open") is True
    assert browser.run(f"document.getElementById('{cell}').getBoundingClientRect().height") > 10


def test_points_are_never_broken(pages: Path, browser: Browser) -> None:
    tall = """[...document.querySelectorAll('.points, td.margin, .score .earned, .score .all')].filter((one) => {
      const range = document.createRange();
      range.selectNodeContents(one);
      const box = range.getBoundingClientRect();
      return box.height > 1.9 * parseFloat(getComputedStyle(one).fontSize) || box.right > innerWidth;
    }).map((one) => one.outerHTML)"""
    for name in ("feedback-middling", "report-middling"):
        browser.open(pages / f"{name}.html", width=390)
        assert browser.run(tall) == []


# The plane of a student's code space

STATE = """(number => {
  const plane = document.querySelectorAll('.plane')[number];
  const paper = plane.querySelector('canvas').getContext('2d');
  return [plane.querySelector('output').textContent, paper.getImageData(14, 14, 1, 1).data[0] / 2];
})"""


def opened(browser: Browser, page: Path, *, width: int = 1280) -> None:
    """The page is open, and its planes can be moved through."""
    browser.problems.clear()
    browser.open(page, width=width)
    browser.run("document.querySelector('.planes details').open = true")
    for _ in range(100):
        if browser.run("[...document.querySelectorAll('.plane-tools')].every(tools => !tools.hidden)"):
            return
        time.sleep(0.05)
    raise AssertionError(browser.problems)


def state(browser: Browser, number: int = 0) -> list[Any]:
    """Where the plane of that number is, and which tile of its sheet is shown."""
    position: list[Any] = browser.run(f"{STATE}({number})")
    return position


def test_arrow_keys_move_through_the_plane_up_to_its_edge(pages: Path, browser: Browser) -> None:
    opened(browser, pages / "feedback-perfect.html")
    assert state(browser) == ["x = 0.0, y = 0.0", 12]
    browser.run("document.querySelector('.plane-map').focus()")
    browser.press("ArrowLeft", 37)
    browser.press("ArrowUp", 38)
    assert state(browser) == ["x = −1.0, y = 1.0", 6]
    for _ in range(5):
        browser.press("ArrowRight", 39)
        browser.press("ArrowDown", 40)
    assert state(browser) == ["x = 2.0, y = −2.0", 24]


def test_sliders_move_by_their_own_keys_and_say_where_they_are(pages: Path, browser: Browser) -> None:
    opened(browser, pages / "feedback-perfect.html")
    browser.run("document.querySelector('.plane input.x').focus()")
    browser.press("ArrowRight", 39)
    assert state(browser) == ["x = 1.0, y = 0.0", 13]
    assert browser.run("document.querySelector('.plane input.x').getAttribute('aria-valuetext')") == "x = 1.0"


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("finger", [False, True])
def test_mouse_and_finger_drag_to_the_point_below_them(pages: Path, browser: Browser, width: int, finger: bool) -> None:
    opened(browser, pages / "feedback-perfect.html", width=width)
    box = "(() => { const map = document.querySelector('.plane-map'); map.scrollIntoView({block: 'center'});"
    box += " const b = map.getBoundingClientRect(); return [b.left, b.top, b.width, b.height]; })()"
    left, top, wide, high = browser.run(box)
    scrolled = browser.run("scrollY")
    for number, (x, y) in enumerate([(0.5, 0.5), (0.1, 0.3), (0.12, 0.92)]):
        at = {"x": left + x * wide, "y": top + y * high}
        if finger:
            kind = "touchMove" if number else "touchStart"
            browser.ask("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [at]})
        else:
            kind = "mouseMoved" if number else "mousePressed"
            browser.ask(
                "Input.dispatchMouseEvent", {"type": kind, **at, "button": "left", "buttons": 1, "clickCount": 1}
            )
    if finger:
        browser.ask("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    else:
        browser.ask("Input.dispatchMouseEvent", {"type": "mouseReleased", **at, "button": "left", "clickCount": 1})
        browser.ask("Input.dispatchMouseEvent", {"type": "mouseMoved", "x": left + 5, "y": top + 5})  # moves nothing
    assert state(browser) == ["x = −2.0, y = −2.0", 20]
    assert browser.run("scrollY") == scrolled


def test_a_digit_is_chosen_with_a_click_or_a_key(pages: Path, browser: Browser) -> None:
    opened(browser, pages / "feedback-perfect.html")
    assert state(browser, 1) == ["x = 0.0, y = 0.0", 22]
    browser.run("document.querySelectorAll('.plane input[type=radio]')[2].click()")
    assert state(browser, 1) == ["x = 0.0, y = 0.0", 72]
    browser.run("document.querySelectorAll('.plane input[type=radio]')[2].focus()")
    browser.press("ArrowRight", 39)
    assert state(browser, 1) == ["x = 0.0, y = 0.0", 77]
    assert state(browser, 0) == ["x = 0.0, y = 0.0", 12]


def test_without_a_script_the_whole_sheet_is_shown(pages: Path, browser: Browser) -> None:
    browser.ask("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        browser.open(pages / "feedback-perfect.html")
        browser.run("document.querySelector('.planes details').open = true")
        tools = "[...document.querySelectorAll('.plane-tools')].map(tools => tools.getBoundingClientRect().height)"
        assert browser.run(tools) == [0, 0]
        assert browser.run("document.querySelector('.plane img').getBoundingClientRect().height") > 100
    finally:
        browser.ask("Emulation.setScriptExecutionDisabled", {"value": False})
