"""The structure of the package: forbidden code, its picture, and no numbers outside the rubric.

pyproject.toml defines which module may import which, and `make lint` checks the imports.
"""

from __future__ import annotations

import ast
import inspect
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from docs.making.architecture import PICTURE, draw, picture, without_implied
from grader.checks import Check
from grader.exercises.vae_mnist.checks import CHECKS

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "grader"

FORBIDDEN = re.compile(
    r"\b(pickle|dill|joblib|cloudpickle|marshal|shelve)\b|torch\.load\(|(?<![\w.])eval\(|allow_pickle|shell=True|os\.system\("
)
# Written in two halves, so that this file does not contain what it forbids.
HOSTS = re.compile(
    r"py" r"pi\.|python" r"hosted|anaconda\.|proxy\.golang|npm" r"js|/artifactory/|index-" r"url", re.IGNORECASE
)
HOMES = re.compile(r"(?<![\w.])/(?:home|Users)/(?!student\b)\w+|(?<![\w.])/root\b|/work/")

SOURCES = sorted(PACKAGE.rglob("*.py"))


def name_of(path: Path) -> str:
    """The module's name below `grader`, for instance "sandbox.supervisor"."""
    return ".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix("__init__").rstrip(".")


def unit_of(name: str) -> str:
    """The top-level module or folder."""
    return name.partition(".")[0]


def in_box(path: Path) -> bool:
    """Whether the file runs beside the student's code."""
    return "in_box" in path.relative_to(PACKAGE).parts


def imports(path: Path) -> Iterator[str]:
    """The modules of the grader that the file names in an import anywhere, without `grader.`."""
    for node in ast.walk(ast.parse(path.read_text())):
        modules: list[str] = []
        if isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            modules = [f"{node.module}.{alias.name}" for alias in node.names]
        for name in modules:
            if name.partition(".")[0] == "grader":
                yield name.removeprefix("grader").removeprefix(".")


def code_of(path: Path) -> str:
    """The file without docstrings and comments."""
    text = re.sub(r'""".*?"""', "", path.read_text(), flags=re.DOTALL)
    return "\n".join(line.partition("#")[0] for line in text.splitlines())


def identity(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("path", [path for path in SOURCES if in_box(path)], ids=identity)
def test_code_that_runs_beside_student_code_imports_nothing_of_the_grader(path: Path) -> None:
    assert list(imports(path)) == []


def test_the_picture_is_up_to_date() -> None:
    assert PICTURE.read_text() == picture(), "run `.venv/bin/python -m docs.making.architecture`"


def test_a_new_import_changes_the_picture_and_an_implied_one_does_not() -> None:
    edges = {("a", "b"), ("b", "c")}
    assert without_implied(edges | {("a", "c")}) == edges
    rows, words = [["a"], ["b"], ["c"]], dict.fromkeys("abc", "words")
    assert draw(rows, edges, words) != draw(rows, {("a", "b")}, words)


@pytest.mark.parametrize("path", [path for path in SOURCES if not in_box(path)], ids=identity)
def test_only_the_rubric_names_an_exercise(path: Path) -> None:
    if unit_of(name_of(path)) != "exercises":
        assert not re.search(r"vae_mnist(?!\.ipynb)", code_of(path))  # an example's file name is allowed


@pytest.mark.parametrize("path", SOURCES, ids=identity)
def test_a_file_is_short_states_its_purpose_and_contains_no_dangerous_call(path: Path) -> None:
    text = path.read_text()
    assert len(text.splitlines()) <= 500
    assert not text or ast.get_docstring(ast.parse(text)), "a module docstring states its purpose"
    assert path.stem not in {"utils", "util", "helpers", "common", "base", "core", "manager"}
    assert not (match := FORBIDDEN.search(code_of(path))), match.group()


@pytest.mark.parametrize(("name", "check"), CHECKS.items(), ids=CHECKS.keys())
def test_a_check_has_no_hidden_numbers_and_its_title_is_one_sentence(name: str, check: Check) -> None:
    evidence, part, *numbers = inspect.signature(check.measure).parameters.values()
    assert (check.name, evidence.name, part.name) == (name, "evidence", "part")
    for number in numbers:
        assert number.kind is inspect.Parameter.KEYWORD_ONLY, number
        assert number.default is inspect.Parameter.empty, f"{number.name} has a number in the code"
    assert check.measure.__doc__
    sentence = check.title
    assert sentence.endswith(".")
    assert len(sentence) <= 120
    assert sentence.count(". ") == 0


@pytest.fixture(scope="module")
def tracked() -> list[Path]:
    """The tracked files of the repository, except this one."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False)
    if listed.returncode:
        pytest.skip("not a git checkout")  # a downloaded archive has no list of tracked files
    paths = [ROOT / name for name in listed.stdout.decode().split("\0") if name]
    return [path for path in paths if path.is_file() and path != Path(__file__)]


def test_no_tracked_file_names_a_home_or_a_package_registry(tracked: list[Path]) -> None:
    mentions = []
    for path in tracked:
        try:
            text = path.read_text()
        except UnicodeDecodeError:
            continue
        for pattern in (HOSTS, HOMES):
            mentions += [f"{identity(path)}: {match.group()}" for match in pattern.finditer(text)]
    assert mentions == []
