import copy

import pytest
from handed_in_notebook import (
    TEMPLATE,
    both_ways,
    edit,
    handed_in,
    kinds,
    restore,
    script,
    sources,
)
from hypothesis import given
from hypothesis import strategies as st
from toy_notebook import Notebook, cell_of, code_cell, index_of, toy_reference


@pytest.mark.parametrize("notebook", [TEMPLATE, toy_reference(), handed_in()])
def test_an_unchanged_notebook_is_left_alone(notebook: Notebook) -> None:
    for restored in both_ways(copy.deepcopy(notebook)):
        assert restored.remarks == ()
        assert [c["source"] for c in restored.notebook["cells"]] == [c["source"] for c in notebook["cells"]]
        roles = [cell["metadata"]["grader"]["role"] for cell in TEMPLATE["cells"]]
        assert [role.role for role in restored.roles] == roles
        trained = restored.roles[index_of(toy_reference(), "train-model")]
        assert (trained.id, trained.part, trained.submitted) == ("train-model", "toy", 8)


@given(data=st.data())
def test_changes_that_editors_make_by_themselves_give_no_remark(data: st.DataObject) -> None:
    notebook = handed_in()
    for index, cell in enumerate(notebook["cells"]):
        lines = cell["source"].split("\n")
        ends = data.draw(st.lists(st.sampled_from(["", " ", "\t"]), min_size=len(lines), max_size=len(lines)))
        newline = data.draw(st.sampled_from(["\n", "\r\n"]))
        cell["source"] = newline.join(a + b for a, b in zip(lines, ends, strict=True)) + newline
        cell["source"] += "\n" * data.draw(st.integers(0, 2))
        cell["metadata"] = data.draw(st.sampled_from([{}, cell["metadata"]]))
        cell["id"] = data.draw(st.sampled_from([cell["id"], f"new-{index}"]))
    assert restore(notebook).remarks == ()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("'cpu'", '"cpu"  # mine'),
        ("import random\n\n", "import random\n\n\n# a comment\n"),
        ("print(f'on {DEVICE}')", "print(\n    f'on {DEVICE}',\n)"),
        ("import math", "%%time\nimport math"),
    ],
)
def test_comments_and_formatting_do_not_count_as_changes(old: str, new: str) -> None:
    restored = restore(edit(handed_in(), "setup", old, new))
    assert restored.remarks == ()
    assert new in cell_of(restored.notebook, "setup")["source"]


@pytest.mark.parametrize(
    ("identity", "old", "new"),
    [
        ("setup", "'cpu'", "'tpu'"),
        ("setup", "import random", "import random\n%matplotlib inline"),
        ("setup", "DEVICE = 'cpu'", "DEVICE = 'cpu"),
        ("data", "range(n)", "range(n + 1)"),
        ("train-model", "EPOCHS)", "1)"),
        ("train-model", "print(history)", "print(history)\nprint(history[-1])"),
        ("show-history", "max(history)", "history[0]"),
    ],
)
def test_changed_provided_code_is_restored_and_reported(identity: str, old: str, new: str) -> None:
    for restored in both_ways(edit(handed_in(), identity, old, new)):
        assert kinds(restored) == ["given_cell_changed"]
        index = index_of(toy_reference(), identity)
        assert restored.notebook["cells"][index]["source"] == cell_of(TEMPLATE, identity)["source"]
        assert restored.roles[index].id == identity
        (remark,) = restored.remarks
        assert remark.cell == index
        assert remark.message.startswith(f"Cell {index + 1} ('")
        assert not remark.needs_person


def test_definitions_added_to_a_provided_cell_move_after_it() -> None:
    added = "\nimport sys\n@staticmethod\ndef helper(x):\n    return x\n\nprint('mine')"
    for restored in both_ways(edit(handed_in(), "setup", "import random", "import random" + added)):
        assert kinds(restored) == ["given_cell_changed"]
        assert sources(restored, "extra") == ["import sys\n@staticmethod\ndef helper(x):\n    return x"]
        assert [role.role for role in restored.roles[:3]] == ["text", "given", "extra"]
        assert "helper, sys" in restored.remarks[0].message


def test_constants_keep_the_student_s_values_and_are_reported_old_and_new() -> None:
    notebook = edit(handed_in(), "constants", "EPOCHS = 3\nRATE = 1e-3", "EPOCHS: int = 30\nRATE = 0.001")
    notebook["cells"].append(code_cell("SIZE = 8"))
    for restored in both_ways(notebook):
        assert [(remark.kind, remark.cell) for remark in restored.remarks] == [
            ("constant_changed", 2),
            ("constant_changed", 12),
        ]
        assert "EPOCHS to 30 (template: 3)" in restored.remarks[0].message
        assert "EPOCHS: int = 30" in script(restored)


def test_a_removed_constant_is_reported() -> None:
    restored = restore(edit(handed_in(), "constants", "RATE = 1e-3", ""))
    assert [remark.message for remark in restored.remarks] == ["The constant RATE = 0.001 was removed."]


def test_a_deleted_show_cell_is_reported_and_stays_away() -> None:
    notebook = handed_in()
    del notebook["cells"][index_of(notebook, "show-history")]
    assert kinds(restore(notebook)) == ["show_cell_missing"]


def test_an_independent_notebook_for_the_same_interface_is_not_changed() -> None:
    notebook = handed_in()
    for identity in ("setup", "constants", "data", "train-model", "show-history"):
        del notebook["cells"][index_of(notebook, identity)]
    restored = restore(notebook)
    assert kinds(restored) == ["not_from_template"]
    assert len(restored.notebook["cells"]) == len(notebook["cells"])


def test_deleted_provided_cells_are_restored() -> None:
    notebook = handed_in()
    for identity in ("setup", "constants", "train-model"):
        del notebook["cells"][index_of(notebook, identity)]
    for restored in both_ways(notebook):
        assert kinds(restored) == ["given_cell_missing"] * 3
        roles = [role.role for role in restored.roles if role.role != "text"]
        assert roles == ["given", "constants", "given", "task", "task", "train", "show", "task", "show"]
        exec(compile(script(restored), "toy", "exec"), {})


def test_a_deleted_task_cell_is_reported_and_stays_away() -> None:
    notebook = handed_in()
    del notebook["cells"][index_of(notebook, "model")]
    for restored in both_ways(notebook):
        assert kinds(restored) == ["task_cell_missing"]
        assert "class Model" not in script(restored)
