"""One mistake is reported once, with its line and a hint, and counts the checks that it cost."""

from __future__ import annotations

import pytest
from page_reader import Page
from report_samples import check, item, report_of

from grader.notebook.format import normalise
from grader.records import CellRun, CellStatus, GradeReport, ItemVerdict, Notebook, Outcome
from grader.report.lost_points import hint_on, item_losses, losses, not_written_anywhere, raised
from grader.report.notebook_view import NotebookView, make_view
from grader.report.pages import feedback_html, report_html
from grader.report.student_text import feedback_text, notebook_name
from grader.report.tracebacks import place_of_line

SHAPES = "RuntimeError: mat1 and mat2 shapes cannot be multiplied (56x28 and 7x3), in your line `h = x @ self.w`"
STUB = "NotImplementedError: {} is not implemented yet: see 'The loss', in your line `raise NotImplementedError(`"
NAMES = {"vae.encoder": ("Encoder",), "vae.loss": ("vae_loss",)}
GIVEN = ("# Setup\nRead this.", "import torch", "## The encoder")


def failed(name: str, message: str, outcome: Outcome = Outcome.FAILED) -> object:
    return check("x", 1000, 0, outcome, id=name, title=f"{name} holds.", message=message, hint="")


def lost(id: str, *messages: str) -> ItemVerdict:
    checks = [failed(f"check_{n}", message) for n, message in enumerate(messages)]
    checks.append(failed("last", "not graded, because this one failed: check_0 holds.", Outcome.SKIPPED))
    return ItemVerdict(id, f"Implement {id}", Outcome.FAILED, 0, 1000 * len(checks), tuple(checks))  # type: ignore[arg-type]


def cell(kind: str, source: str, *outputs: dict[str, object]) -> dict[str, object]:
    more = {"outputs": list(outputs), "execution_count": 1} if kind == "code" else {}
    return {"cell_type": kind, "metadata": {}, "source": source, **more}


def error(traceback: str) -> dict[str, object]:
    return {"output_type": "error", "ename": "E", "evalue": "e", "traceback": [traceback]}


def view_of(*more: dict[str, object], runs: tuple[CellRun, ...] = ()) -> NotebookView:
    cells = [
        cell("markdown", GIVEN[0]),
        cell("code", GIVEN[1]),
        cell("markdown", GIVEN[2]),
        cell("code", "class Encoder:\n    def forward(self, x):\n        h = x @ self.w\n        return h"),
        cell("code", "def vae_loss(x):\n    return x"),
        *more,
    ]
    notebook: Notebook = {"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": cells}
    return make_view(notebook, NAMES, runs, frozenset(map(normalise, GIVEN)))


def one_exception() -> GradeReport:
    return report_of((lost("vae.encoder", SHAPES, SHAPES), item("vae.loss", 5, "Losses", (1, 1))))


def test_checks_that_fail_of_one_exception_are_one_loss_with_those_that_presuppose_them() -> None:
    (loss,) = losses(lost("x", SHAPES, SHAPES).checks)
    assert loss.message == "RuntimeError: mat1 and mat2 shapes cannot be multiplied (56x28 and 7x3)"
    assert loss.raised is not None
    assert loss.raised.line == "h = x @ self.w"
    assert (len(loss.checks), loss.points) == (3, "0 / 3")
    assert "shapes" in loss.hint


def test_the_page_shows_an_exception_once_per_place_with_its_cell_line_and_hint() -> None:
    html = feedback_html(one_exception(), (), view_of(), NAMES)
    text = " ".join(Page(html).text.split())
    assert text.count("RuntimeError") == 2  # in the list of items, and in the notebook
    assert "Cell 4, line 3: h = x @ self.w" in text
    assert "Where to look Print the shapes" in text
    assert "3 checks could not be met because of this: 0 / 3" in text


def test_the_text_form_names_the_line_of_an_exception_and_a_hint() -> None:
    text = feedback_text(one_exception(), view_of())
    assert text.count("RuntimeError") == 1
    assert "Cell 4, line 3: h = x @ self.w" in text
    assert "Hint: Print the shapes here." in text
    assert "3 checks could not be met because of this (0 / 3):" in text
    assert "Your line: h = x @ self.w" in feedback_text(one_exception())  # without the notebook


def test_unwritten_code_is_reported_once_per_item_and_once_at_the_top() -> None:
    names = ("Encoder.__init__", "Encoder.forward", "vae_loss")
    items = (lost("vae.encoder", STUB.format(names[0]), STUB.format(names[1])), lost("vae.loss", STUB.format(names[2])))
    assert [loss.message for loss in item_losses(items[0])] == ["Not written yet: Encoder"]
    assert not_written_anywhere(items) == "Not written yet: Encoder, vae_loss."
    assert not_written_anywhere(items[:1]) == ""
    report = report_of(items)
    text = feedback_text(report, view_of())
    assert text.count("Not written yet: Encoder") == 2
    assert "NotImplementedError" not in text
    html = feedback_html(report, (), view_of(), NAMES)
    assert '<p class="unwritten">Not written yet: Encoder, vae_loss.</p>' in html
    assert "NotImplementedError" not in Page(html).text


def test_of_an_item_everything_unwritten_is_one_sentence() -> None:
    one = lost("vae.encoder", STUB.format("Encoder.forward"), STUB.format("Decoder.forward"))
    assert [loss.message for loss in item_losses(one)] == ["Not written yet: Encoder, Decoder"]


def test_a_syntax_error_is_named_with_its_line_on_the_page_and_in_the_text() -> None:
    traceback = "  Cell In[13], line 2\n    return x)\n            ^\nSyntaxError: unmatched ')'"
    broken = cell("code", "def vae_loss(x):\n    return x)", error(traceback))
    runs = (CellRun(5, CellStatus.ERROR, 0.1, "SyntaxError: unmatched ')' (803585583.py, line 2)"),)
    view = view_of(broken, runs=runs)
    report = report_of((lost("vae.loss", "`vae_loss` is not defined"),))
    text = feedback_text(report, view)
    page = " ".join(Page(feedback_html(report, (), view, NAMES)).text.split())
    assert "SyntaxError: unmatched ')'\n      Cell 6, line 2: return x)\n      Hint: Check brackets" in text
    assert "SyntaxError: unmatched ')' Cell 6, line 2: return x)" in page
    assert "803585583" not in text + page


def test_the_innermost_line_of_the_students_own_code_is_named() -> None:
    frames = "Cell In[9], line 1\n----> 1 train()\n\n"
    frames += "Cell In[4], line 3, in Encoder.forward(self, x)\n----> 3 h = x @ self.w\n"
    calling = cell("code", "train()", error(frames + "\nFile /srv/torch/nn.py:12, in f()\n---> 12 raise"))
    trouble = view_of(calling, runs=(CellRun(5, CellStatus.ERROR, 0.1, "E: e"),)).troubles[5]
    assert trouble.place is not None
    assert (trouble.place.cell, trouble.place.line, trouble.place.source) == (3, 3, "h = x @ self.w")


def test_a_line_that_stands_twice_has_no_place() -> None:
    assert place_of_line({0: "a = 1\nb = 2", 3: "  a = 1"}, "a = 1") is None
    assert place_of_line({0: "a = 1\nb = 2"}, "c = 3") is None


@pytest.mark.parametrize("message", ["expected: a tensor", "mu: wrong", "got 3 of 4", "Note: too far", ""])
def test_an_ordinary_reason_is_no_exception(message: str) -> None:
    assert raised(failed("x", message)) is None  # type: ignore[arg-type]


def test_every_error_has_a_hint() -> None:
    for error_line in ("NameError: name 'x'", "TypeError: 'NoneType' object", "Odd: thing", "KeyError", ""):
        assert hint_on(error_line).endswith((".", "?"))


def test_cells_without_comments_are_folded_and_provided_ones_say_so() -> None:
    view = view_of(cell("code", "z = 3"), cell("code", "y = 4"))
    html = feedback_html(one_exception(), (), view, NAMES)
    text = " ".join(Page(html).text.split())
    assert "Cells 1–3: provided · Setup · The encoder" in text
    assert "Cell 5 · def vae_loss(x) ✓ correct" in text
    assert "Cells 6–7: no comments · z = 3 · y = 4" in text
    assert html.count('<details class="cells">') == 3
    folded = "".join(piece.partition("</details>")[0] for piece in html.split('<details class="cells">')[1:])
    assert 'id="cell-4"' not in folded
    assert not any("open" in one for one in Page(html).all("details") if one.get("class") == "cells")


def test_a_hostile_line_and_title_are_text() -> None:
    evil = "</code><script>alert(1)</script>"
    report = report_of((lost("vae.encoder", f"E{evil}Error: {evil}, in your line `{evil}`", f"TypeError: {evil}"),))
    html = feedback_html(report, (), view_of(cell("code", evil), cell("markdown", f"# {evil}")), NAMES)
    assert Page(html).is_inert(scripts=1)


def test_a_page_is_named_after_the_notebook_and_not_after_the_download() -> None:
    assert notebook_name("lovelaceada_LATE_12345_678901_vae_mnist-1") == "vae_mnist"
    assert notebook_name("hopper_12345_678901_my_vae") == "my_vae"
    assert notebook_name("exercise_7") == "exercise_7"


def stub(*names: str) -> dict[str, object]:
    """A cell as the template has it, with these functions to be written."""
    lines = [
        f'def {name}(x):\n    raise NotImplementedError("{name} is not implemented yet: see the text")'
        for name in names
    ]
    return cell("code", "\n".join(lines))


def test_an_item_names_the_functions_that_its_own_cell_leaves_open_not_those_that_were_called_first() -> None:
    view = view_of(stub("vae_loss"))
    one = lost("vae.loss", STUB.format("Encoder.forward"))
    assert [loss.unwritten for loss in item_losses(one, view)] == [("vae_loss",)]
    assert [loss.unwritten for loss in item_losses(one)] == [("Encoder",)]
    text = feedback_text(report_of((one,)), view)
    assert "Not written yet: vae_loss (2 checks, 0 / 2)" in text
    assert "not written" in Page(feedback_html(report_of((one,)), (), view, NAMES)).text


def test_what_cannot_run_because_of_unwritten_code_is_not_called_a_mistake() -> None:
    unwritten = "NotImplementedError: vae_loss is not implemented yet: see the text"
    trained = cell(
        "code", "vae = train(vae_loss)\n", error(f"Cell In[2], line 1\n----> 1 vae = train(vae_loss)\n\n{unwritten}")
    )
    used = cell("code", "show(vae)")
    runs = (
        CellRun(5, CellStatus.ERROR, 0.1, unwritten),
        CellRun(6, CellStatus.ERROR, 0.1, "NameError: name 'vae' is not defined"),
    )
    view = view_of(trained, used, runs=runs)
    assert view.troubles[6].after == 5
    text = feedback_text(report_of((lost("vae.loss", "vae is not defined"),)), view)
    assert "Cell 6 needs vae_loss, which is not written yet." in text
    assert "Because of this, cell 7 stopped, too." in text
    assert "NameError" not in text


def test_a_name_whose_cell_had_no_error_stays_an_error() -> None:
    runs = (CellRun(5, CellStatus.ERROR, 0.1, "NameError: name 'vea' is not defined"),)
    view = view_of(cell("code", "show(vea)"), runs=runs)
    assert view.troubles[5].after is None
    assert "NameError" in view.troubles[5].message


def test_of_two_equal_lines_the_one_in_the_function_that_ran_is_named() -> None:
    loops = [cell("code", f"def train_{name}(x):\n    return model(x)") for name in ("vae", "cvae")]
    frames = "Cell In[9], line 1\n----> 1 train_cvae(1)\n\nCell In[4], line 2, in train_cvae(x)\n"
    frames += "----> 2     return model(x)\n"
    calling = cell("code", "train_cvae(1)", error(frames))
    trouble = view_of(*loops, calling, runs=(CellRun(7, CellStatus.ERROR, 0.1, "E: e"),)).troubles[7]
    assert trouble.place is not None
    assert (trouble.place.cell, trouble.place.line) == (6, 2)


def test_an_item_whose_parts_training_cell_stopped_says_so_and_keeps_its_own_reasons() -> None:
    source = "vae = train(1)"
    training = cell("code", source, error(f"Cell In[2], line 1\n----> 1 {source}\n"))
    runs = (CellRun(5, CellStatus.ERROR, 0.1, "TypeError: a argument is missing"),)
    names = {**NAMES, "vae.quality": ("vae",)}
    cells = [cell("code", "def vae_loss(x):\n    return x"), training]
    notebook: Notebook = {
        "nbformat": 4,
        "nbformat_minor": 5,
        "metadata": {},
        "cells": [cell("markdown", "# A"), *[cell("code", "pass")] * 3, *cells],
    }
    view = make_view(notebook, names, runs, frozenset({normalise(source)}))
    items = (lost("vae.loss", "too small"), lost("vae.quality", "no better than an untrained one"))
    text = feedback_text(report_of(items), view)
    loss, quality = text.split("Implement vae.quality", 1)
    assert "Probably because cell 6 stopped with an error (cell 6, line 1): TypeError" in loss
    assert "too small" in loss  # the item's own reason
    assert "no better than" not in quality  # follows from the item's own cell
    assert "TypeError: a argument is missing" in quality
    assert "Probably because cell 6" in Page(report_html(report_of(items), view=view)).text


def test_an_item_with_nothing_to_write_says_what_it_needs() -> None:
    unwritten = "NotImplementedError: vae_loss is not implemented yet: see the text"
    source = "vae = train(vae_loss)"
    training = cell("code", source, error(f"Cell In[2], line 1\n----> 1 {source}\n\n{unwritten}"))
    notebook: Notebook = {"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": [training]}
    runs = (CellRun(0, CellStatus.ERROR, 0.1, unwritten),)
    view = make_view(notebook, {"vae.quality": ("vae",)}, runs, frozenset({normalise(source)}))
    one = lost("vae.quality", "vae is not defined")
    assert [loss.message for loss in item_losses(one, view)] == ["Needs code that is not written yet: vae_loss"]
    assert "not ready" in Page(feedback_html(report_of((one,)), (), view, {"vae.quality": ("vae",)})).text
