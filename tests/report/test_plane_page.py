"""The plane on a student's page: its numbers, its limits, and that only the grader's own script runs."""

from __future__ import annotations

import base64
import hashlib
import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from page_reader import ADDRESS, Page
from PIL import Image
from report_samples import EVIL, figures, middling

from grader.exercises.vae_mnist.plugin import VaeMnist
from grader.grading import run_pages
from grader.records import Array, Figure, Plane
from grader.report import plane as plane_page
from grader.report.pages import feedback_html, report_html
from grader.report.plane import plane_views

ROOT = Path(__file__).parents[2]
DOTS = ((0.0, 0.0, "3"), (1.0, -2.0, "7"), (2.0, 2.0, "3"))


def sheet(pixels: Array) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels.astype(np.uint8)).save(buffer, format="PNG")
    return buffer.getvalue()


def figure(plane: Plane | None = None, png: bytes | None = None, **more: str) -> Figure:
    words = {"title": "VAE: your code space", "caption": "Each point is a code.", "alt": "25 pictures."} | more
    plane = plane or Plane(5, 2.0, dots=DOTS, note="Two directions.")
    return Figure("vae-plane", png=png or sheet(np.zeros((140, 140))), plane=plane, **words)


def test_without_a_plane_there_is_no_section_and_no_script() -> None:
    html = feedback_html(middling(), figures(1))
    assert Page(html).is_inert(scripts=1)  # the one that leads from comment to comment
    assert "plane" not in html


def test_the_only_script_is_the_graders_own_and_the_policy_knows_it() -> None:
    html = feedback_html(middling(), (*figures(1), figure()))
    page = Page(html)
    names = ("feedback.js", "plane.js")
    script = "".join((ROOT / "grader" / "report" / name).read_text(encoding="utf-8") for name in names)
    assert [tag for tag, _ in page.elements].count("script") == 1
    assert f"<script>{script}</script>" in html
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    (policy,) = [meta["content"] for meta in page.all("meta") if "http-equiv" in meta]
    assert f"script-src 'sha256-{digest}'" in policy
    assert policy.startswith("default-src 'none'; img-src data:;")
    assert "unsafe" not in policy
    for _, attributes in page.elements:
        assert not any(name.startswith("on") or name == "style" for name in attributes)
        assert all(ADDRESS.match(attributes[name]) for name in ("src", "href") if name in attributes)


def test_the_script_makes_no_markup_and_asks_for_nothing() -> None:
    script = (ROOT / "grader" / "report" / "plane.js").read_text(encoding="utf-8")
    for word in ("innerHTML", "outerHTML", "insertAdjacent", "document.write", "eval", "Function(", "fetch", "http"):
        assert word not in script


def test_the_page_holds_the_planes_numbers_controls_and_sheet() -> None:
    choices = Plane(5, 2.0, tuple("0123"), "Digit asked for", 2, DOTS)
    page = Page(feedback_html(middling(), (figure(), figure(choices, title="CVAE"))))
    first, second = (one for one in page.all("figure") if one.get("class", "").startswith("plane"))
    assert (first["data-side"], first["data-reach"], first["data-per-row"]) == ("5", "2.0", "1")
    assert second["data-per-row"] == "2"
    kinds = [one["type"] for one in page.all("input")]
    assert kinds == ["range"] * 4 + ["radio"] * 4
    assert {one["max"] for one in page.all("input") if one["type"] == "range"} == {"4"}
    assert [one["name"] for one in page.all("input") if one["type"] == "radio"] == ["plane-2-choice"] * 4
    assert all("hidden" in one for one in page.all("div") if one.get("class") == "plane-tools")  # without a script
    assert any(one.get("alt") == "25 pictures." for one in page.all("img"))
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    text = " ".join(page.text.split())
    assert "Explore your models" in text
    assert "Two directions." in text


def test_a_dot_is_in_the_cell_of_the_point_that_is_nearest() -> None:
    (view,) = plane_views([figure()])
    assert view.dots == (("3", ((500, 500), (900, 100))), ("7", ((700, 900),)))
    assert view.cell == 200


def test_hostile_words_are_shown_and_do_nothing() -> None:
    plane = Plane(5, 2.0, (EVIL, EVIL), EVIL, 2, ((0.0, 0.0, EVIL),), EVIL)
    html = feedback_html(middling(), (figure(plane, title=EVIL, caption=EVIL, alt=EVIL),))
    page = Page(html)
    assert [tag for tag, _ in page.elements].count("script") == 1
    assert EVIL not in html


@pytest.mark.parametrize(
    "plane",
    [
        *(Plane(1, 2.0), Plane(5, float("nan")), Plane(5, float("inf")), Plane(5, 0.0), Plane(5, 2.0, per_row=0)),
        *(Plane(5, 2.0, ("0",)), Plane(10_000, 2.0)),
    ],
)
def test_numbers_that_make_no_plane_are_left_out(plane: Plane) -> None:
    assert plane_views([figure(plane)]) == []


def test_dots_outside_the_map_are_left_out() -> None:
    nan = float("nan")
    plane = Plane(5, 2.0, dots=((0.0, 2.1, "1"), (float("-inf"), 0.0, "1"), (nan, nan, "1"), (0.5, 0.5, "2")))
    assert [label for label, _ in plane_views([figure(plane)])[0].dots] == ["2"]


def test_planes_add_at_most_300_kb_to_a_page_however_large_they_are() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (360, 280))
    heavy = [figure(png=sheet(pixels), plane=Plane(5, 2.0, dots=DOTS * 70)) for _ in range(4)]
    assert 4 * len(heavy[0].png) // 3 > 100_000
    bare = feedback_html(middling(), figures(1))
    full = feedback_html(middling(), (*figures(1), *heavy))
    assert len(plane_views(heavy)) == 2
    assert 200_000 < len(full.encode()) - len(bare.encode()) <= 300_000


def test_the_plane_is_neither_on_the_staff_page_nor_among_the_pictures() -> None:
    html = report_html(middling(), (*figures(1), figure()))
    assert "VAE: your code space" not in html
    assert Page(html).is_inert()
    assert "plane" not in html
    assert plane_views([replace(figure(), for_staff=True)]) == []


def test_a_plane_is_kept_with_the_other_pictures_of_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_pages, "_figures_made_of", lambda *_: {"code": "x"})
    plane = Plane(5, 2.5, tuple("01"), "Digit asked for", 2, DOTS, "A note.")
    drawn = [figure(plane), *figures(1)]
    run_pages._keep_figures(tmp_path, drawn, VaeMnist())
    assert run_pages._figures(tmp_path, VaeMnist()) == drawn
    assert plane_page.plane_views(drawn) == plane_page.plane_views(run_pages._figures(tmp_path, VaeMnist()))
