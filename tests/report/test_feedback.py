"""A student's page shows the reason for each lost check beside its cell, and nothing that is meant for staff."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable
from dataclasses import replace

import pytest
from page_reader import Page
from PIL import Image
from report_samples import EVIL, borderline, check, empty, figures, hostile, item, middling, perfect, report_of

from grader.records import LEFT_OUT, CellRun, CellStatus, GradeReport, ItemVerdict, Notebook, Outcome
from grader.report.notebook_view import make_view
from grader.report.pages import feedback_html, report_html
from grader.report.student_text import feedback_text

NAMES = {"vae.encoder_decoder": ("Encoder", "Decoder"), "vae.loss": ("vae_loss",)}


def code(source: str, *outputs: dict[str, object]) -> dict[str, object]:
    return {"cell_type": "code", "metadata": {}, "source": source, "outputs": list(outputs), "execution_count": 1}


def notebook(*cells: dict[str, object]) -> Notebook:
    return {"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": list(cells)}


def encoder_lost() -> GradeReport:
    checks = (
        check("vae", 2000, 0, id="encoder_gives_mu_and_logvar", message="expected two tensors, got 1"),
        check(
            "vae",
            3000,
            0,
            id="decoder_gives_images",
            message="expected values in [0, 1]",
            hint="What ends the decoder?",
        ),
        check("layers_are_nonlinear", 1000, 1),
    )
    one = ItemVerdict("vae.encoder_decoder", "Encoder and decoder", Outcome.PARTIAL, 1000, 6000, checks)
    return report_of((one, item("vae.loss", 5, "Losses", (1, 1))))


VIEW = make_view(
    notebook(
        {"cell_type": "markdown", "metadata": {}, "source": "# Networks\n$\\mu$ and more"},
        code("class Encoder(nn.Module):\n    pass"),
        code("class Decoder(nn.Module):\n    pass"),
        code("def vae_loss(x):\n    return x"),
        code("1 / 0"),
    ),
    NAMES,
    (CellRun(4, CellStatus.ERROR, 0.1, "ZeroDivisionError: division by zero"),),
)


@pytest.mark.parametrize("sample", [perfect, middling, empty, hostile, borderline, encoder_lost])
def test_nothing_is_loaded_nothing_runs_and_ids_are_unique(sample: Callable[[], GradeReport]) -> None:
    page = Page(feedback_html(sample(), figures(1), VIEW, NAMES))
    assert page.is_inert(scripts=1)
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert {link["href"][1:] for link in page.all("a")} <= set(ids)


def test_each_remark_is_beside_its_cell() -> None:
    html = feedback_html(encoder_lost(), (), VIEW, NAMES)
    cells = [piece.partition('id="cell-')[2] for piece in html.split('<div class="cell ')[1:]]
    assert [cell[0] for cell in cells] == list("12345")
    assert "Expected two tensors, got 1." in cells[1]
    assert "Expected values in [0, 1]." in cells[2]
    assert "two tensors" not in cells[2]
    assert "1 / 6" in cells[1]
    assert "1 / 6" not in cells[2]
    assert "Correct." in cells[3]
    assert "This cell stopped with an error: ZeroDivisionError: division by zero." in cells[4]
    assert 'class="remarks' not in cells[0]


def test_every_reason_is_reported_once_with_its_hint() -> None:
    same = [check(f"c{n}", 1000, 0, message="not written yet", hint="Fill it in.") for n in range(3)]
    one = ItemVerdict("x", "X", Outcome.FAILED, 0, 3000, tuple(same))
    html = feedback_html(report_of((one,)))
    assert html.count("Not written yet.") == 1
    assert html.count("Fill it in.") == 1
    assert html.count("0 / 1") == 3


@pytest.mark.parametrize("sample", [middling, borderline, perfect])
def test_no_number_seed_or_place_that_staff_see_is_shown(sample: Callable[[], GradeReport]) -> None:
    report = replace(sample(), device="cuda (NVIDIA H100 80GB)", seed="0123456789abcdef" * 2)
    pages = feedback_html(report, figures(1), VIEW, NAMES) + feedback_text(report)
    levels = [c.level for i in report.items for c in i.checks if c.level]
    hidden = [report.seed, "H100", *report.checksums.values()]
    hidden += [name for i in report.items for c in i.checks for name in c.measured if "_" in name]
    hidden += [f"{end:.4g}" for level in levels for end in (level.value, level.standard_error)]
    assert levels or sample is not borderline
    for secret in hidden:
        assert secret not in pages, secret
    assert "full at" not in pages


def test_paths_of_the_machine_do_not_leave_it() -> None:
    where = "/srv/courses/grader/.venv/lib/python3.11/site-packages/torch/nn/modules/module.py"
    lost = check("x", 1000, 0, message=f"raised ValueError in {where}")
    one = ItemVerdict("x", "X", Outcome.FAILED, 0, 1000, (lost,))
    output = {"output_type": "stream", "name": "stderr", "text": f"  File {where}, line 3\n"}
    view = make_view(notebook(code("x", output)), {}, (CellRun(0, CellStatus.ERROR, 0.1, f"OSError: {where}"),))
    pages = feedback_html(report_of((one,)), (), view) + feedback_text(report_of((one,)))
    assert "/srv" not in pages
    assert "module.py" in pages


def test_pictures_for_staff_are_not_shown_to_students() -> None:
    open_one, secret = figures(2)
    secret = replace(secret, for_staff=True, title="Nearest training images")
    html = feedback_html(perfect(), (open_one, secret))
    assert open_one.title in html
    assert secret.title not in html
    assert secret.title in report_html(perfect(), (open_one, secret))


def test_checks_that_were_not_graded_are_not_shown_as_lost() -> None:
    left_out = replace(check("y", 4000, 0), outcome=Outcome.SKIPPED, message=LEFT_OUT)
    part = ItemVerdict("p", "Partly", Outcome.PARTIAL, 1000, 5000, (check("x", 1000, 1), left_out))
    none = ItemVerdict("n", "Not at all", Outcome.SKIPPED, 0, 4000, (left_out,))
    report = report_of((part, none))
    text = feedback_text(report)
    assert text.startswith(f"{report.submission}: 1 / 1\n")
    assert "All 1 item earned full points. Not graded in this run: 8 points." in text
    assert "Partly: 1 / 1" in text
    assert "Not at all: –" in text
    page = Page(feedback_html(report))
    assert "1 of 1 points" in " ".join(page.text.split())
    assert "◐" not in page.text
    assert not any("open" in details for details in page.all("details"))


def test_the_text_form_says_the_same() -> None:
    text = feedback_text(encoder_lost())
    for part in ("6 / 11", "Encoder and decoder: 1 / 6", "expected two tensors, got 1", "Hint: What ends the decoder?"):
        assert part in text
    assert max(map(len, text.splitlines())) < 700
    assert "\x1b" not in feedback_text(hostile())


def evil_cells() -> list[dict[str, object]]:
    buffer = io.BytesIO()
    Image.new("L", (3, 3)).save(buffer, "PNG")
    picture = base64.b64encode(buffer.getvalue()).decode()

    def display(kind: str, content: object) -> dict[str, object]:
        return {"output_type": "display_data", "metadata": {}, "data": {kind: content}}

    markdown = [
        "<script>alert(1)</script><img src=x onerror=alert(1)>",
        "[a](javascript:alert(1)) ![b](https://example.invalid/x.png) <https://example.invalid>",
        "![c](data:text/html;base64,PHNjcmlwdD4=) ![d](data:image/svg+xml;base64,PHN2Zz4=)",
        "$\\text{<script>alert(1)</script>}$ $$\\href{javascript:alert(1)}{x}$$ $" + "{" * 900 + "$",
        "<style>*{display:none}</style></div></section></body>",
        "kept0e " + EVIL,
        "```html\n<script>alert(2)</script>\n```\n\n| a | <b onclick=x> |\n|---|---|\n| 1 | 2 |",
    ]
    return [
        *({"cell_type": "markdown", "metadata": {}, "source": text} for text in markdown),
        {"cell_type": "raw", "metadata": {}, "source": "<script>alert(3)</script>"},
        {
            "cell_type": "markdown",
            "metadata": {},
            "source": "![x](attachment:a.png) ![y](attachment:b) ![z](attachment:none)",
            "attachments": {"a.png": {"image/png": picture}, "b": {"text/html": "PHNjcmlwdD4="}},
        },
        code(
            "'</pre><script>alert(4)</script>'",
            display("text/html", "<script>alert(5)</script>"),
            display("image/svg+xml", "<svg onload=alert(6)>"),
            display("image/png", '"><script>alert(7)</script>'),
            display("image/png", base64.b64encode(b"<script>").decode()),
            display("image/png", [picture]),
            display("image/jpeg", 7),
            display("text/plain", "</pre><script>alert(8)</script>"),
            {"output_type": "stream", "text": "\x1b]0;title\x07" + EVIL + "x" * 100_000},
            {"output_type": "error", "ename": "</pre><b>", "evalue": EVIL, "traceback": ["<b>"]},
            {"output_type": "stream"},
        ),
    ]


def test_a_hostile_notebook_is_shown_as_text() -> None:
    view = make_view(notebook(*evil_cells()), NAMES, ())
    html = feedback_html(perfect(), (), view, NAMES)
    page = Page(html)
    assert page.is_inert(scripts=1)
    assert len(page.all("img")) == 2
    assert "alert(4)" in page.text
    assert "alert(5)" not in page.text
    assert "\x1b" not in html
    assert len(html) < 200_000


def test_too_many_and_too_large_pictures_are_left_out() -> None:
    large = base64.b64encode(b"\x89PNG\r\n\x1a\n" + b"x" * 1_500_000).decode()
    display = {"output_type": "display_data", "metadata": {}, "data": {"image/png": large}}
    view = make_view(notebook(code("x", *[display] * 8)), {}, ())
    assert view.cells[0].count("<img") == 3
    assert view.cells[0].count("cut: a picture") == 5


@pytest.mark.parametrize(
    ("printed", "drawn"),
    [
        ("10%\r20%\r100%\ndone", "100%\ndone"),
        ("10%\r20%\r100%\r\ndone\r\n", "100%\ndone\n"),
        ("\rone\r\r\ntwo\r", "one\ntwo"),
        ("\x1b[0;31mred\x1b[0m", "red"),
    ],
)
def test_of_a_progress_bar_only_its_last_state_is_shown(printed: str, drawn: str) -> None:
    view = make_view(notebook(code("x", {"output_type": "stream", "name": "stdout", "text": printed})), {}, ())
    output = view.cells[0].partition('<div class="outputs"><pre>')[2].partition("</pre>")[0]
    assert output.rstrip("\n") == drawn.rstrip("\n")


def test_text_that_is_cut_says_so_and_is_complete_up_to_there() -> None:
    def display(text: str) -> dict[str, object]:
        return {"output_type": "display_data", "metadata": {}, "data": {"text/plain": text}}

    many = code("x", *[display(f"number {n}") for n in range(1000)])
    long = code("x", display("y" * 7000))
    texts = [{"cell_type": "markdown", "metadata": {}, "source": f"*{n}* " + "z " * 3000} for n in range(12)]
    raw = {"cell_type": "raw", "metadata": {}, "source": "r" * 30_000}
    view = make_view(notebook(many, long, *texts, raw), {}, ())
    assert "number 199" in view.cells[0]
    assert "number 200" not in view.cells[0]
    assert "cut: 800 more outputs of this cell." in view.cells[0]
    assert "cut: the output has 7,000 characters" in view.cells[1]
    assert [f"<em>{n}</em>" in cell for n, cell in enumerate(view.cells[2:-1])] == [True] * 8 + [False] * 4
    assert all(f"{n}* z z" in cell for n, cell in enumerate(view.cells[10:-1], start=8))
    assert "cut: the cell has 30,000 characters." in view.cells[-1]


@pytest.mark.parametrize(
    ("source", "coloured"),
    [
        ("x = 1\n" * 500, True),
        ("def f():\n" + "\n" * 20 + "    return 1", True),
        ("x = 1" + "\n" * 50 + "y = 1", False),
        ("x = 1\n" + "   \n" * 50 + "y = 1", False),
        ("x = " + "a.b + " * 100 + "1", False),
        ("\n" * 30 + "x = 1", False),
    ],
)
def test_code_on_which_the_highlighter_would_take_long_is_shown_as_it_is(source: str, coloured: bool) -> None:
    piece = make_view(notebook(code(source)), {}, ()).cells[0]
    assert ("py-n" in piece) == coloured
    assert source.strip()[-5:] in piece or coloured
