"""Run folders that were damaged, or sent by someone, are graded again or refused in one line."""

from __future__ import annotations

import functools
import json
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hostile_forms import FORMS, Form, check_reason
from hostile_mutations import BYTE_DAMAGE, JSON_DAMAGE, bytes_damaged, json_damaged
from hypothesis import strategies as st
from small_exercise import notebook, running
from test_hostile_evidence import STORED

from grader.errors import GraderError
from grader.evidence import load_evidence, save_evidence
from grader.grading import regrade as regrading
from grader.grading.follow_through import Replacement, Retraining
from grader.grading.grade import make_report
from grader.grading.regrade import regrade, verdicts
from grader.grading.run import NotebookRun
from grader.grading.run_pages import write_report
from grader.grading.stored_run import (
    EVIDENCE,
    EVIDENCE_CHECKSUM,
    REPORT,
    RETRAININGS,
    evidence_checksum,
    store_run,
    stored_report,
)
from grader.records import Execution, Fault, GradeReport, Outcome, Remark, Status
from grader.report.report_json import dump, read_report_json
from grader.rubric import load_rubric
from grader.skeleton.exercise.plugin import TwoNumbers

RETRAINING_EVIDENCE = f"followed-one{Path(EVIDENCE).suffix}"
TOY = TwoNumbers()


@pytest.fixture(scope="module")
def exercise(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A rubric with follow-through."""
    return running.write_exercise(tmp_path_factory.mktemp("exercise"), follow=True)


@pytest.fixture(scope="module")
def graded(exercise: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The files of a finished run: a wrong function, and a training that was graded once more without it."""
    folder = tmp_path_factory.mktemp("graded")
    rubric, toy = load_rubric(exercise)
    wrong = {**STORED.answers, "components.one/function/y": np.zeros(16, np.float32)}
    wrong["trained.one/history/history"] = np.ones(5, np.float32)
    evidence = replace(STORED, answers=wrong, faults={"components.two/function": Fault("student", "raised")})
    execution = Execution(Status.OK, 0, 1.5, 1.25, 90, "cpu", "bubblewrap", events=("cell 3 raised",))
    followed = {"one": Retraining(Replacement(("one.function",), ("double",)), "", STORED)}
    store_run(folder, NotebookRun(evidence, notebook.submission(), execution), followed)
    checksums = {"notebook": "a" * 64, EVIDENCE_CHECKSUM: evidence_checksum(folder)}
    remarks = (Remark("given_cell_changed", "Cell 3 was changed.", 3),)
    items = verdicts(folder, rubric, toy, keep=True)
    report = make_report("someone", items, rubric, execution, remarks, (), "0" * 32, checksums)
    write_report(folder, report, toy, rubric)
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture
def refilled(graded: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Gives the folder as it was, with changed files."""
    monkeypatch.setattr(os, "fsync", lambda handle: None)  # these would be done thousands of times
    monkeypatch.setattr(regrading, "grader_checksum", lambda: "b" * 64)
    monkeypatch.setattr(regrading, "versions", dict)
    monkeypatch.setattr(regrading, "load_rubric", functools.cache(load_rubric))

    def fill(**changed: bytes) -> Path:
        folder = tmp_path / "run"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        for name, content in {**graded, **{key.replace("__", "."): value for key, value in changed.items()}}.items():
            (folder / name).write_bytes(content)
        return folder

    return fill


def check(folder: Path, rubric_path: Path) -> None:
    """The property: one line, or a report whose points the rubric allows; the same for the folder's verdicts alone."""
    rubric, toy = regrading.load_rubric(rubric_path)
    allowed = {item.id: item.points_milli for item in rubric.items}
    for grading in (lambda: verdicts(folder, rubric, toy), lambda: regrade(folder, rubric_path).items):
        try:
            with np.errstate(all="ignore"):
                items = grading()
        except GraderError as error:
            check_reason(str(error))
        else:
            assert [item.id for item in items] == list(allowed)
            assert all(0 <= item.points_milli <= allowed[item.id] for item in items)


def test_an_untouched_folder_gives_the_same_points_again(refilled: Callable[..., Path], exercise: Path) -> None:
    folder = refilled()
    before = stored_report(folder)
    again = regrade(folder, exercise)
    assert [item.points_milli for item in again.items] == [item.points_milli for item in before.items]
    assert before.items[1].gained_milli > 0
    assert before.remarks[0].cell == 3


@FORMS
def test_a_folder_with_damaged_json_is_graded_or_refused(
    form: Form, refilled: Callable[..., Path], graded: dict[str, bytes], exercise: Path
) -> None:
    files = [REPORT] * 3 + [RETRAININGS]

    def damaged(example: tuple[str, Any]) -> None:
        name, damage = example
        content = json.dumps(json_damaged(graded[name].decode(), damage)).encode()
        check(refilled(**{name.replace(".", "__"): content}), exercise)

    form.holds(st.tuples(st.sampled_from(files), JSON_DAMAGE), damaged)


@FORMS
def test_a_folder_with_damaged_bytes_is_graded_or_refused(
    form: Form, refilled: Callable[..., Path], graded: dict[str, bytes], exercise: Path
) -> None:
    def damaged(example: tuple[str, Any]) -> None:
        name, damage = example
        check(refilled(**{name.replace(".", "__"): bytes_damaged(graded[name], damage)}), exercise)

    form.holds(st.tuples(st.sampled_from([REPORT, RETRAININGS, EVIDENCE, RETRAINING_EVIDENCE]), BYTE_DAMAGE), damaged)


@FORMS
def test_a_damaged_report_is_read_or_refused(form: Form, graded: dict[str, bytes]) -> None:
    def damaged(damage: Any) -> None:
        try:
            report = read_report_json(json.dumps(json_damaged(graded[REPORT].decode(), damage)).encode())
        except GraderError as error:
            check_reason(str(error))
            return
        assert isinstance(report, GradeReport)
        assert read_report_json(dump(report)) == report or "NaN" in repr(report) or "nan" in repr(report)

    form.holds(JSON_DAMAGE, damaged)


PLACED: dict[str, Callable[[Path], object]] = {
    "missing": lambda path: None,
    "a folder": lambda path: path.mkdir(),
    "a link": lambda path: path.symlink_to("/etc/hostname"),
    "a link that leads nowhere": lambda path: path.symlink_to("nowhere"),
    "a pipe": lambda path: os.mkfifo(path),
    "empty": lambda path: path.write_bytes(b""),
    "too large": lambda path: path.touch() or os.truncate(path, 1 << 40),
    "NUL bytes": lambda path: path.write_bytes(bytes(5000)),
    "deep lists": lambda path: path.write_bytes(b"[" * 200_000),
}


@pytest.mark.parametrize("place", PLACED)
@pytest.mark.parametrize("name", [REPORT, RETRAININGS, EVIDENCE, RETRAINING_EVIDENCE])
def test_special_files_are_refused_without_waiting(
    name: str, place: str, refilled: Callable[..., Path], exercise: Path
) -> None:
    folder = refilled()
    (folder / name).unlink()
    PLACED[place](folder / name)
    before = sorted(path.name for path in folder.iterdir())
    with pytest.raises(GraderError) as refused:
        regrade(folder, exercise)
    check_reason(str(refused.value))
    assert sorted(path.name for path in folder.iterdir()) == before


def test_evidence_that_is_not_the_reports_own_is_refused(refilled: Callable[..., Path], exercise: Path) -> None:
    better = save_evidence(STORED)
    folder = refilled(**{EVIDENCE.replace(".", "__"): better})
    load_evidence(folder / EVIDENCE)
    with pytest.raises(GraderError, match=r"does not match the evidence file; grade the notebook again$"):
        regrade(folder, exercise)


@pytest.mark.parametrize("part", ["../../../etc/passwd", "a/b", "", "a\0b", "one.two", "x" * 300])
def test_a_part_that_is_not_a_name_leads_to_no_other_file(
    part: str, refilled: Callable[..., Path], exercise: Path
) -> None:
    folder = refilled(followed__json=json.dumps({part: ["one.function"]}).encode())
    with pytest.raises(GraderError, match="not a file of this grader") as refused:
        regrade(folder, exercise)
    check_reason(str(refused.value))


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"points": 100}, "do not add up"),
        ({"wall_s": "nan"}, "not finite"),
        ({"wall_s": 1e400}, "not finite"),
        ({"points": "\x1b[2J"}, "expected a number"),
        ({"remarks": [{"kind": 1}]}, "remarks"),
        ({"checksums": {"a\nb\x1b[2J": 7}}, "checksums"),
    ],
)
def test_a_report_that_no_grader_writes_is_refused(
    changes: dict[str, Any], says: str, graded: dict[str, bytes]
) -> None:
    with pytest.raises(GraderError, match=says) as refused:
        read_report_json(json.dumps({**json.loads(graded[REPORT]), **changes}).encode())
    check_reason(str(refused.value))


def test_more_points_than_an_item_has_are_refused(graded: dict[str, bytes]) -> None:
    values = json.loads(graded[REPORT])
    values["items"][0]["points"] = values["points"] = 99
    with pytest.raises(GraderError, match="more points than there are"):
        read_report_json(json.dumps(values).encode())


def test_a_second_run_in_the_same_folder_leaves_nothing_of_the_first(
    refilled: Callable[..., Path], exercise: Path
) -> None:
    folder = refilled()
    execution = Execution(Status.OK, 0, 1, 1, 90, "cpu", "bubblewrap")
    store_run(folder, NotebookRun(replace(STORED, answers={}), notebook.template(), execution), {})
    assert sorted(path.name for path in folder.iterdir()) == [
        "evidence.json",
        EVIDENCE,
        "executed.ipynb",
        "execution.json",
    ]
    with pytest.raises(GraderError, match=f"{REPORT}: no such file"):
        regrade(folder, exercise)
    rubric, toy = load_rubric(exercise)
    assert all(item.outcome is not Outcome.PASSED for item in verdicts(folder, rubric, toy))
