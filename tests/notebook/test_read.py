import copy
import json
import os
from pathlib import Path
from typing import Any

import nbformat
import pytest
from hypothesis import given
from hypothesis import strategies as st
from toy_notebook import Notebook, toy_reference

from grader.errors import SubmissionError
from grader.notebook.read import read_submission, safe_name
from grader.notebook.restore import restore_given
from grader.notebook.solution_regions import strip_markers
from grader.notebook.template import make_template
from grader.records import Submission


def read(path: Path) -> Submission:
    return read_submission(path, max_mb=1, max_cells=50)


def saved(tmp_path: Path, content: bytes | str | object, name: str = "student.ipynb") -> Path:
    path = tmp_path / name
    if not isinstance(content, bytes | str):
        content = json.dumps(content)
    path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))
    return path


def notebook(**changes: object) -> Notebook:
    return {**strip_markers(toy_reference()), **changes}


def with_cell(**changes: object) -> Notebook:
    notebook_with_cell = notebook()
    notebook_with_cell["cells"][1] |= changes
    return notebook_with_cell


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "is empty"),
        (b" " * 1_000_001, "expected at most 1 MB"),
        (b"\xff\xfe{\x00}\x00", "UTF-16"),
        ('{"cells": "é"}'.encode("latin-1"), "not UTF-8"),
        (b"import torch\n", "is not JSON"),
        (b'{"cells": [', "is not JSON"),
        (b"<!DOCTYPE html><html>", "a web page"),
        (b"%PDF-1.4", "a PDF"),
        (b"[" * 100_000, "nested too deep"),
        (b"[]," * 300_000, "is not JSON"),
        (b'{"a":' * 100_000, "nested too deep"),
        (b"1" * 5000, "got NoneType"),
        (b"[1, 2]", "got list"),
        (b"42", "got int"),
        (b"null", "got NoneType"),
        (b"{}", "no list of cells"),
        ({"error": {"code": 404, "message": "not found"}}, "no list of cells"),
        (
            {"nbformat": 3, "worksheets": [{"cells": []}]},
            "format 3, expected 4; open it in a current Jupyter",
        ),
        ({"worksheets": []}, "format 3"),
        (notebook(nbformat=5), "expected 4"),
        (b'{"nbformat": 1' + b"0" * 4000 + b"}", "expected 4"),
        (notebook(cells={}), "no list of cells"),
        (notebook(cells=[]), "no code cell"),
        (notebook(cells=toy_reference()["cells"][:1]), "no code cell"),
        (notebook(cells=[{}] * 51), "51 cells, expected at most 50"),
        (
            notebook(metadata={"kernelspec": {"language": "R", "name": "ir"}}),
            "written for R, expected Python",
        ),
        (
            notebook(metadata={"kernelspec": {"name": "ir"}}, cells=[{"cell_type": "code", "source": "x <- c(1, 2)"}]),
            "written for R",
        ),
        (
            notebook(
                metadata={"kernelspec": {"name": "julia-1.10"}}, cells=[{"cell_type": "code", "source": "using A"}]
            ),
            "written for Julia",
        ),
        (notebook(metadata={"language_info": {"name": "julia\n\x1b[31m"}}), "written for julia"),
    ],
)
def test_files_that_are_not_notebooks_are_refused(tmp_path: Path, content: object, says: str) -> None:
    with pytest.raises(SubmissionError) as caught:
        read(saved(tmp_path, content))
    assert says in str(caught.value)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 800


@pytest.mark.parametrize(
    "metadata",
    [
        {"kernelspec": {"name": "julias-env", "language": "python"}},
        {"kernelspec": {"name": "ir", "language": "python"}},
        {"kernelspec": {"name": "ir", "display_name": "R"}},
        {"kernelspec": {"name": "pysparkkernel", "language": "python"}, "language_info": {"name": "pyspark"}},
        {"kernelspec": {"name": "x", "language": "sagemath"}, "language_info": {"name": "python"}},
        {"kernelspec": {"name": 7}, "language_info": []},
        {"kernelspec": {"name": "julia-1.10"}},
        {},
    ],
)
def test_the_name_of_a_kernel_does_not_decide_the_language(tmp_path: Path, metadata: dict[str, object]) -> None:
    assert read(saved(tmp_path, notebook(metadata=metadata))).remarks is not None


def test_paths_that_are_not_files_are_refused_without_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.ipynb")
    (tmp_path / "link.ipynb").symlink_to(saved(tmp_path, notebook()))
    paths = [
        (tmp_path / "missing.ipynb", "no such file"),
        (tmp_path, "is a folder"),
        (tmp_path / "pipe.ipynb", "not a regular file"),
        (Path(os.devnull), "not a regular file"),
        (tmp_path / "link.ipynb", "symbolic link"),
        (tmp_path / "nul\0.ipynb", "cannot be read"),
        (tmp_path / ("x" * 300), "cannot be read"),
        (tmp_path / "new\nline\udcff.ipynb", "no such file"),
    ]
    for path, says in paths:
        with pytest.raises(SubmissionError, match=says) as caught:
            read(path)
        assert str(caught.value).isprintable()


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_a_plain_notebook_is_read_unchanged(tmp_path: Path, encoding: str) -> None:
    submission = read(saved(tmp_path, json.dumps(notebook()).encode(encoding)))
    assert [c["source"] for c in submission.notebook["cells"]] == [c["source"] for c in notebook()["cells"]]
    assert [c["id"] for c in submission.notebook["cells"]] == [c["id"] for c in notebook()["cells"]]
    assert submission.name == "student"
    assert submission.remarks == ()


def test_harmless_damage_is_repaired(tmp_path: Path) -> None:
    damaged = notebook(metadata="?", nbformat_minor=-7, extra={"deep": [1]})
    for cell in damaged["cells"]:
        cell.pop("metadata")
        cell.pop("execution_count", None)
        cell["id"] = "same"
        cell["source"] = [line.replace("\n", "\r\n") for line in cell["source"].splitlines(keepends=True)]
        cell["attachments"] = {"a": 1}
    damaged["cells"][1]["outputs"] = [
        7,
        {"output_type": "stream", "name": "stdout", "text": ["a\n", "\ud800"]},
        {"output_type": "stream", "name": "/etc", "text": "x"},
        {
            "output_type": "display_data",
            "data": {"image/png": "AAAA", "x": "y", "application/json": {"a": [1]}},
        },
        {"output_type": "display_data", "data": {"text/plain": 3}},
        {"output_type": "error", "ename": None, "traceback": [1, "line"]},
    ]
    submission = read(saved(tmp_path, damaged))
    nbformat.validate(nbformat.from_dict(submission.notebook))
    json.dumps(submission.notebook, ensure_ascii=False).encode("utf-8")
    assert [c["source"] for c in submission.notebook["cells"]] == [c["source"] for c in notebook()["cells"]]
    kept = submission.notebook["cells"][1]["outputs"]
    assert [output["output_type"] for output in kept] == ["stream", "display_data", "error"]
    assert kept[0]["text"] == "a\n\ufffd"
    assert kept[1]["data"] == {"image/png": "", "application/json": {"a": [1]}}  # a submitted picture is read by nobody


@pytest.mark.parametrize("cell", [with_cell(source=7), with_cell(source=["a", 7]), with_cell(source=None)])
def test_unreadable_cells_become_comments_with_a_remark(tmp_path: Path, cell: Notebook) -> None:
    submission = read(saved(tmp_path, cell))
    assert submission.notebook["cells"][1]["source"].startswith("# This cell could not be read")
    assert [(remark.kind, remark.cell) for remark in submission.remarks] == [("cell_unreadable", 1)]


def test_cleared_outputs_give_a_remark_and_a_single_unrun_cell_does_not(tmp_path: Path) -> None:
    cleared = notebook()
    for cell in cleared["cells"]:
        cell |= {"execution_count": None} if cell["cell_type"] == "code" else {}
    remarks = read(saved(tmp_path, cleared)).remarks
    assert [(r.kind, r.message) for r in remarks] == [
        ("outputs_missing", "9 of 9 code cells were submitted without outputs or an execution count.")
    ]
    assert read(saved(tmp_path, with_cell(execution_count=None))).remarks == ()


@pytest.mark.parametrize("stem", ["Müller", "..", ".", "-rf", ".hidden", "a b", "x" * 200, "a\nb", "\udcff", "é" * 90])
def test_changed_names_are_safe_and_distinct(stem: str) -> None:
    name = safe_name(Path(f"{stem}.ipynb"))
    assert name.isascii()
    assert 0 < len(name) <= 80
    assert name[0] not in ".-"
    assert set(name) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")
    assert name != safe_name(Path(f"{stem}_.ipynb"))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.just("\ud800"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


def places(value: Any) -> list[tuple[Any, Any]]:
    """Every (container, key) of a JSON value."""
    keys = list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    return [(value, key) for key in keys] + [place for key in keys for place in places(value[key])]


@given(data=st.data())
def test_mutated_notebooks_are_read_or_refused(tmp_path: Path, data: st.DataObject) -> None:
    mutated = copy.deepcopy(notebook())
    mutated["cells"][1]["outputs"] = [
        {
            "output_type": "execute_result",
            "data": {"text/plain": ["a"]},
            "metadata": {},
            "execution_count": 1,
        },
        {"output_type": "error", "ename": "E", "evalue": "v", "traceback": ["t"]},
    ]
    for _ in range(data.draw(st.integers(1, 4))):
        container, key = data.draw(st.sampled_from(places(mutated)))
        if data.draw(st.booleans()):
            container[key] = data.draw(json_values)
        elif isinstance(container, dict):
            del container[key]
        else:
            container[key:] = container[key + 1 :] * data.draw(st.integers(0, 2))
    content = json.dumps(mutated).encode()
    if data.draw(st.booleans()):
        cut = data.draw(st.integers(0, len(content)))
        content = content[:cut] + data.draw(st.binary(max_size=3)) + content[cut:]
    try:
        submission = read(saved(tmp_path, content))
    except SubmissionError as error:
        message = str(error)
    else:
        check_well_formed(submission)
        message = ""
    assert message.isprintable()


def check_well_formed(submission: Submission) -> None:
    nbformat.validate(nbformat.from_dict(submission.notebook))
    json.dumps(submission.notebook, ensure_ascii=False, allow_nan=False).encode("utf-8")
    restored = restore_given(submission.notebook, make_template(toy_reference()))
    assert len(restored.roles) == len(restored.notebook["cells"])
    nbformat.validate(nbformat.from_dict(restored.notebook))
