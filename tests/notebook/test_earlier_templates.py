"""Templates that were handed out earlier are unchanged, and solutions in them are graded with their template."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from grader.audit import corpus
from grader.grading.grade import Options, grade
from grader.notebook.format import dump_notebook, load_notebook, source_of
from grader.notebook.restore import load_templates, restore_from_templates
from grader.records import Notebook
from grader.rubric import load_rubric

ROOT = Path(__file__).resolve().parents[2]
RUBRIC, _ = load_rubric(ROOT / "rubric.yaml")
TEMPLATES = load_templates(ROOT / "rubric.yaml", RUBRIC)
EARLIER = sorted((ROOT / "student_template" / "earlier").glob("*.ipynb"))


def test_every_earlier_template_is_unchanged_and_listed() -> None:
    assert EARLIER
    for path in EARLIER:
        assert path.stem.endswith(f"-{hashlib.sha256(path.read_bytes()).hexdigest()[:8]}")
        assert path.stat().st_size < 200_000
    named = {(ROOT / name).resolve() for name in RUBRIC.earlier_templates}
    assert named == set(EARLIER)


@pytest.mark.parametrize("path", EARLIER, ids=lambda path: path.stem)
def test_solutions_in_earlier_templates_are_restored_from_them(path: Path) -> None:
    earlier = load_notebook(path)
    restored = restore_from_templates(corpus.filled(earlier), TEMPLATES)
    assert restored.template == path.name
    assert [remark.kind for remark in restored.remarks] == ["earlier_template"]
    assert given(restored.notebook) == given(earlier) != given(TEMPLATES[RUBRIC.template])


def test_solutions_in_the_current_template_are_restored_from_it() -> None:
    restored = restore_from_templates(corpus.filled(TEMPLATES[RUBRIC.template]), TEMPLATES)
    assert (restored.template, restored.remarks) == (Path(RUBRIC.template).name, ())


def given(notebook: Notebook) -> list[str]:
    """What its cells give."""
    roles = [cell["metadata"].get("grader", {}).get("role") for cell in notebook["cells"]]
    return [source_of(c) for c, role in zip(notebook["cells"], roles, strict=True) if role not in ("task", "text")]


@pytest.mark.whole
@pytest.mark.parametrize("path", EARLIER, ids=lambda path: path.stem)
def test_solutions_in_earlier_templates_get_all_points_with_their_constants(path: Path, tmp_path: Path) -> None:
    submission = tmp_path / "someone.ipynb"
    submission.write_text(dump_notebook(corpus.filled(load_notebook(path))))
    report, folder = grade(submission, ROOT / "rubric.yaml", tmp_path / "run", Options(seed="5"), say=lambda _: None)
    assert (report.points_milli, report.template) == (100_000, path.name)
    executed = load_notebook(folder / "executed.ipynb")
    given_now = next(source_of(cell) for cell in executed["cells"] if cell["id"] == "constants")
    assert given_now == next(source_of(cell) for cell in load_notebook(path)["cells"] if cell["id"] == "constants")
