import copy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from toy_notebook import Notebook, cell_of, code_cell, index_of, toy_reference

from grader.errors import GraderError
from grader.notebook.restore import Restored, restore_given
from grader.notebook.template import make_template, strip_markers

TEMPLATE = make_template(toy_reference())


def handed_in() -> Notebook:
    """An honest submission."""
    return strip_markers(toy_reference())


def anonymous(notebook: Notebook) -> Notebook:
    """The notebook after an editor that keeps neither ids nor metadata."""
    for index, cell in enumerate(notebook["cells"]):
        cell["id"] = f"new-{index}"
        cell["metadata"] = {}
    return notebook


def restore(notebook: Notebook) -> Restored:
    restored = restore_given(notebook, TEMPLATE)
    assert len(restored.roles) == len(restored.notebook["cells"])
    assert len({cell["id"] for cell in restored.notebook["cells"]}) == len(restored.roles)
    return restored


def kinds(restored: Restored) -> list[str]:
    return [remark.kind for remark in restored.remarks]


def sources(restored: Restored, role: str) -> list[str]:
    cells = zip(restored.notebook["cells"], restored.roles, strict=True)
    return [cell["source"] for cell, is_ in cells if is_.role == role]


def script(restored: Restored) -> str:
    """The code cells in order, as one program."""
    return "\n".join(c["source"] for c in restored.notebook["cells"] if c["cell_type"] == "code")


def merge(notebook: Notebook, *identities: str) -> Notebook:
    """Joins cells into the first of them."""
    first = cell_of(notebook, identities[0])
    first["source"] = "\n\n".join(cell_of(notebook, identity)["source"] for identity in identities)
    notebook["cells"] = [cell for cell in notebook["cells"] if cell["id"] not in identities[1:]]
    return notebook


def edit(notebook: Notebook, identity: str, old: str, new: str) -> Notebook:
    cell = cell_of(notebook, identity)
    assert old in cell["source"]
    cell["source"] = cell["source"].replace(old, new)
    return notebook


def both_ways(notebook: Notebook) -> list[Restored]:
    return [restore(copy.deepcopy(notebook)), restore(anonymous(notebook))]


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
@settings(max_examples=200, deadline=None)
def test_what_editors_do_by_themselves_gives_no_remark(data: st.DataObject) -> None:
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
def test_comments_and_formatting_are_no_change(old: str, new: str) -> None:
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
def test_changed_given_code_is_restored_and_reported(identity: str, old: str, new: str) -> None:
    for restored in both_ways(edit(handed_in(), identity, old, new)):
        assert kinds(restored) == ["given_cell_changed"]
        index = index_of(toy_reference(), identity)
        assert restored.notebook["cells"][index]["source"] == cell_of(TEMPLATE, identity)["source"]
        assert restored.roles[index].id == identity
        (remark,) = restored.remarks
        assert remark.cell == index
        assert remark.message.startswith(f"Cell {index + 1} ('")
        assert not remark.needs_person


def test_definitions_added_to_a_given_cell_move_after_it() -> None:
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
        assert "EPOCHS to 30; the template gives 3" in restored.remarks[0].message
        assert "EPOCHS: int = 30" in script(restored)


def test_a_removed_constant_is_reported() -> None:
    restored = restore(edit(handed_in(), "constants", "RATE = 1e-3", ""))
    assert [remark.message for remark in restored.remarks] == ["The constant RATE = 0.001 was removed."]


def test_a_deleted_show_cell_is_reported_and_stays_away() -> None:
    notebook = handed_in()
    del notebook["cells"][index_of(notebook, "show-history")]
    assert kinds(restore(notebook)) == ["show_cell_missing"]


def test_a_notebook_written_by_itself_for_the_same_interface_is_left_as_it_is() -> None:
    notebook = handed_in()
    for identity in ("setup", "constants", "data", "train-model", "show-history"):
        del notebook["cells"][index_of(notebook, identity)]
    restored = restore(notebook)
    assert kinds(restored) == ["not_from_template"]
    assert len(restored.notebook["cells"]) == len(notebook["cells"])


def test_deleted_given_cells_are_put_back_in_place() -> None:
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


@pytest.mark.parametrize(
    "identities",
    [
        ("setup", "constants"),
        ("setup", "constants", "data"),
        ("data", "model"),
        ("model", "train"),
        ("train", "train-model"),
        ("train-model", "show-history"),
        ("sample", "show-samples"),
        (
            "setup",
            "constants",
            "data",
            "model",
            "train",
            "train-model",
            "show-history",
            "sample",
            "show-samples",
        ),
    ],
)
def test_merged_cells_run_once_and_give_no_remark(identities: tuple[str, ...]) -> None:
    for restored in both_ways(merge(handed_in(), *identities)):
        assert restored.remarks == ()
        assert script(restored).count("history = train(") == 1
        assert script(restored).count("def load") == 1
        assert [role.part for role in restored.roles if role.role == "train"] == ["toy"]


def test_training_merged_with_definitions_is_cut_out() -> None:
    restored = restore(merge(handed_in(), "model", "train", "train-model", "show-history"))
    (trained,) = sources(restored, "train")
    assert trained.strip().startswith("model = Model(SIZE)")
    assert trained.strip().endswith("print(history)")
    assert any("class Model" in source for source in sources(restored, "task"))


def test_a_task_cell_that_trains_as_well_is_cut_too() -> None:
    notebook = handed_in()
    cell_of(notebook, "train")["source"] += "\n\nquick = train(Model(2), batches, 1)"
    for restored in both_ways(notebook):
        assert [role.role for role in restored.roles[7:10]] == ["task", "train", "train"]
        assert script(restored).count("def train(") == 1


def test_a_flood_of_changes_is_reported_in_a_few_remarks() -> None:
    notebook = handed_in()
    notebook["cells"] += [code_cell("EPOCHS = 9\n" * 50, f"flood-{n}") for n in range(50)]
    assert kinds(restore(notebook)) == ["constant_changed"] * 5


def test_changed_given_code_in_a_merged_cell_is_reported_and_run_as_is() -> None:
    notebook = edit(merge(handed_in(), "data", "model"), "data", "range(n)", "range(2 * n)")
    for restored in both_ways(notebook):
        assert kinds(restored) == ["given_cell_changed"]
        assert "run as is" in restored.remarks[0].message
        assert "range(2 * n)" in script(restored)


@pytest.mark.parametrize(("identity", "first_lines"), [("data", 7), ("setup", 3), ("train-model", 1), ("model", 1)])
def test_split_cells_give_no_remark(identity: str, first_lines: int) -> None:
    notebook = handed_in()
    index = index_of(notebook, identity)
    lines = notebook["cells"][index]["source"].split("\n")
    if identity == "model":
        lines = [*lines, "", "another = 1"]
        first_lines = len(lines) - 1
    notebook["cells"][index]["source"] = "\n".join(lines[:first_lines])
    notebook["cells"].insert(index + 1, code_cell("\n".join(lines[first_lines:])))
    for restored in both_ways(notebook):
        assert restored.remarks == ()
        assert len(restored.notebook["cells"]) == 13
        assert [c["source"] for c in restored.notebook["cells"]] == [c["source"] for c in notebook["cells"]]


def test_duplicates_are_kept_and_named() -> None:
    notebook = handed_in()
    for identity in ("data", "train-model"):
        index = index_of(notebook, identity)
        copied: dict[str, Any] = copy.deepcopy(notebook["cells"][index])
        copied["id"] = f"copy-{identity}"  # an editor copies the metadata along
        notebook["cells"].insert(index + 1, copied)
    for restored in both_ways(notebook):
        assert restored.remarks == ()
        assert [role.role for role in restored.roles if role.role in ("given", "train", "extra")] == [
            "given", "given", "extra", "train", "train",
        ]  # fmt: skip


def test_an_extra_cell_that_trains_has_role_train() -> None:
    notebook = handed_in()
    notebook["cells"].append(code_cell("%%time\nmore = train(model, batches, 1)"))
    for restored in both_ways(notebook):
        assert (restored.roles[-1].role, restored.roles[-1].id, restored.roles[-1].part) == (
            "train",
            None,
            "toy",
        )
        assert restored.remarks == ()


def test_moved_cells_stay_where_the_student_put_them() -> None:
    notebook = handed_in()
    notebook["cells"].append(notebook["cells"].pop(index_of(notebook, "model")))
    for restored in both_ways(notebook):
        assert kinds(restored) == ["cells_reordered"]
        assert restored.roles[-1].id == "model"


def test_an_id_on_other_code_is_not_believed() -> None:
    notebook = handed_in()
    cell_of(notebook, "data")["source"] = "for k in range(3):\n    print('something else entirely', k)"
    restored = restore(notebook)
    assert kinds(restored) == ["given_cell_missing"]
    assert cell_of(TEMPLATE, "data")["source"] in sources(restored, "given")
    assert "something else" in sources(restored, "extra")[0]


def test_a_broken_task_cell_is_still_the_task() -> None:
    notebook = edit(handed_in(), "model", "for w in self.weight)", "for w in self.weight")
    for restored in both_ways(notebook):
        assert restored.remarks == ()
        assert restored.roles[6].role == "task"


def test_a_foreign_notebook_is_not_touched() -> None:
    notebook = {
        **handed_in(),
        "cells": [code_cell("print('hello')"), code_cell("class Model:\n    pass", "two")],
    }
    restored = restore(notebook)
    assert kinds(restored) == ["not_from_template"]
    assert restored.notebook["cells"] == notebook["cells"]


def test_colab_and_shell_lines_do_not_get_in_the_way() -> None:
    notebook = handed_in()
    extra = "!pip install \\\n  torch\nif DEVICE == 'gpu':\n    !nvidia-smi\nfiles = !ls\nprint?\n%matplotlib inline"
    notebook["cells"].insert(1, code_cell(extra))
    notebook["cells"].insert(1, code_cell("%%bash\nclass Model", "bash"))
    for restored in both_ways(notebook):
        assert restored.remarks == ()
        assert sources(restored, "extra") == ["%%bash\nclass Model", extra]


@pytest.mark.parametrize(
    "source",
    [
        "x = " + "(" * 90_000,
        "x = " + "-" * 90_000 + "1",
        "x = " + "1+" * 45_000 + "1",
        "x" + ".x" * 45_000,
        "x" + "()" * 45_000,
        "x = " + "lambda: " * 10_000 + "1",
        "if 1:\n  pass\n" + "elif 1:\n  pass\n" * 6_000,
        "x = '\\d'\ny = 1 is 1\n\0",
        "x = " + "=" * 90_000,
        " " * 90_000 + "x",
        "#" + " #" * 40_000,
        "\n".join(" " * n + "if 1:" for n in range(400)),
        "x = [" * 5_000,
        "f'" + "{" * 50_000,
        "# Title" + " #" * 40_000 + " x",
        "\n" * 90_000,
        "\ud800 = 1",
    ],
)
def test_hostile_sources_are_bounded(source: str) -> None:
    notebook = handed_in()
    notebook["cells"] += [code_cell(source, f"hostile-{n}") for n in range(5)]
    cell_of(notebook, "setup")["source"] = source
    cell_of(notebook, "data-text")["source"] = source
    restore(notebook)


def test_a_template_without_roles_is_our_fault() -> None:
    with pytest.raises(GraderError, match=r"no metadata\.grader\.role"):
        restore_given(handed_in(), anonymous(handed_in()))
