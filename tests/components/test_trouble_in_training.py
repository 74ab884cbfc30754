"""Training that crashes, hangs or ends the process costs no component in either part, and is in the report.

The trouble starts with the notebook's own training only, whose loader is long: the code itself is right.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from grading import LOOP, RUBRIC, graded, lost

from grader.audit import corpus
from grader.records import GradeReport, Outcome

REAL = "if len(loader) > 100:\n    "
RAISES = REAL + "raise MemoryError('no room')\n"
ENDS = REAL + "import os; os._exit(0)\n"
EXITS = REAL + "raise SystemExit\n"
HANGS = "while len(loader) > 100:\n    pass\n"
STUBBORN = """\
while len(loader) > 100:
    try:
        while True:
            pass
    except BaseException:
        pass
"""
SLOW = "if len(loader) > 100:\n    import time; time.sleep(1)\n"  # it makes steps, and no end
EVENT_TEXTS = {
    RAISES: "raised MemoryError: no room",
    ENDS: "ended the Python process",
    EXITS: "raised SystemExit",
    SLOW: "did not finish: stopped after",
    HANGS: "did not finish: stopped after",
    STUBBORN: "did not finish: stopped after",
}


@pytest.mark.whole
@pytest.mark.parametrize(
    ("vae", "cvae"),
    [
        pytest.param(RAISES, ENDS, id="raise, end"),
        pytest.param(HANGS, RAISES, id="hang, raise"),
        pytest.param(RAISES, SLOW, id="raise, slow"),
        pytest.param(ENDS, STUBBORN, id="end, stubborn", marks=pytest.mark.long),
        pytest.param(STUBBORN, EXITS, id="stubborn, exit", marks=pytest.mark.long),
    ],
)
def test_training_that_fails_costs_no_component(vae: str, cvae: str, tmp_path: Path) -> None:
    report = trained_with(vae, cvae, 25 if {vae, cvae} & {HANGS, STUBBORN, SLOW} else 600, tmp_path)
    assert lost(report) == {}, report.events
    undecided = {item.id for item in report.items if item.outcome is Outcome.NEEDS_REVIEW}
    assert undecided == (
        {"cvae.reconstruction", "cvae.generation"} if cvae is SLOW else set()
    )  # the machine may be slow
    assert report.needs_person is bool(undecided), (report.remarks, report.events)
    at = [next((i for i, e in enumerate(report.events) if EVENT_TEXTS[trouble] in e), -1) for trouble in (vae, cvae)]
    assert 0 <= at[0] < at[1], report.events  # what happened, in its order


def trained_with(vae: str, cvae: str, cell_s: float, folder: Path) -> GradeReport:
    """The report on a full run in which both training loops meet trouble."""
    rubric = yaml.safe_load(RUBRIC.read_text(encoding="utf-8"))
    rubric["limits"]["cell_s"] = cell_s
    for notebook_of in ("template", "reference"):
        rubric[notebook_of] = str(corpus.ROOT / rubric[notebook_of])
    del rubric["earlier_templates"]  # their paths are the rubric's own
    (folder / "rubric.yaml").write_text(yaml.safe_dump(rubric, sort_keys=False), encoding="utf-8")
    regions = {
        "train_vae": vae + LOOP.format(call="model(x)"),
        "train_cvae": cvae + LOOP.format(call="model(x, y)"),
    }
    notebook = corpus.changed(regions, [("EPOCHS = 7", "EPOCHS = 1")])
    return graded(notebook, folder, train=True, rubric=folder / "rubric.yaml")
