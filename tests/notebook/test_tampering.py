"""Edits that change the meaning of provided code: the code that is run instead, and the notes for staff."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
from whole_notebook import (
    Damage,
    all_in_one,
    anonymous,
    cell_of,
    code_of,
    cut,
    edit,
    handed_in,
    meaning,
    solved,
    starts,
)

from grader.notebook.format import source_of
from grader.notebook.restore import RestoredNotebook
from grader.records import Notebook

CHANGES = [
    ("data", "load_mnist(train=True)", "load_mnist(train=False)"),
    ("data", "train=train, download", "train=not train, download"),
    ("data", "Batches(train_images, train_labels, BATCH_SIZE)", "Batches(test_images, test_labels, 1)"),
    ("setup", "torch.manual_seed(0)", "torch.manual_seed(42)"),
    ("setup", "NUM_CLASSES = 10", "NUM_CLASSES = 2"),
    ("train-vae", "VAE(LATENT_DIM)", "VAE(784)"),
    ("train-vae", "EPOCHS)", "100)"),
    ("train-cvae", "cvae.eval()", "cvae.train()"),
    ("plots", "1 - picture", "picture"),
    ("show-vae-latent", "c=test_labels.cpu()", "c=test_labels.cpu() * 0"),
]


def as_it_is(notebook: Notebook) -> Notebook:
    return notebook


def by_an_editor_without_ids(notebook: Notebook) -> Notebook:
    return anonymous(notebook)


def merged_with_its_neighbours(notebook: Notebook) -> Notebook:
    return all_in_one(anonymous(notebook))


def restored_from(notebook: Notebook, folder: Path) -> RestoredNotebook:
    return handed_in(notebook, folder)[1]


def kinds(restored: RestoredNotebook) -> list[str]:
    return [remark.kind for remark in restored.remarks]


@pytest.mark.parametrize("damage", [as_it_is, by_an_editor_without_ids, merged_with_its_neighbours])
@pytest.mark.parametrize(("identity", "old", "new"), CHANGES)
def test_changed_provided_code_is_restored_and_shown(
    tmp_path: Path, identity: str, old: str, new: str, damage: Damage
) -> None:
    restored = restored_from(damage(edit(solved(), identity, old, new)), tmp_path)
    assert meaning(restored) == meaning(restored_from(solved(), tmp_path))
    assert kinds(restored) == ["given_cell_changed"]
    (remark,) = restored.remarks
    assert remark.message.startswith("Cell ")
    assert any(line.startswith("-") and old in line for line in remark.diff)
    assert any(line.startswith("+") and new in line for line in remark.diff)
    assert not remark.needs_person


def test_several_changes_in_one_merged_cell_are_all_restored(tmp_path: Path) -> None:
    notebook = solved()
    for identity, old, new in CHANGES[:1] + CHANGES[2:5]:
        edit(notebook, identity, old, new)
    edit(notebook, "train-vae", "vae.eval()", "")
    restored = restored_from(all_in_one(anonymous(notebook)), tmp_path)
    assert meaning(restored) == meaning(restored_from(solved(), tmp_path))
    assert kinds(restored) == ["given_cell_changed"]


def test_provided_code_that_cannot_be_cut_out_needs_review(tmp_path: Path) -> None:
    notebook = edit(solved(), "data", "test_images, test_labels = load_mnist(train=False)", "a = 1; test_images = a")
    restored = restored_from(all_in_one(anonymous(notebook)), tmp_path)
    assert [remark.needs_person for remark in restored.remarks if remark.kind == "given_cell_changed"] == [True]
    assert "ran as is" in restored.remarks[0].message


@pytest.mark.parametrize(
    ("name", "given", "mine"), [("EPOCHS", "7", "30"), ("LATENT_DIM", "8", "784"), ("LEARNING_RATE", "0.002", "0.1")]
)
def test_a_changed_constant_is_kept_and_reported_with_both_values(
    tmp_path: Path, name: str, given: str, mine: str
) -> None:
    written = "2e-3" if name == "LEARNING_RATE" else given
    for damage in (as_it_is, all_in_one):
        restored = restored_from(
            damage(edit(solved(), "constants", f"{name} = {written}", f"{name} = {mine}")), tmp_path
        )
        assert kinds(restored) == ["constant_changed"]
        sentence = f"sets {name} to {mine} (template: {given}); the student's value was kept"
        assert sentence in restored.remarks[0].message


@pytest.mark.parametrize("identity", ["setup", "constants", "data", "plots", "train-vae"])
def test_a_deleted_provided_cell_is_restored(tmp_path: Path, identity: str) -> None:
    for damage in (as_it_is, by_an_editor_without_ids):
        notebook = solved()
        notebook["cells"].remove(cell_of(notebook, identity))
        restored = restored_from(damage(notebook), tmp_path)
        assert kinds(restored) == ["given_cell_missing"]
        assert f"({identity})" in restored.remarks[0].message
        assert meaning(restored) == meaning(restored_from(solved(), tmp_path))


@pytest.mark.parametrize("changed_is_first", [True, False])
def test_a_changed_copy_of_a_provided_cell_is_reported_and_training_on_it_needs_review(
    tmp_path: Path, changed_is_first: bool
) -> None:
    notebook = solved()
    copied = {**copy.deepcopy(cell_of(notebook, "data")), "id": "copied"}
    notebook["cells"].insert(notebook["cells"].index(cell_of(notebook, "data")) + 1, copied)
    edit(notebook, "data" if changed_is_first else "copied", "train=True", "train=False")
    restored = restored_from(notebook, tmp_path)
    if changed_is_first:
        assert kinds(restored) == ["given_cell_changed", "given_cell_duplicated"]
        assert "load_mnist(train=True)" in source_of(restored.notebook["cells"][6])
    else:
        assert kinds(restored) == ["given_name_redefined"]
        assert "train_images, train_labels" in restored.remarks[0].message
        assert restored.remarks[0].needs_person


def extra(source: str) -> Notebook:
    return {"cell_type": "code", "id": "mine", "metadata": {}, "source": source, "outputs": [], "execution_count": None}


def with_extra(source: str, after: str) -> Notebook:
    notebook = solved()
    notebook["cells"].insert(notebook["cells"].index(cell_of(notebook, after)) + 1, extra(source))
    return notebook


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("train_images, train_labels = test_images, test_labels", "train_images, train_labels"),
        ("train_batches = Batches(test_images, test_labels, 128)", "train_batches"),
        ("class Batches:\n    pass", "Batches"),
        ("train_batches.images = test_images", "train_batches"),
        ("train_images[:10000] = test_images", "train_images"),
        ("import mine as torch", "torch"),
        ("from mine import *\nfrom mine import load_mnist", "load_mnist"),
        ("for train_batches in [[]]:\n    pass", "train_batches"),
    ],
)
def test_redefined_provided_names_that_training_needs_are_kept_and_reported(
    tmp_path: Path, source: str, names: str
) -> None:
    restored = restored_from(with_extra(source, "plots"), tmp_path)
    assert [(remark.kind, remark.needs_person) for remark in restored.remarks] == [("given_name_redefined", True)]
    assert f"redefines or changes {names}, which the provided code defines" in restored.remarks[0].message
    assert source in [source_of(cell) for cell in restored.notebook["cells"]]


@pytest.mark.parametrize(
    ("source", "after"),
    [
        ("def show_images(images, **_):\n    pass", "plots"),
        ("train_images = train_images.cpu()", "train-cvae"),
    ],
)
def test_redefined_names_that_no_training_needs_give_no_manual_review(tmp_path: Path, source: str, after: str) -> None:
    restored = restored_from(with_extra(source, after), tmp_path)
    assert [(remark.kind, remark.needs_person) for remark in restored.remarks] == [("given_name_redefined", False)]


@pytest.mark.parametrize(
    "source",
    [
        "import torch\nimport torch.nn.functional as F\nfrom torch import nn\nimport matplotlib.pyplot as plt",
        "plt.rcParams['figure.dpi'] = 120\ntorch.backends.cudnn.benchmark = True",
        'DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")',
        "images = train_images[:100]\nmine = Batches(images, train_labels[:100], 10)",
        "def smoothed(train_images):\n    return train_images.mean()",
        "mu = logvar = x_hat = pairs = None",
    ],
)
def test_ordinary_extra_cells_give_no_remark(tmp_path: Path, source: str) -> None:
    assert restored_from(with_extra(source, "plots"), tmp_path).remarks == ()


def test_a_provided_cell_split_with_one_piece_changed_is_reported(tmp_path: Path) -> None:
    notebook = edit(anonymous_free(solved()), "data", "load_mnist(train=True)", "load_mnist(train=False)")
    cell = cell_of(notebook, "data")
    restored = restored_from(cut(notebook, cell, [starts(source_of(cell))[2]]), tmp_path)
    assert restored.remarks != ()
    assert any("train_images" in remark.message or remark.diff for remark in restored.remarks)


def anonymous_free(notebook: Notebook) -> Notebook:
    for cell in code_of(notebook):
        cell["metadata"] = {}
    return notebook


@pytest.mark.parametrize("identity", ["setup", "constants", "data", "encoder", "vae", "loss", "train"])
def test_cells_moved_below_what_needs_them_run_above_it_and_are_reported(tmp_path: Path, identity: str) -> None:
    notebook = solved()
    cell = cell_of(notebook, identity)
    notebook["cells"].remove(cell)
    notebook["cells"].append(cell)
    restored = restored_from(notebook, tmp_path)
    assert kinds(restored) == ["cells_reordered"]
    assert "it was run before them" in restored.remarks[0].message
    assert restored.remarks[0].cell == len(notebook["cells"]) - 1
    order = [role.id for role in restored.roles]
    assert order.index(identity) < order.index("train-vae")
