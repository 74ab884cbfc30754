"""A submission is restored from the template that it came from, also after another one was handed out."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
from handed_in_notebook import TEMPLATE, anonymous, edit, handed_in, kinds, script
from small_exercise.running import write_exercise
from toy_notebook import Notebook, cell_of

from grader.errors import GraderError, RubricError
from grader.notebook.restore import load_templates, restore_from_templates
from grader.rubric import load_rubric


def later(*changes: tuple[str, str, str], notebook: Notebook = TEMPLATE) -> Notebook:
    """The notebook with these cells changed: id, old text, new text."""
    changed = copy.deepcopy(notebook)
    for change in changes:
        edit(changed, *change)
    return changed


RATE = ("constants", "RATE = 1e-3", "RATE = 4e-3")
LENGTH = ("data", "        self.items = items", "        self.items = self.dataset = items")
NOW = {"now.ipynb": later(RATE, LENGTH), "earlier/then.ipynb": TEMPLATE}


def test_a_submission_from_the_current_template_is_recognised() -> None:
    restored = restore_from_templates(later(RATE, LENGTH, notebook=handed_in()), NOW)
    assert kinds(restored) == []
    assert "self.dataset" in script(restored)


@pytest.mark.parametrize("anonymously", [False, True])
@pytest.mark.parametrize(
    "change", [None, ("setup", "print(f'on {DEVICE}')", "print(f'{DEVICE}')"), ("show-history", "max", "min")]
)
def test_an_earlier_template_keeps_its_provided_code_and_constants(
    change: tuple[str, str, str] | None, anonymously: bool
) -> None:
    notebook = later(*filter(None, [change]), notebook=handed_in())
    restored = restore_from_templates(anonymous(notebook) if anonymously else notebook, NOW)
    assert kinds(restored)[0] == "earlier_template"
    assert "then.ipynb" in restored.remarks[0].message
    assert "given_constant" not in " ".join(kinds(restored))
    assert script(restored) == script(restore_from_templates(handed_in(), {"then.ipynb": TEMPLATE}))


def test_a_changed_cell_of_an_earlier_template_is_restored() -> None:
    restored = restore_from_templates(edit(handed_in(), "data", "list(range(n))", "list(range(n + 1))"), NOW)
    assert kinds(restored) == ["earlier_template", "given_cell_changed"]
    assert "range(n + 1)" not in script(restored)


def test_in_doubt_the_current_template_is_used() -> None:
    notebook = handed_in()
    for identity in ("constants", "data"):
        cell_of(notebook, identity)["source"] += "\nmore = 1"
    assert "earlier_template" not in kinds(restore_from_templates(notebook, NOW))


def test_an_independent_notebook_comes_from_no_template() -> None:
    notebook = handed_in()
    notebook["cells"] = [cell_of(notebook, "model"), cell_of(notebook, "setup")]
    assert kinds(restore_from_templates(notebook, NOW)) == ["not_from_template"]


def test_a_rubric_names_the_earlier_templates(tmp_path: Path) -> None:
    path = write_exercise(tmp_path)
    text = path.read_text()
    path.write_text(text + "\nearlier_templates: {old/one.ipynb: {}}\n")
    rubric, _ = load_rubric(path)
    with pytest.raises(GraderError, match=r"one\.ipynb"):
        load_templates(path, rubric)
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "one.ipynb").write_text((tmp_path / "template.ipynb").read_text())
    assert list(load_templates(path, rubric)) == ["template.ipynb", "old/one.ipynb"]
    (tmp_path / "other").mkdir()
    extending = tmp_path / "other" / "rubric.yaml"
    extending.write_text("extends: ../rubric.yaml\ntitle: Another course\n")
    assert list(load_templates(extending, load_rubric(extending)[0])) == ["../template.ipynb", "../old/one.ipynb"]
    extending.write_text("extends: ../rubric.yaml\ntemplate: ../old/one.ipynb\n")
    assert list(load_templates(extending, load_rubric(extending)[0])) == ["../old/one.ipynb"]


LOOSER = "{training_lowers_the_loss: {zero_at: 2.0, full_at: 1.0}}"


def test_an_earlier_template_can_have_its_own_numbers(tmp_path: Path) -> None:
    path = write_exercise(tmp_path)
    path.write_text(path.read_text() + f"\nearlier_templates: {{old/one.ipynb: {{one.training: {LOOSER}}}}}\n")
    rubric, _ = load_rubric(path)
    earlier = rubric.for_template("one.ipynb")
    assert [item.id for item in earlier.items] == [item.id for item in rubric.items]
    differing = [
        (item.id, was.check, was.params, now.params)
        for item, other in zip(rubric.items, earlier.items, strict=True)
        for was, now in zip(item.checks, other.checks, strict=True)
        if was != now
    ]
    numbers = {"zero_at": 1.0, "full_at": 0.1}, {"zero_at": 2.0, "full_at": 1.0}
    assert differing == [("one.training", "training_lowers_the_loss", *numbers)]
    assert rubric.for_template("template.ipynb") == rubric.for_template("") == rubric


@pytest.mark.parametrize(
    ("section", "words"),
    [
        ("{old/one.ipynb: {one.trainin: {}}}", "unknown item 'one.trainin'; did you mean 'one.training'?"),
        ("{old/one.ipynb: {one.training: {lowers: {}}}}", "unknown check 'lowers'"),
        ("{old/one.ipynb: {one.training: {training_lowers_the_loss: {zero: 1}}}}", "unknown number 'zero'"),
        ("{old/one.ipynb: {one.training: {training_lowers_the_loss: {zero_at: 0.0}}}}", "zero_at above full_at"),
        (
            "{old/one.ipynb: {one.training: {training_lowers_the_loss: {points: 1}}}}",
            "points is the same for all templates",
        ),
        ("{old/template.ipynb: {}}", "another template has the same file name"),
        ("[old/one.ipynb]", "earlier_templates"),
    ],
)
def test_wrong_numbers_of_an_earlier_template_are_refused(tmp_path: Path, section: str, words: str) -> None:
    path = write_exercise(tmp_path)
    path.write_text(path.read_text() + f"\nearlier_templates: {section}\n")
    with pytest.raises(RubricError) as refused:
        load_rubric(path)
    assert words in str(refused.value)
    assert "\n" not in str(refused.value)
