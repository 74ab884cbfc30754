"""Errors that occur only on the grading machine need manual review, with the reason; other errors do not."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import pytest
from small_exercise import notebook, running

from grader.grading.machine_faults import missing_resource, with_machine_faults
from grader.grading.verdicts import item_verdicts
from grader.records import Address, Blame, CellRun, Evidence, Fault, Notebook
from grader.sandbox.in_box.frames import CellStatus
from grader.skeleton.exercise.plugin import TwoNumbers

ASKED = Address.of("components", "one", "function")
LATER = Address.of("components", "two", "function")
NO_PACKAGE = "ModuleNotFoundError: No module named 'lightning'"
CUDA = "RuntimeError: Found no NVIDIA driver on your system."


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (NO_PACKAGE, "the package lightning is not installed"),
        ("ModuleNotFoundError: No module named 'torch_xla.core'", "the package torch_xla.core is not installed"),
        (
            "ImportError: cannot import name 'v3' from 'torchvision.transforms' (a/b.py)",
            "torchvision.transforms has no v3",
        ),
        (CUDA, "the GPU is missing"),
        ("AssertionError: Torch not compiled with CUDA enabled", "the GPU is missing"),
        ("RuntimeError: PyTorch is not linked with support for mps devices", "the GPU is missing"),
        ("RuntimeError: Attempting to deserialize object on a CUDA device but it is False", "the GPU is missing"),
        ("URLError: <urlopen error [Errno -3] Temporary failure in name resolution>", "there is no network access"),
        ("ConnectionError: HTTPSConnectionPool(host='x'): Max retries exceeded", "there is no network access"),
        ("LocalEntryNotFoundError: outgoing traffic has been disabled", "there is no network access"),
        ("FileNotFoundError: [Errno 2] No such file or directory: 'weights.pt'", "the file is missing"),
        ("OSError: [Errno 30] Read-only file system: '/data'", "the folder cannot be written"),
        ("TclError: no display name and no $DISPLAY environment variable", "there is no screen"),
        ("ExecutableNotFound: failed to execute 'dot'", "the program is missing"),
        ("NameError: name 'np' is not defined", ""),
        ("RuntimeError: mat1 and mat2 shapes cannot be multiplied", ""),
        ("ValueError: expected 8 latents", ""),
        ("", ""),
    ],
)
def test_errors_that_come_of_the_machine_are_distinguished_from_others(error: str, says: str) -> None:
    assert missing_resource(error) == says


def handed_in(source: str, **saved: Any) -> Notebook:
    """A solution that the student ran, with one cell of their own at the top, and what is saved of it."""
    submission = notebook.submission([source])
    for count, cell in enumerate(submission["cells"]):
        cell["execution_count"] = count + 1
    submission["cells"][2] |= saved
    return submission


def faults_after_run(submission: Notebook, faults: Mapping[Address, str], **errors: str) -> Mapping[str, Fault]:
    """The faults, once it is known with which errors cells ended in the run, by `own_0` and the like."""
    restored = running.restored(submission)
    ids = [cell["id"].replace("-", "_") for cell in restored.notebook["cells"]]
    runs = {
        index: CellRun(index, CellStatus.ERROR if name in errors else CellStatus.OK, 0.1, errors.get(name, ""))
        for index, name in enumerate(ids)
    }
    before = Evidence({}, {}, {source: Fault(Blame.STUDENT, message) for source, message in faults.items()})
    return with_machine_faults(before, restored, runs).faults


def error(name: str, value: str) -> list[dict[str, Any]]:
    return [{"output_type": "error", "ename": name, "evalue": value, "traceback": []}]


def test_an_answer_that_needs_a_missing_resource_is_not_the_students_mistake() -> None:
    fault = faults_after_run(handed_in("x = 1"), {ASKED: f"{CUDA}, in your line `x.cuda()`"})[ASKED]
    assert fault.blame is Blame.MACHINE
    assert fault.message == f"the GPU is missing where this was graded: {CUDA}, in your line `x.cuda()`"


def test_names_that_a_stopped_cell_did_not_define_have_its_error_as_reason() -> None:
    submission = handed_in("import lightning as L\nBase = L.Module\ndef scale(x):\n    return x")
    faults = {ASKED: "NameError: name 'scale' is not defined", LATER: "`Base` is not defined"}
    after = faults_after_run(submission, faults, own_0=NO_PACKAGE)
    assert {fault.blame for fault in after.values()} == {Blame.MACHINE}
    assert after[ASKED].message.startswith("cell 3 (")
    why = "stopped, because the package lightning is not installed where this was graded: NameError:"
    assert why in after[ASKED].message


def test_names_that_need_missing_names_are_missing_for_the_same_reason() -> None:
    submission = handed_in("import lightning as L")
    submission["cells"][3]["source"] = "class Own(L.Module):\n    pass\n\ndef double(x):\n    return 2 * x"
    errors = {
        "own_0": "ModuleNotFoundError: No module named 'lightning'",
        "double": "NameError: name 'L' is not defined",
    }
    after = faults_after_run(submission, {ASKED: "`double` is not defined"}, **errors)
    assert after[ASKED].blame is Blame.MACHINE


@pytest.mark.parametrize(
    ("saved", "fault"),
    [
        ({"outputs": error("ModuleNotFoundError", "No module named 'lightning'")}, "`scale` is not defined"),
        ({"execution_count": None}, "`scale` is not defined"),  # never run, while others were
        ({}, "`other` is not defined"),
        ({}, "NameError: name 'np' is not defined"),
        ({}, "ValueError: No"),
    ],
)
def test_errors_that_the_machine_did_not_cause_stay_the_students_faults(saved: dict[str, Any], fault: str) -> None:
    submission = handed_in("import lightning as L\ndef scale(x):\n    return x", **saved)
    after = faults_after_run(submission, {ASKED: fault}, own_0=NO_PACKAGE)
    assert after[ASKED] == Fault(Blame.STUDENT, fault)


def test_an_error_in_the_saved_outputs_is_the_students_fault_wherever_it_occurs() -> None:
    submission = handed_in("x.cuda()", outputs=error("RuntimeError", CUDA.partition(": ")[2]))
    assert faults_after_run(submission, {ASKED: CUDA}, own_0=CUDA)[ASKED].blame is Blame.STUDENT


def test_a_notebook_that_shows_no_run_at_all_needs_manual_review() -> None:
    submission = handed_in("import lightning as L\ndef scale(x):\n    return x")
    for cell in submission["cells"]:
        cell["execution_count"] = None
    after = faults_after_run(
        submission, {ASKED: "`scale` is not defined"}, own_0="ModuleNotFoundError: No module named 'lightning'"
    )
    assert after[ASKED].blame is Blame.MACHINE


def test_faults_that_are_not_the_students_stay_what_they_are() -> None:
    ours = Fault(Blame.OURS, f"the probe gave no answer ({CUDA})")
    restored = running.restored(copy.deepcopy(handed_in("x = 1")))
    assert with_machine_faults(Evidence({}, {}, {ASKED: ours}), restored, {}).faults[ASKED] == ours


def test_a_check_that_lacks_such_an_answer_is_undecided_and_says_why() -> None:
    rubric = running.rubric()
    fault = Fault(Blame.MACHINE, f"the GPU is missing where this was graded: {CUDA}")
    items = item_verdicts(Evidence({}, {}, {ASKED: fault}), rubric, TwoNumbers().checks)
    (check,) = [check for item in items for check in item.checks if "NVIDIA" in check.message]
    assert check.outcome == "needs_review"
    assert check.message.startswith("the GPU is missing where this was graded: ")
