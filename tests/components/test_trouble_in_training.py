"""Training that crashes, hangs or ends the process costs no component, in either part, and the report says what happened.

The trouble starts with the notebook's own training only, whose loader is long: the code itself is right.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from grading import RUBRIC, graded, lost

from grader.records import GradeReport
from tests import corpus_notebooks as corpus

RIGHT = """\
x_hat, mu, logvar = {call}
loss, _, _ = vae_loss(x_hat, x, mu, logvar)
optimizer.zero_grad()
loss.backward()
optimizer.step()
"""
ENDLESS = "while len(loader) > 100:\n    pass\n"
STUBBORN = """\
while len(loader) > 100:
    try:
        while True:
            pass
    except BaseException:
        pass
"""


@pytest.mark.parametrize(
    ("trouble", "cell_s", "said"),
    [
        ("if len(loader) > 100:\n    raise MemoryError('no room')\n", 600, "raised MemoryError: no room"),
        ("if len(loader) > 100:\n    import os\n    os._exit(0)\n", 600, "ended the Python process"),
        (ENDLESS, 25, "did not finish: stopped after 25 s"),
        pytest.param(STUBBORN, 25, "did not finish: stopped after 25 s", marks=pytest.mark.long),
        pytest.param("if len(loader) > 100:\n    raise SystemExit\n", 600, "SystemExit", marks=pytest.mark.long),
    ],
    ids=["raise", "end", "endless", "stubborn", "exit"],
)
def test_training_that_fails_costs_no_component(trouble: str, cell_s: float, said: str, tmp_path: Path) -> None:
    report = trained_with(trouble, cell_s, tmp_path)
    assert lost(report) == {}, report.events
    assert not report.needs_person, (report.remarks, report.events)
    failed = [event for event in report.events if said in event]
    assert len(failed) >= 2, report.events  # one for each part


def trained_with(trouble: str, cell_s: float, folder: Path) -> GradeReport:
    """The report on a full run in which both training loops meet the trouble."""
    rubric = yaml.safe_load(RUBRIC.read_text(encoding="utf-8"))
    rubric["limits"]["cell_s"] = cell_s
    rubric["template"] = str(corpus.ROOT / rubric["template"])
    (folder / "rubric.yaml").write_text(yaml.safe_dump(rubric), encoding="utf-8")
    regions = {
        "train_vae": trouble + RIGHT.format(call="model(x)"),
        "train_cvae": trouble + RIGHT.format(call="model(x, y)"),
    }
    notebook = corpus.changed(regions, [("EPOCHS = 10", "EPOCHS = 1")])
    return graded(notebook, folder, train=True, rubric=folder / "rubric.yaml")
