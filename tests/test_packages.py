"""The further packages for notebooks are listed for students, pinned, and not used by the grader."""

from __future__ import annotations

import ast
import re
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from grader.notebook.format import load_notebook, source_of
from grader.rubric import load_rubric
from grader.store.versions import missing_packages

ROOT = Path(__file__).parents[1]
PROMISED = load_rubric(ROOT / "rubric.yaml")[0].packages


def pinned(lock: str) -> set[str]:
    lines = (ROOT / lock).read_text().splitlines()
    return {line.partition("==")[0].lower() for line in lines if not line.startswith("#")}


def test_the_packages_of_the_rubric_are_installed_pinned_and_a_separate_extra() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert sorted(PROMISED) == project["optional-dependencies"]["student"]
    assert missing_packages(PROMISED) == ""
    assert set(PROMISED) <= pinned("requirements-student.lock")
    assert not pinned("requirements-student.lock") & pinned("requirements.lock")


def test_the_notebook_lists_them_for_students() -> None:
    template = load_notebook(ROOT / "student_template" / "vae_mnist.ipynb")
    text = " ".join(source_of(next(cell for cell in template["cells"] if cell["id"] == "setup-text")).split())
    listed = re.search(r"you may import these packages: (.*?)\.$", text)
    assert listed is not None
    assert listed[1].split(", ") == list(PROMISED)


def test_the_grader_imports_none_of_them() -> None:
    own = pinned("requirements-student.lock")
    modules = {name for name, packages in packages_distributions().items() if {p.lower() for p in packages} & own}
    for path in sorted((ROOT / "grader").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) and not node.level else []
            assert not {name.partition(".")[0] for name in names} & modules, path


def test_a_missing_package_is_reported_with_what_to_do() -> None:
    message = missing_packages(["torch", "no-such-package-here"])
    assert message.startswith("packages that the rubric allows are not installed: no-such-package-here; run")
    assert "pip install no-such-package-here" in message


@pytest.mark.parametrize("name", ["lightning==2", "../x", "", "-r evil"])
def test_a_package_has_a_name_and_no_version(name: str, tmp_path: Path) -> None:
    from grader.errors import RubricError

    rubric = tmp_path / "rubric.yaml"
    text = (ROOT / "rubric.yaml").read_text()
    rubric.write_text(re.sub(r"packages:.*?\]\n", f"packages: [{name!r}]\n", text, flags=re.DOTALL))
    with pytest.raises(RubricError, match="packages: expected the name of a package"):
        load_rubric(rubric)
