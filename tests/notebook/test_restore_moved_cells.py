import copy
from typing import Any

import pytest
from handed_in_notebook import (
    TEMPLATE,
    anonymous,
    both_ways,
    edit,
    handed_in,
    kinds,
    merge,
    restore,
    script,
    sources,
)
from toy_notebook import cell_of, code_cell, index_of

from grader.errors import GraderError
from grader.notebook.restore import restore_given


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


def test_changed_provided_code_in_a_merged_cell_is_restored_and_the_rest_kept() -> None:
    notebook = edit(merge(handed_in(), "data", "model"), "data", "range(n)", "range(2 * n)")
    for restored in both_ways(notebook):
        assert kinds(restored) == ["given_cell_changed"]
        assert "the template's version was restored" in restored.remarks[0].message
        assert restored.remarks[0].diff == (
            " def load(n):",
            "-    return list(range(n))",
            "+    return list(range(2 * n))",
            " ",
        )
        assert script(restored) == script(restore(merge(handed_in(), "data", "model")))


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
        assert kinds(restored) == ["given_cell_duplicated"] * 2
        assert [remark.cell for remark in restored.remarks] == [5, 10]
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


def test_moved_cells_that_work_where_they_are_stay_there() -> None:
    notebook = handed_in()
    notebook["cells"].insert(2, notebook["cells"].pop(index_of(notebook, "train")))
    for restored in both_ways(notebook):
        assert kinds(restored) == ["cells_reordered"]
        assert "the order was kept" in restored.remarks[0].message
        assert restored.roles[2].id == "train"


@pytest.mark.parametrize("identity", ["constants", "data", "model", "train"])
def test_definitions_are_moved_above_the_cells_that_need_them(identity: str) -> None:
    notebook = handed_in()
    index = index_of(notebook, identity)
    notebook["cells"].append(notebook["cells"].pop(index))
    for restored in both_ways(notebook):
        assert kinds(restored) == ["cells_reordered"]
        assert "it was run before them" in restored.remarks[0].message
        assert restored.remarks[0].cell == len(notebook["cells"]) - 1
        exec(compile(script(restored), "toy", "exec"), {})


def test_training_placed_before_what_it_needs_is_run_after_it() -> None:
    notebook = handed_in()
    helper = code_cell("def squared(x):\n    return x ** 2")
    edit(notebook, "train", "model.forward(epoch) ** 2", "squared(model.forward(epoch))")
    trained = notebook["cells"].pop(index_of(notebook, "train-model"))
    notebook["cells"][index_of(notebook, "model") : index_of(notebook, "model")] = [trained]
    notebook["cells"].insert(index_of(notebook, "train"), helper)
    for restored in both_ways(notebook):
        assert set(kinds(restored)) == {"cells_reordered"}
        assert any("it was run after them" in remark.message for remark in restored.remarks)
        exec(compile(script(restored), "toy", "exec"), {})


def test_an_id_on_different_code_does_not_count() -> None:
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


def test_a_foreign_notebook_is_not_changed() -> None:
    notebook = {
        **handed_in(),
        "cells": [code_cell("print('hello')"), code_cell("class Model:\n    pass", "two")],
    }
    restored = restore(notebook)
    assert kinds(restored) == ["not_from_template"]
    assert restored.notebook["cells"] == notebook["cells"]


def test_colab_and_shell_lines_do_not_disturb_the_matching() -> None:
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
