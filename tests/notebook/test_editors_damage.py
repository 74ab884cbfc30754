"""Changes that editors make to the whole notebook do not affect the code that is run, and raise no suspicion."""

from __future__ import annotations

import ast
import copy
import json
import subprocess
import sys
from pathlib import Path

import pytest
from whole_notebook import (
    Damage,
    Notebook,
    all_in_one,
    anonymous,
    cell_of,
    code_of,
    cut,
    every_source,
    handed_in,
    join,
    meaning,
    solved,
    starts,
    template,
    trained,
)

from grader.notebook.format import is_code, source_of


def metadata_stripped(notebook: Notebook) -> Notebook:
    for cell in notebook["cells"]:
        cell["metadata"] = {}
    return {**notebook, "metadata": {}}


def ids_missing(notebook: Notebook) -> Notebook:
    for cell in anonymous(notebook)["cells"]:
        del cell["id"]
    return {**notebook, "nbformat_minor": 4}


def saved_by_a_newer_jupyter(notebook: Notebook) -> Notebook:
    return {**notebook, "nbformat_minor": 99, "new_key": {"of": "that format"}}


def crlf(notebook: Notebook) -> Notebook:
    return every_source(anonymous(notebook), lambda source: source.replace("\n", "\r\n"))


def trailing_spaces(notebook: Notebook) -> Notebook:
    return every_source(anonymous(notebook), lambda source: "".join(f"{line} \t\n" for line in source.split("\n")))


def tabs_for_spaces(notebook: Notebook) -> Notebook:
    def tabs(source: str) -> str:
        return "\n".join("\t" * ((len(x) - len(x.lstrip(" "))) // 4) + x.lstrip(" ") for x in source.split("\n"))

    return every_source(anonymous(notebook), tabs)


def formatted_without_comments(notebook: Notebook) -> Notebook:
    return every_source(anonymous(notebook), lambda source: ast.unparse(ast.parse(source)))


def formatted_by_a_tool(notebook: Notebook) -> Notebook:
    command = [
        sys.executable,
        "-m",
        "ruff",
        "format",
        "--isolated",
        "--line-length=40",
        "--stdin-filename=x.ipynb",
        "-",
    ]
    done = subprocess.run(command, input=json.dumps(anonymous(notebook)), capture_output=True, text=True, check=True)
    return dict(json.loads(done.stdout))


def colab(notebook: Notebook) -> Notebook:
    for index, cell in enumerate(notebook["cells"]):
        cell["metadata"] = {"id": f"aB{index}", "colab": {"base_uri": "https://localhost:8080/"}, "outputId": "x"}
    notebook["metadata"] = {"colab": {"provenance": []}, "accelerator": "GPU", "kernelspec": {"name": "python3"}}
    return {**notebook, "nbformat_minor": 0}


def vs_code(notebook: Notebook) -> Notebook:
    for cell in notebook["cells"]:
        cell["metadata"] = {"vscode": {"languageId": "python"}, "execution": {"iopub.status.busy": "2026"}}
    return {**notebook, "metadata": {"vscode": {"interpreter": {"hash": "0" * 64}}}}


def each_cell_split_in_two(notebook: Notebook) -> Notebook:
    for cell in code_of(anonymous(notebook)):
        lines = starts(source_of(cell))
        if len(lines) > 1:
            cut(notebook, cell, [lines[len(lines) // 2]])
    return notebook


def each_statement_a_cell(notebook: Notebook) -> Notebook:
    for cell in code_of(anonymous(notebook)):
        cut(notebook, cell, starts(source_of(cell))[1:])
    return notebook


def all_merged(notebook: Notebook) -> Notebook:
    return all_in_one(anonymous(notebook))


def all_merged_and_formatted(notebook: Notebook) -> Notebook:
    return formatted_without_comments(all_merged(notebook))


def merged_in_pairs(notebook: Notebook) -> Notebook:
    cells = code_of(anonymous(notebook))
    for first, second in zip(cells[::2], cells[1::2], strict=False):
        join(notebook, [first, second])
    return notebook


def text_deleted(notebook: Notebook) -> Notebook:
    return {**notebook, "cells": code_of(anonymous(notebook))}


def sources_as_lists(notebook: Notebook) -> Notebook:
    return every_source(notebook, lambda source: source.splitlines(keepends=True))


def percent_headers(notebook: Notebook) -> Notebook:
    return every_source(anonymous(notebook), lambda source: f"# %% [cell]\n{source}\n\n# %%\n")


def comments_deleted_and_added(notebook: Notebook) -> Notebook:
    def comments(source: str) -> str:
        kept = [line for line in source.split("\n") if not line.lstrip().startswith("#")]
        return "# mine\n" + "\n".join(kept) + "\n\t# indented by a tab"

    return every_source(anonymous(notebook), comments)


HARMLESS: list[Damage] = [
    metadata_stripped, ids_missing, saved_by_a_newer_jupyter, crlf, trailing_spaces, tabs_for_spaces,
    formatted_without_comments, formatted_by_a_tool, colab, vs_code, each_cell_split_in_two, each_statement_a_cell,
    all_merged, all_merged_and_formatted, merged_in_pairs, text_deleted, sources_as_lists, percent_headers,
    comments_deleted_and_added,
]  # fmt: skip


@pytest.mark.parametrize("start", [solved, template])
@pytest.mark.parametrize("damage", HARMLESS, ids=lambda damage: damage.__name__)
def test_harmless_damage_does_not_count_as_tampering_and_the_same_code_runs(
    tmp_path: Path, damage: Damage, start: Damage
) -> None:
    whole = handed_in(start(), tmp_path)[1]  # type: ignore[call-arg]
    restored = handed_in(damage(start()), tmp_path)[1]  # type: ignore[call-arg]
    assert restored.remarks == ()
    assert meaning(restored) == meaning(whole)
    assert trained(restored) == {"vae": ["train_vae"], "cvae": ["train_cvae"]}


@pytest.mark.parametrize("first", range(23))
def test_any_two_neighbours_can_be_merged(tmp_path: Path, first: int) -> None:
    notebook = anonymous(solved())
    cells = code_of(notebook)
    restored = handed_in(join(notebook, cells[first : first + 2]), tmp_path)[1]
    assert restored.remarks == ()
    assert meaning(restored) == meaning(handed_in(solved(), tmp_path)[1])


@pytest.mark.parametrize("index", [n for n, cell in enumerate(code_of(solved())) if len(starts(source_of(cell))) > 1])
def test_a_cell_can_be_split_between_any_two_statements(tmp_path: Path, index: int) -> None:
    whole = meaning(handed_in(solved(), tmp_path)[1])
    for line in starts(source_of(code_of(solved())[index]))[1:]:
        notebook = anonymous(solved())
        restored = handed_in(cut(notebook, code_of(notebook)[index], [line]), tmp_path)[1]
        assert restored.remarks == ()
        assert meaning(restored) == whole


def test_a_provided_cell_turned_into_text_is_restored(tmp_path: Path) -> None:
    for kind in ("raw", "markdown"):
        notebook = solved()
        cell_of(notebook, "data")["cell_type"] = kind
        restored = handed_in(notebook, tmp_path)[1]
        assert [remark.kind for remark in restored.remarks] == ["given_cell_missing"]
        assert meaning(restored) == meaning(handed_in(solved(), tmp_path)[1])


@pytest.mark.parametrize("kind", ["raw", "markdown"])
@pytest.mark.parametrize("change", ["as it is", "fenced", "without its id", "below a heading"])
def test_a_solution_turned_into_text_is_run_as_code(tmp_path: Path, kind: str, change: str) -> None:
    for identity in ("encoder", "loss", "conditional-sample"):
        notebook = solved()
        cell = cell_of(notebook, identity)
        source = source_of(cell)
        cell["cell_type"] = kind
        if change == "fenced":
            cell["source"] = f"```python\n{source}\n```"
        elif change == "without its id":
            cell["id"], cell["metadata"] = "another", {}
        elif change == "below a heading":
            notebook["cells"].insert(notebook["cells"].index(cell), {"cell_type": "markdown", "source": "# Mine"})
        restored = handed_in(notebook, tmp_path)[1]
        assert [remark.kind for remark in restored.remarks] == ["text_run_as_code"]
        assert "was run as code" in restored.remarks[0].message
        assert meaning(restored) == meaning(handed_in(solved(), tmp_path)[1])


def test_text_stays_text_beside_the_submitted_cell(tmp_path: Path) -> None:
    notebook = solved()
    at = notebook["cells"].index(cell_of(notebook, "loss"))
    for text in (
        "def vae_loss(x_hat, x, mu, logvar):\n    return 0, 0, 0",
        "class Encoder: pass",
        "a note on `vae_loss`",
    ):
        notebook["cells"].insert(
            at, {"cell_type": "markdown", "id": f"old-{len(text)}", "metadata": {}, "source": text}
        )
    restored = handed_in(notebook, tmp_path)[1]
    assert restored.remarks == ()
    assert meaning(restored) == meaning(handed_in(solved(), tmp_path)[1])


def test_a_text_instead_of_a_task_that_is_no_code_is_missing(tmp_path: Path) -> None:
    notebook = solved()
    cell_of(notebook, "loss").update(cell_type="markdown", source="I did not manage the loss.")
    restored = handed_in(notebook, tmp_path)[1]
    assert [remark.kind for remark in restored.remarks] == ["task_cell_missing"]
    assert "The loss (5 points)" in restored.remarks[0].message


@pytest.mark.parametrize("first", ["%%timeit", "%%timeit -n1 -r1", "\n%%timeit  -n 3"])
def test_a_cell_that_is_timed_is_run_once_and_defines_its_names(tmp_path: Path, first: str) -> None:
    for identity in ("setup", "encoder", "train-vae"):
        notebook = solved()
        cell = cell_of(notebook, identity)
        cell["source"] = f"{first}\n{source_of(cell)}"
        submission, restored = handed_in(notebook, tmp_path)
        assert [remark.kind for remark in submission.remarks] == ["timed_cell"]
        assert [remark.kind for remark in restored.remarks] == []
        assert meaning(restored) == meaning(handed_in(solved(), tmp_path)[1])


@pytest.mark.parametrize("identity", [cell["id"] for cell in code_of(solved())])
def test_any_cell_can_be_moved_to_the_end_and_all_cells_still_run(tmp_path: Path, identity: str) -> None:
    for damage in (copy.deepcopy, anonymous):
        notebook = solved()
        cell = cell_of(notebook, identity)
        notebook["cells"].remove(cell)
        notebook["cells"].append(cell)
        restored = handed_in(damage(notebook), tmp_path)[1]
        assert {remark.kind for remark in restored.remarks} <= {"cells_reordered"}
        assert unbound(restored.notebook) == set()
        assert sorted(meaning(restored)) == sorted(meaning(handed_in(solved(), tmp_path)[1]))


def unbound(notebook: Notebook) -> set[str]:
    """Names that top-level code, functions' bodies aside, uses before anything has bound them."""
    bound = set(dir(__builtins__) if not isinstance(__builtins__, dict) else __builtins__)
    missing = set()
    for cell in filter(is_code, notebook["cells"]):
        for statement in ast.parse(source_of(cell)).body:
            if isinstance(statement, ast.FunctionDef):
                bound.add(statement.name)
                continue
            names = [node for node in ast.walk(statement) if isinstance(node, ast.Name)]
            stored = {node.id for node in names if isinstance(node.ctx, ast.Store)}
            aliases = {a.asname or a.name for a in getattr(statement, "names", []) if isinstance(a, ast.alias)}
            if isinstance(statement, ast.ClassDef):
                bound.add(statement.name)
                continue
            missing |= {node.id for node in names if isinstance(node.ctx, ast.Load)} - bound - stored
            bound |= stored | aliases
    return missing
