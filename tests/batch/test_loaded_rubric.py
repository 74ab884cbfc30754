"""A rubric is loaded once in a process, and again if one of its files has changed."""

from __future__ import annotations

from pathlib import Path

import pytest
from small_exercise import running

from grader.batch.loaded_rubric import load_once
from grader.errors import GraderError
from grader.rubric import load_rubric, rubric_files


def key(rubric: Path) -> str:
    return load_once(rubric).run_key(None, "bubblewrap")


@pytest.fixture
def rubric(tmp_path: Path) -> Path:
    return running.write_exercise(tmp_path)


def test_an_unchanged_rubric_is_loaded_once(rubric: Path) -> None:
    assert load_once(rubric) is load_once(rubric)
    assert load_once(rubric).rubric == load_rubric(rubric)[0]


def test_a_changed_rubric_is_loaded_again(rubric: Path) -> None:
    before = load_once(rubric).rubric
    rubric.write_text(rubric.read_text().replace("title: ", "title: Another ", 1))
    assert load_once(rubric).rubric == load_rubric(rubric)[0] != before


def test_a_change_of_the_rubric_that_it_extends_counts(rubric: Path) -> None:
    own = rubric.with_name("own.yaml")
    own.write_text(f"extends: {rubric.name}\n")
    assert rubric_files(own) == (own, rubric)
    before = load_once(own).rubric
    rubric.write_text(rubric.read_text().replace("title: ", "title: Another ", 1))
    assert load_once(own).rubric == load_rubric(own)[0] != before


def test_a_changed_template_gives_another_key(rubric: Path) -> None:
    template = rubric.parent / load_once(rubric).rubric.template
    text, before = template.read_text(), key(rubric)
    assert key(rubric) == before != load_once(rubric).run_key((), "bubblewrap")
    template.unlink()
    with pytest.raises(GraderError):
        key(rubric)
    template.write_text(text.replace("def ", "def  ", 1))
    assert key(rubric) != before


def test_a_missing_rubric_is_refused_until_it_is_there(rubric: Path) -> None:
    content = rubric.read_bytes()
    rubric.unlink()
    with pytest.raises(GraderError, match="cannot be read"):
        load_once(rubric)
    rubric.write_bytes(content)
    assert load_once(rubric).rubric.sha256
