"""Damaged and made-up notebooks are read or refused in one line; what is read can be planned, shown and written."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import pytest
from hostile_forms import FORMS, Form, check_reason
from hostile_mutations import BYTE_DAMAGE, JSON_DAMAGE, bytes_damaged, json_damaged
from hypothesis import strategies as st
from small_exercise import notebook, running

from grader.errors import SubmissionError
from grader.grading.plan import executed_notebook, first_plan, plan_frame
from grader.notebook.format import cell_title, dump_notebook, load_notebook
from grader.notebook.read import read_submission
from grader.notebook.restore import restore_given
from grader.notebook.saved_outputs import compare_saved
from grader.records import Notebook, Submission
from grader.sandbox.in_box.frames import to_box
from grader.skeleton.exercise.plugin import TwoNumbers

ROOT = Path(__file__).parents[2]
OUTPUTS: list[dict[str, Any]] = [
    {"output_type": "stream", "name": "stdout", "text": ["epoch 1 loss 5.5\n", "epoch 2 loss 4.25\n"]},
    {
        "output_type": "display_data",
        "data": {"image/png": "iVBORw0KGgo=\n", "text/plain": ["<Figure>"]},
        "metadata": {},
    },
    {"output_type": "execute_result", "data": {"text/html": "<b>1</b>"}, "metadata": {}, "execution_count": 3},
    {"output_type": "error", "ename": "E", "evalue": "v", "traceback": ["\x1b[0;31mE\x1b[0m"]},
]


def with_outputs(bare_notebook: Notebook) -> str:
    for cell in bare_notebook["cells"]:
        if cell["cell_type"] == "code":
            cell["outputs"], cell["execution_count"] = OUTPUTS, 1
    return json.dumps(bare_notebook)


TOY = with_outputs(notebook.submission(["import os\nx = 1"]))
TEMPLATES = {"toy": notebook.template(), "vae": load_notebook(ROOT / "student_template" / "vae_mnist.ipynb")}
SOURCES = {"toy": TOY, "vae": with_outputs(load_notebook(ROOT / "reference" / "vae_mnist.ipynb"))}
RUBRIC = running.rubric()


def read(path: Path) -> Submission:
    return read_submission(path, max_mb=3, max_cells=60)


def check(path: Path, content: bytes, template: Notebook) -> None:
    """The property: one line, or a notebook that everything up to the box can work with."""
    path.write_bytes(content)
    try:
        submission = read(path)
    except SubmissionError as error:
        check_reason(str(error))
        return
    restored = restore_given(submission.notebook, template)
    assert len(restored.roles) == len(restored.notebook["cells"])
    for version in (submission.notebook, restored.notebook):
        json.dumps(version, allow_nan=False, ensure_ascii=False).encode()  # no lone surrogate, no NaN
        dump_notebook(version).encode()
    nbformat.validate(nbformat.from_dict(restored.notebook))
    plan = first_plan(restored, TwoNumbers(), {}, RUBRIC.limits)
    frame = plan_frame(plan, RUBRIC.interface, RUBRIC.limits)
    assert to_box(*frame.encode()) == frame
    again = executed_notebook(restored.notebook, {}, {})
    remarks = (*submission.remarks, *restored.remarks, *compare_saved(submission.notebook, restored, again, ()))
    for text in (*(r.message for r in remarks), *(cell_title(again["cells"], i) for i in range(len(again["cells"])))):
        assert text.isprintable(), repr(text)


@FORMS
@pytest.mark.parametrize("name", SOURCES)
def test_a_notebook_with_damaged_json_is_read_or_refused(form: Form, name: str, tmp_path: Path) -> None:
    def damaged(damage: Any) -> None:
        check(tmp_path / "x.ipynb", json.dumps(json_damaged(SOURCES[name], damage)).encode(), TEMPLATES[name])

    form.holds(JSON_DAMAGE, damaged)


@FORMS
def test_a_notebook_with_damaged_bytes_is_read_or_refused(form: Form, tmp_path: Path) -> None:
    form.holds(
        BYTE_DAMAGE,
        lambda damage: check(tmp_path / "x.ipynb", bytes_damaged(TOY.encode(), damage), TEMPLATES["toy"]),
    )


PIECES = [
    *(
        "def double(x):\n",
        "    return 2 * x\n",
        "one",
        "train_one(one, STEPS)",
        "STEPS = 4\n",
        "%%bash\n",
        "!ls\n",
        "?",
    ),
    *(
        "%time ",
        "class A:\n  ",
        "\\\n",
        "\t",
        '"""',
        "(" * 120,
        "[",
        "lambda: ",
        "é",
        "\0",
        "\x0c",
        "import os\n",
        "\r",
    ),
    *("async ", "match x:\n case 1:\n  ", "x" * 3000, "-" * 900, "f'{", "\U0001f600", "# grader\n", "\ud800", ";"),
]
CODE = st.lists(st.sampled_from(PIECES) | st.text(max_size=8), max_size=12).map("".join)


@FORMS
def test_a_notebook_with_any_text_as_code_is_read(form: Form, tmp_path: Path) -> None:
    def coded(sources: list[str]) -> None:
        submission = notebook.submission()
        for index, source in enumerate(sources):
            submission["cells"].insert(3 * index % len(submission["cells"]), notebook.code_cell(source, f"c{index}"))
        submission["cells"][2]["source"] = sources[0]
        check(tmp_path / "x.ipynb", json.dumps(submission).encode(), TEMPLATES["toy"])

    form.holds(st.lists(CODE, min_size=1, max_size=3), coded)


@FORMS
def test_any_file_name_can_be_printed_and_gets_a_folder_of_its_own(form: Form, tmp_path: Path) -> None:
    names = st.text(st.characters(blacklist_characters="/\0"), min_size=1, max_size=90)
    raw = st.binary(min_size=1, max_size=250).filter(
        lambda name: not {b"/", b"\0"} & {name[i : i + 1] for i in range(250)}
    )
    folders: dict[str, bytes] = {}

    def named(name: str | bytes) -> None:
        encoded = name if isinstance(name, bytes) else name.encode("utf-8", "surrogatepass")
        path = tmp_path / (encoded[:249].decode("utf-8", "surrogateescape") + ".ipynb")
        if path.stem in ("", ".", ".."):
            return
        path.write_bytes(TOY.encode())
        folder = read(path).name
        assert folder.isascii()
        assert folder.isprintable()
        assert 0 < len(folder) <= 80
        assert not set(folder) & set("/\\ $`'\";&|*?<>()[]{}~!#%:\n")
        assert folder[0] not in ".-"
        assert folders.setdefault(folder, path.name.encode("utf-8", "surrogateescape")) == path.name.encode(
            "utf-8", "surrogateescape"
        )
        path.write_bytes(b"nothing")
        with pytest.raises(SubmissionError) as refused:
            read(path)
        check_reason(str(refused.value))
        path.unlink()

    form.holds(names | raw, named)


def cell(**changes: Any) -> dict[str, Any]:
    return {**notebook.code_cell("x = 1", "c"), **changes}


def whole(**changes: Any) -> dict[str, Any]:
    return {**notebook.submission(), **changes}


def text(value: Any) -> bytes:
    return json.dumps(value).encode()


READ: dict[str, Callable[[], bytes]] = {
    "byte order mark": lambda: b"\xef\xbb\xbf" + text(whole()),
    "carriage returns": lambda: json.dumps(whole(), indent=1).replace("\n", "\r\n").encode(),
    "blanks around": lambda: b"\r\n\t " + text(whole()) + b"\n\n",
    "no metadata": lambda: text({"cells": whole()["cells"], "nbformat": 4}),
    "no nbformat": lambda: text({"cells": whole()["cells"]}),
    "a minor number from the future": lambda: text(whole(nbformat_minor=99)),
    "another name for Python": lambda: text(whole(metadata={"kernelspec": {"name": "x", "language": "python"}})),
    "NaN and infinity": lambda: text(whole(metadata={"a": [float("nan"), float("-inf")]})),
    "a number too large for a float": lambda: b'{"x": 1e999, ' + text(whole())[1:],
    "a number of 5000 digits": lambda: b'{"x": -%b, ' % (b"7" * 5000) + text(whole())[1:],
    "keys given twice": lambda: b'{"cells": [], "nbformat": 3, ' + text(whole())[1:],
    "lone surrogates": lambda: text(whole(cells=[*whole()["cells"], cell(source="'\ud800'", id="\udfff")])),
    "NUL in a source": lambda: text(whole(cells=[*whole()["cells"], cell(source="a\0b")])),
    "deep outputs": lambda: text(whole()).replace(
        b'"outputs": []', b'"outputs": [{"output_type": "display_data", "data": {"application/json": %b}}]'
        % (b"[" * 300 + b"]" * 300)
    ),
    "a picture in base64 inside code": lambda: text(whole(cells=[*whole()["cells"], cell(source=PICTURE)])),
}  # fmt: skip
PICTURE = 's = """\n' + "QUFB" * 3000 + '\n"""\nd = {"image/png": "QUFB"}'


@pytest.mark.parametrize("name", READ)
def test_honest_oddities_are_read(name: str, tmp_path: Path) -> None:
    path = tmp_path / "x.ipynb"
    path.write_bytes(READ[name]())
    kept = [cell["source"] for cell in read(path).notebook["cells"]]
    expected = [cell["source"] for cell in notebook.submission()["cells"]]
    assert kept[: len(expected)] == expected
    assert PICTURE in kept or name != "a picture in base64 inside code"
    check(path, path.read_bytes(), TEMPLATES["toy"])


REFUSED: dict[str, tuple[Callable[[], bytes], str]] = {
    "zero bytes": (lambda: b"", "is empty"),
    "nothing but zeros": (lambda: bytes(4000), "only blanks or zero bytes"),
    "nothing but blanks": (lambda: b" \n\t" * 50, "only blanks or zero bytes"),
    "UTF-16 with a mark": (lambda: json.dumps(whole()).encode("utf-16"), "UTF-16"),
    "UTF-16 without one": (lambda: json.dumps(whole()).encode("utf-16-le"), "UTF-16"),
    "UTF-32": (lambda: json.dumps(whole()).encode("utf-32-be"), "UTF-16"),
    "Latin-1": (lambda: json.dumps(whole(a="é"), ensure_ascii=False).encode("latin-1"), "not UTF-8"),
    "a zip archive": (lambda: b"PK\x03\x04" + bytes(30), "zip archive"),
    "an empty zip archive": (lambda: b"PK\x05\x06" + bytes(18), "zip archive"),
    "a compressed file": (lambda: b"\x1f\x8b\x08" + bytes(30), "compressed file"),
    "a web page": (lambda: b"\n <html>", "a web page"),
    "a script": (lambda: b"#!/usr/bin/env python\nimport torch\n", "is not JSON"),
    "cut off": (lambda: text(whole())[:-40], "is not JSON"),
    "two notebooks in one file": (lambda: text(whole()) * 2, "is not JSON"),
    "deep lists": (lambda: b"[" * 2_000_000, "too deep"),
    "deep objects": (lambda: b'{"a":' * 300_000, "too deep"),
    "too many values": (lambda: b'{"cells": [' + b"0," * 1_400_000 + b"0]}", "1400001 cells, expected at most 60"),
    "too large": (lambda: text(whole(a="x" * 3_000_000)), "3.0 MB, expected at most 3 MB"),
    "too much code": (lambda: text(whole(cells=[cell(source="x = 1\n" * 400_000)])), "at most 1,000,000 characters"),
    "format 2": (lambda: text({"nbformat": 2, "worksheets": []}), "notebook format 2"),
    "format 3": (lambda: text({"nbformat": 3, "worksheets": [{"cells": [cell()]}]}), "notebook format 3"),
    "format 3.9": (lambda: text(whole(nbformat=3.9)), "notebook format 3.9"),
    "format 5": (lambda: text(whole(nbformat=5)), "notebook format 5"),
    "R": (lambda: text(whole(metadata={"kernelspec": {"language": "R", "name": "ir"}})), "written for R"),
    "Julia": (
        lambda: text(whole(metadata={"kernelspec": {"name": "julia-1.9"}}, cells=[cell(source="using Flux")])),
        "written for Julia",
    ),
    "cells that are an object": (lambda: text(whole(cells={"0": cell()})), "no list of cells"),
    "sixty-one cells": (lambda: text(whole(cells=[cell()] * 61)), "61 cells, expected at most 60"),
    "no code": (lambda: text(whole(cells=[{"cell_type": "markdown", "source": "x"}])), "no code cell"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_files_that_are_not_notebooks_are_refused_with_the_reason(name: str, tmp_path: Path) -> None:
    make, says = REFUSED[name]
    path = tmp_path / ("x" * 200 + ".ipynb")
    path.write_bytes(make())
    with pytest.raises(SubmissionError) as refused:
        read(path)
    check_reason(str(refused.value))
    assert says in str(refused.value)
