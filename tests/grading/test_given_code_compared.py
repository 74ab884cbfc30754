"""What given cells define is compared while the notebook runs; what its lines say openly is no tampering."""

from __future__ import annotations

import ast
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from IPython.core.interactiveshell import InteractiveShell

from grader.grading.tampering import MAX_REMARKS, QUESTION, GivenDefinitions, given_definitions, tampering_remarks
from grader.notebook.format import is_code, load_notebook, source_of
from grader.notebook.read import read_submission
from grader.notebook.restore import restore_given
from grader.notebook.solution_regions import strip_markers
from grader.records import Address, Evidence, Notebook
from grader.sandbox.in_box.fingerprints import MISSING, fingerprint_of, number_of

ROOT = Path(__file__).parents[2]
TEMPLATE = load_notebook(ROOT / "student_template" / "vae_mnist.ipynb")
REFERENCE = strip_markers(load_notebook(ROOT / "reference" / "vae_mnist.ipynb"))
CONSTANTS = {"LATENT_DIM": 8, "EPOCHS": 7, "BATCH_SIZE": 128, "LEARNING_RATE": 2e-3, "NUM_CLASSES": 10}


def given(tmp_path: Path, *lines: str) -> GivenDefinitions:
    """What is compared in the solved notebook with these cells of one's own above the encoder."""
    cells = [cell for cell in REFERENCE["cells"] if is_code(cell)]
    at = next(n for n, cell in enumerate(cells) if cell["id"] == "encoder")
    submitted = [
        {"cell_type": "code", "id": f"own-{n}", "metadata": {}, "source": source, "outputs": [], "execution_count": 1}
        for n, source in enumerate(lines)
    ]
    path = tmp_path / "x.ipynb"
    path.write_text(json.dumps({**REFERENCE, "cells": [*cells[:at], *submitted, *cells[at:]]}))
    submission = read_submission(path, max_mb=20, max_cells=500)
    return given_definitions(restore_given(submission.notebook, TEMPLATE), TEMPLATE)


def test_constants_and_provided_code_are_compared(tmp_path: Path) -> None:
    definitions = given(tmp_path)
    assert {name: set(definitions.constants[name]) for name in CONSTANTS} == {k: {v} for k, v in CONSTANTS.items()}
    assert {"Batches.__init__", "Batches.__iter__", "Batches.__len__", "load_mnist"} <= definitions.codes.keys()


@pytest.mark.parametrize(
    ("own", "gone"),
    [
        ("EPOCHS = 2 * 7", {"EPOCHS"}),  # what a line computes is not known
        ("for EPOCHS in (1, 2): pass", {"EPOCHS"}),
        ("def load_mnist(train): ...", {"load_mnist"}),
        ("Batches.__iter__ = lambda self: iter([])", {"Batches.__init__", "Batches.__len__", "Batches.__iter__"}),
        ("class Batches: ...", {"Batches.__init__", "Batches.__len__", "Batches.__iter__"}),
        ("%%capture\nEPOCHS = len('abc')", {"EPOCHS"}),
    ],
)
def test_changes_that_a_line_shows_are_not_compared(tmp_path: Path, own: str, gone: set[str]) -> None:
    before, after = given(tmp_path), given(tmp_path, own)
    assert {*before.constants, *before.codes} - {*after.constants, *after.codes} == gone


def test_every_value_that_a_line_gives_a_constant_is_right(tmp_path: Path) -> None:
    assert given(tmp_path, "EPOCHS = 9", "EPOCHS = 12  # better").constants["EPOCHS"] == {7, 9, 12}


def test_nothing_is_compared_where_the_notebook_comes_from_elsewhere(tmp_path: Path) -> None:
    foreign: Notebook = {**REFERENCE, "cells": [cell for cell in REFERENCE["cells"] if cell["id"] == "encoder"]}
    assert given_definitions(restore_given(foreign, TEMPLATE), TEMPLATE) == GivenDefinitions()


@pytest.fixture(scope="module")
def shell_names() -> dict[str, Any]:
    """Names as IPython leaves them that has run the template's own cells, except for those that need data."""
    shell = InteractiveShell()
    shell.run_cell("from __future__ import annotations")  # holds for all cells after it
    for cell in filter(is_code, TEMPLATE["cells"]):
        if cell["id"] in {"setup", "constants", "plots", "self-check"}:
            shell.run_cell("\n" * 7 + source_of(cell))
        if cell["id"] in {"data", "comparison"}:
            for node in ast.parse(source_of(cell)).body:
                if isinstance(node, ast.FunctionDef | ast.ClassDef):
                    shell.run_cell(ast.get_source_segment(source_of(cell), node))
    names: dict[str, Any] = shell.user_ns
    return names


def answers(definitions: GivenDefinitions, names: dict[str, Any], kind: str = "components") -> Evidence:
    source = Address.of(kind, "vae", QUESTION)
    constants = np.array([number_of(names, name) for name in definitions.constants], dtype=np.float32)
    codes = np.array([fingerprint_of(names, path) for path in definitions.codes], dtype=np.int64)
    return Evidence({}, {source.array("constants"): constants, source.array("codes"): codes})


def test_unchanged_provided_code_is_not_reported(tmp_path: Path, shell_names: dict[str, Any]) -> None:
    assert tampering_remarks(answers(given(tmp_path), shell_names), given(tmp_path), ("vae",)) == ()


def patched(self: Any) -> Any:
    yield self.images, self.labels


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"EPOCHS": 50}, "EPOCHS was 50 just before the VAE was trained, but no line of the notebook sets this value."),
        ({"LEARNING_RATE": 0.01}, "LEARNING_RATE was 0.01 just before the VAE was trained, but"),
        ({"LATENT_DIM": "8"}, "LATENT_DIM was not a number just before"),
        ({"LATENT_DIM": None}, "LATENT_DIM was not a number just before"),
        ({"load_mnist": lambda train: None}, "`load_mnist` was no longer the provided code"),
        ({"load_mnist": print}, "`load_mnist` was no longer the provided code"),
        ({"Batches": type("Batches", (), {"__iter__": patched})}, "`Batches.__iter__` was no longer the provided code"),
    ],
)
def test_changes_that_only_running_code_can_make_are_reported(
    tmp_path: Path, shell_names: dict[str, Any], changes: dict[str, Any], says: str
) -> None:
    definitions = given(tmp_path)
    remarks = tampering_remarks(answers(definitions, {**shell_names, **changes}), definitions, ("vae",))
    assert any(remark.message.startswith(says) for remark in remarks)
    assert all(remark.needs_person for remark in remarks)


def test_each_name_is_reported_once_at_its_first_change(tmp_path: Path, shell_names: dict[str, Any]) -> None:
    definitions = given(tmp_path)
    both = [answers(definitions, {**shell_names, "EPOCHS": 50}, kind) for kind in ("components", "trained")]
    (remark,) = tampering_remarks(Evidence({}, {**both[1].answers, **both[0].answers}), definitions, ("vae", "cvae"))
    assert "just before the VAE was trained" in remark.message
    (late,) = tampering_remarks(both[1], definitions, ("vae",))
    assert "after the VAE had been trained" in late.message


def test_answers_of_another_size_are_nothing_to_compare(tmp_path: Path, shell_names: dict[str, Any]) -> None:
    definitions = given(tmp_path)
    evidence = answers(definitions, shell_names)
    short = Evidence({}, {name: array[:1] for name, array in evidence.answers.items()})
    assert tampering_remarks(short, definitions, ("vae",)) == ()


def test_of_many_changed_names_only_a_few_are_listed(tmp_path: Path) -> None:
    definitions = given(tmp_path)
    remarks = tampering_remarks(answers(definitions, {}), definitions, ("vae",))
    assert len(remarks) == MAX_REMARKS + 1
    assert remarks[-1].message.endswith("more names from provided cells had other values while it ran.")


def test_names_without_a_number_or_function_are_missing() -> None:
    names: dict[str, object] = {"a": 3, "b": True, "c": 1e300, "d": float("nan"), "E": int, "f": print}
    assert [number_of(names, name) for name in ("a", "b", "c", "d", "x")] == [3, MISSING, MISSING, MISSING, MISSING]
    assert [fingerprint_of(names, path) for path in ("a", "E.__add__", "E.x", "f", "x.y")] == [MISSING] * 5
