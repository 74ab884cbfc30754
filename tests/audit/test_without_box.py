"""Grading without a box gives the same verdicts as a box, and reports entries that cannot be graded."""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest

from grader.audit import corpus, without_box
from grader.audit.runs import SEED
from grader.audit.without_box import grade_without_box
from grader.grading.run import Case, box_pool, run_submission
from grader.grading.verdicts import item_verdicts
from grader.notebook.restore import restore_given
from grader.records import ItemVerdict
from grader.rubric import load_rubric

RUBRIC = corpus.ROOT / "rubric.yaml"
ENTRIES = ("decoder_ignores_z", "labels_shuffled", "uniform_prior")


def points(items: Iterable[ItemVerdict]) -> dict[str, tuple[str, int, str]]:
    return {f"{i.id}: {c.id}": (c.outcome, c.points_milli, c.message) for i in items for c in i.checks}


@pytest.mark.whole
def test_quick_verdicts_are_those_of_a_box() -> None:
    unboxed = grade_without_box(ENTRIES, RUBRIC)
    assert unboxed.broken == {}
    rubric, exercise = load_rubric(RUBRIC)
    folders = exercise.prepare(lambda _: None)
    questions = exercise.questions(np.random.default_rng(int(SEED, 16)), rubric.sizes)
    for name in ENTRIES:
        notebook = corpus.build(name)
        restored = restore_given(notebook, notebook)
        with box_pool(exercise, rubric.limits, folders, "bubblewrap") as boxes:
            run = run_submission(Case(restored, rubric, exercise, questions, boxes), lambda _: None, parts=())
        boxed = points(item_verdicts(run.evidence, rubric, exercise.checks))
        assert points(unboxed.verdicts[name]) == boxed, name
        assert "failed" in {outcome for outcome, _, _ in boxed.values()}


def test_a_child_that_exits_early_leaves_a_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def ends(*_: object) -> None:
        raise SystemExit("no evidence")

    monkeypatch.setattr(without_box, "_warm", [None])
    monkeypatch.setattr(without_box, "_evidence", ends)
    why = without_box.answer_in_child("uniform_prior", tmp_path / "evidence.safetensors")
    assert why.startswith("the child ended with exit code 1")


def test_a_child_that_takes_too_long_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(without_box, "_warm", [None])
    monkeypatch.setattr(without_box, "CHILD_S", 0.3)
    monkeypatch.setattr(without_box, "_evidence", lambda *_: time.sleep(60))
    why = without_box.answer_in_child("uniform_prior", tmp_path / "evidence.safetensors")
    assert why == "did not finish within 0.3 s"
