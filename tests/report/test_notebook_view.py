"""The places of an item's comments in a notebook, and the bar that shows a level."""

from __future__ import annotations

import base64
import math
import time

import pytest
from page_reader import Page

from grader.notebook.clean_cells import clean_cells
from grader.records import MeasuredValue
from grader.report.notebook_view import MOST_CELLS, cells_html, markdown_html, places
from grader.report.pages import level_bar


def at(*sources: str, **names: tuple[str, ...]) -> dict[str, tuple[int, ...]]:
    return places({"cells": [{"cell_type": "code", "source": source} for source in sources]}, names)


def test_a_definition_is_found_in_any_style() -> None:
    assert at("import x", "@torch.no_grad()\ndef f(x):\n    ...", a=("f",)) == {"a": (1,)}
    assert at("f = lambda x: x", a=("f",)) == {"a": (0,)}
    assert at("f: Callable = g", a=("f",)) == {"a": (0,)}
    assert at("class A(nn.Module):\n    def f(self): ...", a=("A.f",)) == {"a": (0,)}
    assert at("def f(:\n  this does not parse", a=("f",)) == {"a": (0,)}
    assert at("%%time\nasync def f(): ...", a=("f",)) == {"a": (0,)}


def test_the_last_definition_counts_and_words_in_passing_do_not() -> None:
    assert at("def f(): 1", "def f(): 2", "f(3)  # f = 4", "if f == 5: pass", a=("f",)) == {"a": (1,)}
    assert at("def other_f(): ...\ndef f2(): ...", a=("f",)) == {}


def test_a_call_is_not_a_definition() -> None:
    assert at("def f(): ...", "y = f(x)", "model.f(x)", a=("f()",)) == {"a": (1,)}


def test_of_two_names_a_missing_one_is_at_the_other() -> None:
    assert at("class Encoder: ...", a=("Encoder", "Decoder")) == {"a": (0, 0)}


def test_every_cell_has_a_piece_and_a_notebook_of_thousands_stays_small() -> None:
    cells = [{"cell_type": "code", "source": "x = 1", "outputs": []}] * (MOST_CELLS + 50)
    pieces = cells_html({"cells": cells})
    assert len(pieces) == len(cells)
    assert "too many cells" in pieces[-1]


@pytest.mark.parametrize("metadata", [{"cellView": "form"}, {"jupyter": {"source_hidden": True}}])
def test_cells_that_an_editor_folds_are_folded_on_the_page(metadata: dict[str, object]) -> None:
    cells = [{"cell_type": "code", "source": "#@title Checks <b>\nx = 1", "outputs": [], "metadata": metadata}]
    (piece,) = cells_html({"cells": clean_cells(cells)[0]})
    assert Page(piece).is_inert()
    assert piece.strip().startswith('<details class="folded"><summary>Checks &lt;b&gt; (2 lines)</summary>')
    open_still = [{**cells[0], "metadata": {"jupyter": [True], "cellView": None}}]
    assert "details" not in cells_html({"cells": clean_cells(open_still)[0]})[0]


def test_a_large_picture_within_a_text_leaves_the_text_readable() -> None:
    picture = base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(60_000)).decode()
    rendered = markdown_html(
        f"**Bold**\n\n![A digit](data:image/png;base64,{picture})\n\nand (data:image/png;base64,AA)"
    )
    assert "<strong>Bold</strong>" in rendered
    assert f'<img src="data:image/png;base64,{picture}" alt="A digit">' in rendered
    assert Page(f"<div>{rendered}</div>").is_inert()


SLOW = (
    *("[" * 9000, "*a" * 9000, "<" * 9000, "`" * 9001, "$" * 9001, "> " * 9000, "![[" * 6000, "[a](" * 4000),
    *("|a" * 4000 + "\n" + "|-" * 4000, "**a*" * 4000, "\n\n    " * 3000, "\\" * 9000, "$" + "\\left(" * 200 + "$"),
)


@pytest.mark.parametrize("text", SLOW)
def test_no_markdown_keeps_the_renderer_busy(text: str) -> None:
    began = time.process_time()
    assert Page(f"<div>{markdown_html(text)}</div>").is_inert()
    assert time.process_time() - began < 20  # all of them take less than a second on a quiet machine


def test_formulas_are_drawn_by_the_browser() -> None:
    assert "<math" in markdown_html(r"where $q_\phi(z \mid x)$")
    assert 'display="block"' in markdown_html("$$a + b$$")
    assert "<code>\\frac{</code>" in markdown_html(r"$\frac{$")


def test_a_bar_shows_the_value_and_both_ends() -> None:
    page = Page(str(level_bar(MeasuredValue("share of right digits", 0.5, 0.02, 0.3, 0.75))))
    assert page.is_inert()
    [bar] = page.all("svg")
    assert bar["aria-label"] == "share of right digits: 0.5; nothing at 0.3, full points at 0.75"
    [circle] = page.all("circle")
    assert 100 < float(circle["cx"]) < 320
    for part in ("0 at 0.3", "full at 0.75", "0.5"):
        assert part in page.text


@pytest.mark.parametrize(("value", "zero", "full"), [(0.9, 0.65, 0.49), (0.1, 0.65, 0.49), (5.0, 5.0, 5.0), (0, 0, 1)])
def test_nothing_of_a_bar_lies_outside(value: float, zero: float, full: float) -> None:
    for _, attributes in Page(str(level_bar(MeasuredValue("distance", value, 0.01, zero, full)))).elements:
        for name in ("x", "cx", "width"):
            assert -1 <= float(attributes.get(name, "0")) <= 421


def test_a_value_that_is_not_a_number_has_no_bar() -> None:
    assert level_bar(MeasuredValue("distance", math.nan, 0.01, 0.65, 0.49)) == ""
