"""The page is whole in itself, keeps its policy, and shows hostile text as text."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable
from importlib.resources import files

import pytest
from hypothesis import given
from hypothesis import strategies as st
from page_reader import Page
from report_samples import EVIL, borderline, empty, figures, hostile, middling, perfect, report_of

from grader.records import GradeReport, Remark
from grader.report.pages import report_html

SAMPLES = [perfect, middling, empty, hostile, borderline]


@pytest.mark.parametrize("sample", SAMPLES)
def test_nothing_is_loaded_and_nothing_runs(sample: Callable[[], GradeReport]) -> None:
    assert Page(report_html(sample(), figures(1))).is_inert()
    assert "url(" not in _style()
    assert "@import" not in _style()


def test_the_policy_allows_only_our_own_style() -> None:
    html = report_html(middling())
    [policy] = [m["content"] for m in Page(html).all("meta") if m.get("http-equiv") == "Content-Security-Policy"]
    [style] = re.findall(r"<style>(.*?)</style>", html, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert policy.split("; ")[:3] == ["default-src 'none'", "img-src data:", f"style-src 'sha256-{digest}'"]


def test_the_page_is_readable_with_a_screen_reader() -> None:
    page = Page(report_html(middling(), figures(2)))
    assert page.all("html") == [{"lang": "en"}]
    assert {"header", "main", "footer", "h1"} <= {tag for tag, _ in page.elements}
    assert {cell["scope"] for cell in page.all("th")} == {"col", "row", "rowgroup"}
    assert all(image["alt"] for image in page.all("img"))
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert {link["href"][1:] for link in page.all("a") if link["href"].startswith("#")} <= set(ids)


def test_the_page_has_the_information_that_staff_need() -> None:
    text = " ".join(Page(report_html(middling(), figures(1))).text.split())
    for part in ("mustermann_erika", "79.5 of 91 points", "9 points await manual review",
                 "worst_relative_error", "4096", middling().seed, "2.15.0",
                 "Needs manual review", "Graded without isolation", "given_cell_changed", "Cell 12 raised",
                 "they could not be graded automatically", "Hint"):  # fmt: skip
        assert part in text
    calm = Page(report_html(perfect())).text
    assert "Needs manual review" not in calm
    assert "without isolation" not in calm
    assert "Pictures" not in calm


def test_only_items_that_lost_something_are_unfolded() -> None:
    assert sum("open" in d for d in Page(report_html(middling())).all("details")) == 4
    assert not any("open" in d for d in Page(report_html(perfect())).all("details"))


def test_hostile_text_is_shown_cut_and_escaped() -> None:
    html = report_html(hostile())
    assert "<script" not in html
    assert "&lt;script&gt;" in html
    assert "{{ 7*7 }}" in html
    assert not set("\x1b\x9b\u202e\u2066\x00\r\x07") & set(html)
    assert "A" * 600 not in html
    assert len(html) < 500_000
    html.encode("utf-8")


@given(st.text(st.characters(), max_size=200) | st.sampled_from([EVIL, "'\"><b>", "</title><b>", "--><b>", "]]><b>"]))
def test_no_text_adds_an_element(text: str) -> None:
    def elements(word: str) -> list[str]:
        report = report_of((), submission=word, device=word, remarks=(Remark(word, word, 1),), events=(word,))
        return [tag for tag, _ in Page(report_html(report)).elements]

    assert elements(text) == elements("word")


def test_a_page_with_pictures_stays_small() -> None:
    assert len(report_html(middling(), figures(4)).encode()) < 3_000_000


def test_every_colour_of_text_is_readable_in_both_themes() -> None:
    light, dark = (
        dict(re.findall(r"--(\w+): (#\w{6})", block)) for block in re.findall(r":root {(.*?)}", _style(), re.S)[:2]
    )
    for theme in (light, dark):
        for ground in ("paper", "tint"):
            for ink in ("ink", "soft", "good", "part", "bad", "open"):
                assert contrast(theme[ink], theme[ground]) >= 4.5, (ink, ground)


def contrast(one: str, other: str) -> float:
    """WCAG 2.2, relative luminance and contrast ratio."""
    first, second = sorted((luminance(one), luminance(other)))
    return (second + 0.05) / (first + 0.05)


def luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _style() -> str:
    sheets = ("page.css", "sheet.css", "report.css", "feedback.css")
    return "".join(files("grader.report").joinpath(name).read_text(encoding="utf-8") for name in sheets)


def test_staff_see_a_borderline_mark_and_where_the_level_stands() -> None:
    text = Page(report_html(borderline())).text
    assert "≈\xa0borderline" in text
    for name, value in {"share of right digits": "0.7391", "standard error": "0.0137", "full at": "0.75"}.items():
        assert f"{name}{value}" in text  # a term and its value are neighbours
    assert "≈\xa0borderline" not in Page(report_html(perfect())).text


def test_staff_see_both_sides_and_what_was_changed() -> None:
    page = Page(report_html(middling()))
    assert "loss, 10 of 1061.02106.03" in page.text.replace("\n", "").replace("  ", "")
    assert "+    return mnist(False)" in page.text
    assert "cell 5" in page.text
    assert [span["class"] for span in page.all("span") if span.get("class") in ("gone", "added")] == ["gone", "added"]


def test_the_page_begins_with_the_warning_about_missing_isolation() -> None:
    html = report_html(middling())
    assert html.index("Graded without isolation") < html.index("Needs manual review")
