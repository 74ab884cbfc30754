"""Everyday oddities around the reference cost no points, or need manual review with the reason."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from oddities import FAMILIES, NAMED_LIKE_LIBRARIES, PERSON, drawn, fresh, kinds, single
from whole_notebook import template

from grader.grading.grade import Options, grade
from grader.records import GradeReport, Outcome
from grader.report.totals import is_left_out

ROOT = Path(__file__).parents[2]
CODE_MILLI = 76_000  # all points that are there without training
MANY = 300
SOME = range(0, MANY, 13)
UNTIL_A_PERSON = "where this was graded"


def graded(notebook: object, folder: Path) -> GradeReport:
    path = folder / "submission.ipynb"
    path.write_text(json.dumps(notebook))
    return grade(path, ROOT / "rubric.yaml", folder / "run", Options(parts=()), lambda _: None)[0]


def costs(report: GradeReport) -> list[str]:
    """What is lost, and what is undecided without the reason that only the machine gives."""
    checks = [check for item in report.items for check in item.checks if not is_left_out(check)]
    wrong = [check for check in checks if check.outcome is not Outcome.PASSED]
    return [
        f"{check.id}: {check.outcome}: {check.message}"
        for check in wrong
        if check.outcome is not Outcome.NEEDS_REVIEW
        or not (UNTIL_A_PERSON in check.message or check.message.startswith("not graded, because"))
    ]


def hold(report: GradeReport, chosen: list[str]) -> None:
    assert costs(report) == [], chosen
    if not any(kind.startswith(PERSON) for kind in chosen):
        problems = [remark.message for remark in report.remarks if remark.needs_person]
        assert (report.points_milli, problems) == (CODE_MILLI, []), chosen


def test_every_kind_changes_something() -> None:
    plain = single("editors: cleared")
    texts = [json.dumps(single(kind)) for kind in kinds() if kind != "editors: cleared"]
    assert len({*texts, json.dumps(plain)}) == len(kinds())
    assert len(FAMILIES) == 11


def test_the_same_seed_draws_the_same_notebook_and_each_kind_is_drawn() -> None:
    assert [drawn(seed) for seed in range(20)] == [drawn(seed) for seed in range(20)]
    assert {kind for seed in range(MANY) for kind in drawn(seed)[1]} == set(kinds())


@pytest.mark.whole
@pytest.mark.parametrize("seed", SOME)
def test_some_drawn_notebooks_cost_nothing(seed: int, tmp_path: Path) -> None:
    notebook, chosen = drawn(seed)
    hold(graded(notebook, tmp_path), chosen)


@pytest.mark.whole
@pytest.mark.parametrize("text", ["", "raise RuntimeError('mine')"])
@pytest.mark.parametrize("ends", [False, True])
def test_files_named_like_libraries_beside_an_empty_notebook_are_not_our_fault(
    text: str, ends: bool, tmp_path: Path
) -> None:
    notebook = template()
    own = [NAMED_LIKE_LIBRARIES.format(text), *(["import os\nos._exit(1)"] if ends else [])]
    notebook["cells"][1:1] = [fresh(source) for source in own]
    report = graded(notebook, tmp_path)
    assert report.points_milli == 0
    assert {item.outcome for item in report.items} <= {Outcome.FAILED, Outcome.SKIPPED}


LAST_LINES = {
    "numbers of another width": "torch.set_default_dtype(torch.float64)",
    "half of that width": "torch.set_default_dtype(torch.bfloat16)",
    "no gradients": "torch.set_grad_enabled(False)",
}


@pytest.mark.whole
@pytest.mark.parametrize("line", LAST_LINES.values(), ids=LAST_LINES)
def test_settings_of_a_last_cell_do_not_affect_questions_that_are_asked_again(line: str, tmp_path: Path) -> None:
    notebook = single(f"{PERSON}: training on the GPU")  # its questions are asked again, after the last cell
    notebook["cells"].append(fresh(line))
    hold(graded(notebook, tmp_path), [f"{PERSON}: training on the GPU", line])


@pytest.mark.long
@pytest.mark.parametrize("seed", sorted(set(range(MANY)) - set(SOME)))
def test_three_hundred_drawn_notebooks_cost_nothing(seed: int, tmp_path: Path) -> None:
    notebook, chosen = drawn(seed)
    hold(graded(notebook, tmp_path), chosen)


@pytest.mark.long
@pytest.mark.parametrize("kind", kinds())
def test_each_oddity_alone_costs_nothing(kind: str, tmp_path: Path) -> None:
    hold(graded(single(kind), tmp_path), [kind])
