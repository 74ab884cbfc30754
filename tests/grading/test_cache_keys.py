"""Stored results and the changes that make them stale: each file of the package has a kind, and each kind a key."""

from __future__ import annotations

import ast
import functools
import json
import shutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from small_exercise import notebook, running

from grader.audit.runs import key_of, planned
from grader.batch.class_records import Job
from grader.batch.work import is_current, work
from grader.checks import Check
from grader.evidence import load_evidence
from grader.grading import cache_keys, stored_run
from grader.grading.cache_keys import FILES, FILES_OF_EXERCISE, FileKind, code_key, files_of, run_key
from grader.grading.grade import Options, grade
from grader.grading.run_files import RUN_FILES
from grader.records import Evidence
from grader.rubric import load_rubric
from grader.skeleton.exercise.plugin import TwoNumbers

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "grader"
EXERCISES = [path.parent for path in PACKAGE.glob("exercises/*/__init__.py")] + [PACKAGE / "skeleton" / "exercise"]
ORDER = (FileKind.RUN, FileKind.FIND, FileKind.SHOW, FileKind.NONE)
# Nouns, and reading and writing of files: they decide nothing by themselves.
NOUNS = frozenset({"", "errors", "records", "store"})
# An exercise's plugin names its checks and pictures for the engine, beside deciding about its questions.
PLUGINS = frozenset({"plugin.py", "__init__.py"})


def names_imported(path: Path) -> Iterator[str]:
    """The modules of the grader that the file imports when it is loaded or run, without `grader.`."""
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and getattr(node.test, "id", "") == "TYPE_CHECKING":
            node.body = []
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.level == 0 and (node.module or "").split(".")[0] == "grader":
            for alias in node.names:
                yield f"{node.module}.{alias.name}".removeprefix("grader").removeprefix(".")


def module_file(name: str) -> Path | None:
    """The file of the module, or of the one that holds this name."""
    pieces = name.split(".")
    for length in (len(pieces), len(pieces) - 1):
        inside = PACKAGE.joinpath(*pieces[:length])
        for path in (inside.with_suffix(".py"), inside / "__init__.py"):
            if length and path.is_file():
                return path
    return None


def is_there(path: Path) -> bool:
    """Whether there is a folder or a module of that name."""
    return path.is_dir() or path.with_suffix(".py").is_file()


FILES_AND_KINDS = [(path, kind) for package in EXERCISES for path, kind in files_of(package)]
SHOWN = [pytest.param(path, kind, id=path.relative_to(ROOT).as_posix()) for path, kind in FILES_AND_KINDS]


def test_every_file_is_of_one_kind() -> None:
    assert {path.relative_to(ROOT).as_posix() for path, kind in FILES_AND_KINDS if kind is None} == set()


def test_every_entry_of_the_table_is_of_a_file() -> None:
    assert [name for name in FILES if not is_there(PACKAGE / name)] == []
    assert [name for name in FILES_OF_EXERCISE if not any(is_there(package / name) for package in EXERCISES)] == []


@pytest.mark.parametrize(("path", "kind"), SHOWN)
def test_a_file_imports_its_own_kind_and_those_before_it(path: Path, kind: FileKind) -> None:
    if path.suffix != ".py" or kind is FileKind.NONE or path.name in PLUGINS:
        return
    kinds = dict(FILES_AND_KINDS)
    for name in names_imported(path):
        path_of_import = module_file(name)
        if path_of_import is None or name.split(".")[0] in NOUNS or path_of_import.name in PLUGINS:
            continue
        assert ORDER.index(kinds[path_of_import] or FileKind.NONE) <= ORDER.index(kind), (
            f"{name} is {kinds[path_of_import]}, this is {kind}"
        )


@pytest.fixture
def copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the package, of which the keys are taken from now on."""
    root = tmp_path / "grader"
    shutil.copytree(PACKAGE, root, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(cache_keys, "ROOT", root)
    return root


def keys(root: Path) -> dict[FileKind, str]:
    """The keys of the package as it is now."""
    code_key.cache_clear()
    key_by_kind = {kind: code_key(kind, root / "exercises" / EXERCISES[0].name) for kind in ORDER[:3]}
    code_key.cache_clear()
    return key_by_kind


@pytest.mark.parametrize(
    ("changed", "stale"),
    [
        ("report/page.css", ()),
        ("report/feedback.html.j2", ()),
        ("batch/page/class.js", ()),
        ("cli/app.py", ()),
        ("batch/gradebooks/moodle.py", ()),
        ("notebook/saved_outputs.py", ()),
        ("notebook/printed_curves.py", ()),
        ("report/notebook_view.py", (FileKind.SHOW,)),
        ("exercises/vae_mnist/figures/losses.py", (FileKind.SHOW,)),
        ("exercises/vae_mnist/checks/quality.py", (FileKind.FIND, FileKind.SHOW)),
        ("exercises/vae_mnist/metrics.py", (FileKind.FIND, FileKind.SHOW)),
        ("exercises/vae_mnist/classifier/weights/classifier.onnx", (FileKind.FIND, FileKind.SHOW)),
        ("checks.py", (FileKind.FIND, FileKind.SHOW)),
        ("sandbox/in_box/recorder.py", ORDER[:3]),
        ("sandbox/in_box/runner.py", ORDER[:3]),
        ("grading/plan.py", ORDER[:3]),
        ("grading/answers.py", ORDER[:3]),
        ("grading/correct_code.py", ORDER[:3]),
        ("exercises/vae_mnist/evidence_spec.py", ORDER[:3]),
        ("exercises/vae_mnist/in_box/probe.py", ORDER[:3]),
    ],
)
def test_a_blank_line_makes_stale_what_depends_on_its_file_and_nothing_else(
    copied: Path, changed: str, stale: tuple[FileKind, ...]
) -> None:
    before = keys(copied)
    with (copied / changed).open("ab") as file:
        file.write(b"\n")
    after = keys(copied)
    assert {kind for kind in ORDER[:3] if before[kind] != after[kind]} == set(stale)


@pytest.mark.parametrize(
    "changed", ["sandbox/in_box/recorder.py", "sandbox/in_box/runner.py", "grading/plan.py", "grading/answers.py"]
)
def test_the_key_of_an_audited_run_holds_the_code_that_runs_it(copied: Path, changed: str) -> None:
    rubric, exercise = load_rubric(ROOT / "rubric.yaml")
    exercise.in_box = copied / exercise.in_box.relative_to(PACKAGE)
    template = notebook.template()

    def key() -> str:
        code_key.cache_clear()
        return key_of(template, planned("reference"), "", run_key(rubric, exercise, {"": template}, None, "bubblewrap"))

    before = key()
    with (copied / changed).open("ab") as file:
        file.write(b"\n")
    assert key() != before


FACTORS = "def double(x):\n    # BEGIN SOLUTION double\n    return {} * x\n    # END SOLUTION"


def job_of(folder: Path, **cells: str) -> Job:
    """A student's submission of the toy, follow-through included, and where it is graded to."""
    path = folder / "someone.ipynb"
    path.write_text(json.dumps(notebook.submission(**cells)))
    rubric = running.write_exercise(folder, follow=True)
    return Job("someone", path, folder / "run", rubric, "bubblewrap", None, "0" * 32)


def set_reference(folder: Path, factor: int) -> None:
    """The reference multiplies by this number."""
    reference = notebook.reference()
    cell = next(cell for cell in reference["cells"] if cell["id"] == "double")
    cell["source"] = FACTORS.format(factor)
    (folder / "reference.ipynb").write_text(json.dumps(reference))


WRONG = "def double(x):\n    return -9 * x"
LOOP = (
    "def train_one(model, steps):\n    model['history'] = []\n    for _ in range(steps):\n"
    "        loss = (model['weight'] - 5.0) ** 2\n        model['weight'] -= double(0.2 * (model['weight'] - 5.0))\n"
    "        model['history'].append(loss)"
)


@pytest.mark.whole
def test_a_changed_reference_affects_only_runs_that_used_its_code(tmp_path: Path) -> None:
    for name in ("needs parts", "right"):
        (tmp_path / name).mkdir()
    spoilt, right = job_of(tmp_path / "needs parts", double=WRONG, train_one=LOOP), job_of(tmp_path / "right")
    set_reference(tmp_path / "needs parts", -9)  # as broken as the student's
    assert (work(spoilt).points_milli, work(right).points_milli) == (3000, 9000)
    assert is_current(spoilt)

    set_reference(tmp_path / "needs parts", 2)
    set_reference(tmp_path / "right", 7)  # whatever it is, this student needed nothing of it
    assert (is_current(spoilt), is_current(right)) == (False, True)
    assert work(spoilt).points_milli == 7000


@pytest.mark.whole
@pytest.mark.parametrize("text", ["# a comment", "STEPS = 5", "def triple(x):\n    return 3 * x + 0"])
def test_changes_of_the_reference_that_no_box_receives_make_nothing_stale(tmp_path: Path, text: str) -> None:
    spoilt = job_of(tmp_path, double=WRONG, train_one=LOOP)
    work(spoilt)
    reference = notebook.reference()
    reference["cells"].append(notebook.code_cell(text, "more"))
    (tmp_path / "reference.ipynb").write_text(json.dumps(reference))
    assert is_current(spoilt)


def test_a_grade_of_components_asks_each_check_once_and_reads_no_evidence_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    count_by_check: Counter[tuple[str, str]] = Counter()

    def counted(check: Check) -> Check:
        @functools.wraps(check.measure)
        def ask(evidence: Evidence, part: str, **numbers: Any) -> Any:
            count_by_check[part, check.name] += 1
            return check.measure(evidence, part, **numbers)

        return replace(check, measure=ask)

    monkeypatch.setattr(TwoNumbers, "checks", {name: counted(check) for name, check in TwoNumbers.checks.items()})
    loads, hashes = [], []
    monkeypatch.setattr(stored_run, "load_evidence", lambda path: loads.append(path) or load_evidence(path))
    real = stored_run._checksum
    monkeypatch.setattr(stored_run, "_checksum", lambda path: hashes.append(path) or real(path))
    job = job_of(tmp_path)
    grade(job.notebook, job.rubric, tmp_path / "run", Options(parts=()), lambda _: None)
    assert set(count_by_check.values()) == {1}
    assert (loads, len(hashes)) == ([], 1)


def test_the_page_names_every_file_that_a_run_leaves() -> None:
    page = (ROOT / "docs" / "remembered.md").read_text()
    assert [name for name in RUN_FILES if f"`{name}`" not in page] == []
