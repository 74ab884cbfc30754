"""The notebook's own training is compared with the loop that was tried: its learning rates, and its lines."""

from __future__ import annotations

from pathlib import Path

import pytest
from grading import LOOP, graded, lost

from grader.audit import corpus
from grader.notebook.format import code_cell
from grader.report.words import reasons_for_person

SHRINKS = 'optimizer.param_groups[0]["lr"] *= 0.9\n'  # to a third over the few batches that are tried, to nothing later
ELSEWHERE = "if len(loader) < 100:\n{tried}else:\n{real}"


def indented(code: str) -> str:
    return "".join(f"    {line}\n" for line in code.splitlines())


@pytest.mark.whole
def test_a_rate_that_shrinks_over_real_batches_costs_points_and_other_loops_are_found(tmp_path: Path) -> None:
    with_labels = LOOP.format(call="model(x, y)")
    regions = {
        "train_vae": SHRINKS + LOOP.format(call="model(x)"),
        "train_cvae": ELSEWHERE.format(tried=indented(with_labels), real=indented(with_labels)),
    }
    report = graded(corpus.changed(regions, [("EPOCHS = 7", "EPOCHS = 1")]), tmp_path, train=True)
    ((item, (message,)),) = lost(report).items()
    assert item == "vae.training"
    assert "the learning rate shrinks until nothing is learned" in message
    (reason,) = [reason for reason in reasons_for_person(report) if "in lines that made none" in reason]
    assert reason.startswith("cvae: during the notebook's own training")


@pytest.mark.whole
def test_a_model_that_is_trained_again_elsewhere_is_reported(tmp_path: Path) -> None:
    notebook = corpus.changed({}, [("EPOCHS = 7", "EPOCHS = 1")])
    more = "exec('train_vae(vae, train_batches, torch.optim.Adam(vae.parameters(), lr=LEARNING_RATE), 1)')"
    at = next(n for n, cell in enumerate(notebook["cells"]) if cell["id"] == "train-vae")
    notebook["cells"].insert(at + 1, code_cell("own-more", more))
    reasons = reasons_for_person(graded(notebook, tmp_path, train=True))
    assert [reason.partition(":")[0] for reason in reasons if "the model's weights changed" in reason] == ["vae"]
