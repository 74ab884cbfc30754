"""After a mistake in one component, later items keep their points: they are graded with a correct part."""

from __future__ import annotations

from pathlib import Path

import pytest
from grading import RUBRIC, SEED

from grader.audit import corpus
from grader.grading.grade import Options, grade
from grader.notebook.format import dump_notebook

LONG = ("kl_with_wrong_sign",)


@pytest.mark.whole
@pytest.mark.parametrize(
    "name", ["likelihood_with_wrong_sign", *(pytest.param(name, marks=pytest.mark.long) for name in LONG)]
)
def test_a_single_mistake_keeps_the_later_items(name: str, tmp_path: Path) -> None:
    notebook = corpus.narrow(corpus.build(name))
    corpus.substitute(notebook, "EPOCHS = 7", "EPOCHS = 3")
    path = tmp_path / "submission.ipynb"
    path.write_text(dump_notebook(notebook), encoding="utf-8")
    part = corpus.parts_of(name)[0]
    report, _ = grade(path, RUBRIC, tmp_path / "run", Options(seed=SEED, parts=(part,)), lambda _: None)
    reconstruction = next(item for item in report.items if item.id == f"{part}.reconstruction")
    assert reconstruction.points_milli == reconstruction.max_points_milli == reconstruction.gained_milli
    assert reconstruction.lost_in == tuple(corpus.entry(name).loses)
    assert sum(check.points_milli for check in reconstruction.checks) == 0
