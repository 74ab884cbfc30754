"""Saved outputs against the graded run: contradictions are reported with both sides, ordinary noise never."""

from __future__ import annotations

import copy
import re
import time
from pathlib import Path
from typing import Any

import pytest
from handed_in_notebook import handed_in, restore
from hypothesis import given
from hypothesis import strategies as st
from toy_notebook import index_of
from whole_notebook import ROOT, TEMPLATE

from grader.notebook.format import is_code
from grader.notebook.printed_curves import contradictions, printed_text, read_curves
from grader.notebook.read import read_submission
from grader.notebook.restore import restore_given
from grader.notebook.saved_outputs import compare_saved
from grader.records import CellRun, CellStatus, Notebook, Remark

CURVE = [158.2, 119.05, 113.6, 111.03, 109.46, 108.37, 107.59, 106.91, 106.44, 106.03]
TRAIN = "train-model"


def stdout(text: str) -> dict[str, Any]:
    return {"output_type": "stream", "name": "stdout", "text": text}


def error(name: str = "NameError") -> dict[str, Any]:
    return {"output_type": "error", "ename": name, "evalue": "name 'x' is not defined", "traceback": []}


def curve(values: list[float], line: str = "epoch {n:2d}/{of}: loss {value:.2f}") -> str:
    lines = [line.format(n=n, of=len(values), value=value) for n, value in enumerate(values, start=1)]
    return "\n".join(lines) + "\n"


def run_once(saved: dict[str, list[dict[str, Any]]]) -> Notebook:
    """The toy notebook as submitted, run from top to bottom with these outputs."""
    notebook = handed_in()
    for count, cell in enumerate(filter(is_code, notebook["cells"]), start=1):
        cell |= {"execution_count": count, "outputs": saved.get(cell["id"], [])}
    return notebook


def remarks(
    saved: Notebook, again: dict[str, list[dict[str, Any]]], statuses: dict[str, str] | None = None
) -> tuple[Remark, ...]:
    restored = restore(copy.deepcopy(saved))
    executed = copy.deepcopy(restored.notebook)
    runs = []
    for index, cell in enumerate(executed["cells"]):
        if is_code(cell) and (status := (statuses or {}).get(cell["id"], "ok")) != "left out":
            cell["outputs"] = again.get(cell["id"], [])
            runs.append(CellRun(index, status, 1.0))
    return compare_saved(saved, restored, executed, runs)


def remarks_on_training(saved: str, again: str, status: str = "ok") -> tuple[Remark, ...]:
    return remarks(run_once({TRAIN: [stdout(saved)]}), {TRAIN: [stdout(again)]}, {TRAIN: status})


def test_the_reference_s_own_outputs_fit_a_run_with_other_seeds(tmp_path: Path) -> None:
    submission = read_submission(ROOT / "reference" / "vae_mnist.ipynb", max_mb=20, max_cells=100)
    restored = restore_given(submission.notebook, TEMPLATE)
    runs = [CellRun(i, CellStatus.OK, 1.0) for i, cell in enumerate(restored.notebook["cells"]) if is_code(cell)]
    assert compare_saved(submission.notebook, restored, restored.notebook, runs) == ()
    ends: list[float] = []

    def trained_again(factor: float) -> tuple[Remark, ...]:
        """What is reported of a run whose losses are the saved ones times the factor."""
        ends.clear()
        executed = copy.deepcopy(restored.notebook)
        for cell in executed["cells"]:
            if cell["id"] in ("train-vae", "train-cvae"):
                printed_text = "".join(output.get("text", "") for output in cell["outputs"])
                losses = [float(loss) for loss in re.findall(r"loss ([0-9.]+)", printed_text)]
                ends.append(losses[-1])
                cell["outputs"] = [stdout(curve([loss * factor for loss in losses]))]
        return compare_saved(submission.notebook, restored, executed, runs)

    assert trained_again(0.993) == ()  # as far as the mean of ten seeds is from these outputs, and more
    assert trained_again(0.93) == ()  # as far as the conditional part's end is from the other's
    remarks_of_run = trained_again(1.5)
    assert [(remark.kind, remark.needs_person) for remark in remarks_of_run] == [("outputs_differ", True)] * 2
    for remark, end in zip(remarks_of_run, ends, strict=True):
        assert f"the submitted value ends at {end:.2f}, this run's at {end * 1.5:.2f}" in remark.message


@pytest.mark.parametrize(
    "again",
    [
        [value * 1.03 for value in CURVE],
        [CURVE[0] * 1.2, *CURVE[1:]],  # one unlucky epoch
        [*CURVE[:4], 130.0, *CURVE[5:]],
    ],
)
def test_noise_does_not_count_as_a_contradiction(again: list[float]) -> None:
    assert remarks_on_training(curve(CURVE), curve(again)) == ()


@pytest.mark.parametrize(
    ("saved", "again", "says"),
    [
        (CURVE, [value * 1.3 for value in CURVE], "the submitted value ends at 106.03, this run's at 137.84"),
        ([60.0] * 10, CURVE, "the submitted value ends at 60.00, this run's at 106.03"),
        (CURVE, [206.0] * 9 + [float("nan")], "this run's at nan"),
        ([400.0 - 29.4 * n for n in range(11)], [*CURVE, 106.0], "values differ"),
        (CURVE, CURVE[:3], "10 values were submitted, this run printed 3"),
        (CURVE[:3], CURVE, "3 values were submitted, this run printed 10"),
        (CURVE, [], "this run printed no such value"),
    ],
)
def test_contradictions_are_reported_with_both_sides(saved: list[float], again: list[float], says: str) -> None:
    (remark,) = remarks_on_training(curve(saved), curve(again))
    assert (remark.kind, remark.cell, remark.needs_person) == ("outputs_differ", index_of(handed_in(), TRAIN), True)
    assert says in remark.message
    assert remark.message.endswith("; please check.")
    assert (remark.beside[0].what, remark.beside[0].saved) == (
        f"loss, 1 of {max(len(saved), len(again))}",
        f"{saved[0]:.2f}",
    )
    assert {row.again for row in remark.beside} >= {f"{value:.2f}" for value in again[-1:]}


@pytest.mark.parametrize(
    "line",
    [
        "Epoch {n} | recon {value:.4f} | time 3.2s",
        "[{n}/{of}] train_loss={value:.3f}",
        "{n}: KLD {value:.1f}",
        "epoch {n}: -elbo = {value:e}",
    ],
)
def test_other_ways_of_printing_a_loss_are_recognised(line: str) -> None:
    half = [value / 2 for value in CURVE]
    assert remarks_on_training(curve(CURVE, line), curve(CURVE, line)) == ()
    assert [remark.kind for remark in remarks_on_training(curve(CURVE, line), curve(half, line))] == ["outputs_differ"]


@pytest.mark.parametrize(
    ("saved", "again"),
    [
        ("", curve(CURVE)),
        ("done in 12.5 s\n", "done in 99.1 s\n"),
        ("epoch 1, 3.1 s\nepoch 2, 3.2 s\n", "epoch 1, 9.1 s\nepoch 2, 9.9 s\n"),
        ("loss after 10 epochs\n", "loss after 20 epochs\n"),
        ("accuracy 0.91\n", "accuracy 0.31\n"),
        ("\n".join(f"kl {value:.7f}" for value in (25.0, 3e-5, 2e-6)), "kl 25.1\nkl 0.0000004\nkl 0.000009"),
    ],
)
def test_numbers_other_than_losses_give_no_contradiction(saved: str, again: str) -> None:
    assert [remark.kind for remark in remarks_on_training(saved, again) if remark.kind == "outputs_differ"] == []


def test_a_final_number_is_compared_more_loosely() -> None:
    assert remarks_on_training("final loss: 106.0\n", "final loss: 120.0\n") == ()
    (remark,) = remarks_on_training("final loss: 106.0\n", "final loss: 180.0\n")
    assert [(row.what, row.saved, row.again) for row in remark.beside] == [("final loss", "106.0", "180.0")]


def test_a_run_that_was_cut_short_is_compared_up_to_its_end() -> None:
    assert remarks_on_training(curve(CURVE), curve(CURVE)[:60], "timeout") == ()
    assert [
        r.kind
        for r in remarks_on_training(curve(CURVE), curve([900.0] * 3, "epoch {n:2d}/10: loss {value:.2f}"), "timeout")
    ] == ["outputs_differ"]
    assert remarks_on_training(curve(CURVE), "", "died") == ()


def test_cells_that_were_left_out_of_the_run_are_not_compared() -> None:
    assert remarks_on_training(curve(CURVE), "", "left out") == ()


def test_errors_on_one_side_alone_are_reported() -> None:
    saved, bare = run_once({TRAIN: [error()]}), run_once({TRAIN: [stdout(curve(CURVE))]})
    (remark,) = remarks(saved, {TRAIN: [stdout("x")]})
    assert (remark.kind, remark.needs_person) == ("error_differs", False)
    assert (
        "was submitted with an error (NameError: name 'x' is not defined) that did not occur in this run"
        in remark.message
    )
    (remark,) = remarks(bare, {TRAIN: [error("ModuleNotFoundError")]}, {TRAIN: "error"})
    assert (remark.kind, remark.needs_person) == ("error_differs", True)
    assert (remark.beside[0].saved, remark.beside[0].again.split(":")[0]) == ("none", "ModuleNotFoundError")
    assert remarks(saved, {TRAIN: [error()]}, {TRAIN: "error"}) == ()


def test_outputs_that_were_cleared_or_never_made_are_reported_once() -> None:
    notebook = run_once({})
    (remark,) = remarks(notebook, {TRAIN: [stdout("x")], "setup": [stdout("on cpu")]})
    assert remark.message == "Cells 2, 9 were submitted without the outputs that this run shows."
    notebook["cells"][index_of(notebook, TRAIN)]["execution_count"] = None
    (remark,) = remarks(notebook, {TRAIN: [stdout("x")]})
    assert remark.message == "Cell 9 was submitted without having been run; in this run there were outputs."
    for cell in filter(is_code, notebook["cells"]):
        cell["execution_count"] = None
    assert remarks(notebook, {TRAIN: [stdout("x")]}) == ()  # the reader of the file has said so already


@pytest.mark.parametrize("counts", [(3, 2), (2, 2)])
def test_execution_counts_out_of_order_are_reported_without_manual_review(counts: tuple[int, int]) -> None:
    notebook = run_once({})
    first, second = (cell for cell in notebook["cells"] if cell["id"] in ("model", "train"))
    first["execution_count"], second["execution_count"] = counts
    remark = next(r for r in remarks(notebook, {}) if r.kind == "cells_run_out_of_order")
    assert "do not come from a single run from top to bottom" in remark.message
    assert not remark.needs_person


def test_gaps_between_execution_counts_are_not_reported() -> None:
    notebook = run_once({})
    for cell in filter(is_code, notebook["cells"]):
        cell["execution_count"] *= 7
    assert remarks(notebook, {}) == ()


@given(st.text(max_size=400) | st.text("loss 0123456789.e-+#\r\n/:naif", max_size=400), st.booleans())
def test_no_text_breaks_the_comparison(text: str, complete: bool) -> None:
    differences = list(contradictions(read_curves(text), read_curves(text[::-1]), is_complete=complete))
    assert all(len(one.rows) <= 9 for one in differences)
    assert list(contradictions(read_curves(text), read_curves(text), is_complete=complete)) == []


def test_a_flood_costs_neither_time_nor_space() -> None:
    started = time.perf_counter()
    floods = ["loss 1.5\n" * 2_000_000, "9" * 20_000_000, "loss 1.5 " * 2_000_000, "\r" * 20_000_000, "1e" * 10_000_000]
    for flood in floods:
        text, whole = printed_text([stdout(flood)])
        assert not whole
        assert sum(map(len, read_curves(text).values())) <= 5000
    many = "\n".join(f"{chr(97 + n % 26) * (n // 26 + 1)} loss 1.5" for n in range(3000))
    assert len(read_curves(many)) <= 40
    assert time.perf_counter() - started < 20


def test_output_of_other_cells_does_not_prevent_the_comparison_of_training() -> None:
    notebook = run_once({TRAIN: [stdout(curve(CURVE))]})
    flood = {"cell_type": "code", "metadata": {}, "source": "print()", "execution_count": 1, "outputs": []}
    flood["outputs"] = [stdout("x" * 299_000)]
    notebook["cells"] = [*({**flood, "id": f"flood{n}"} for n in range(20)), *notebook["cells"]]
    floods = {f"flood{n}": flood["outputs"] for n in range(20)}
    worse = [value * 1.5 for value in CURVE]
    all_remarks = remarks(notebook, {TRAIN: [stdout(curve(worse))], **floods})
    differ = [remark for remark in all_remarks if remark.kind == "outputs_differ"]
    assert [remark.cell for remark in differ] == [20 + index_of(handed_in(), TRAIN)]
    (left_out,) = (remark for remark in all_remarks if remark.kind == "outputs_not_compared")
    assert "were not compared with the saved outputs" in left_out.message
    assert not left_out.needs_person


@pytest.mark.parametrize("pieces", [[400_000], [299_999, 2, 400_000], [1000] * 5000])
def test_only_a_limited_part_of_printed_text_is_read(pieces: list[int]) -> None:
    text, whole = printed_text([stdout("x" * length) for length in pieces])
    assert len(text) == 300_000
    assert not whole
