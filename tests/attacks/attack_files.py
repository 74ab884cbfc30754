"""Attacks on the file itself: each function turns a notebook into the bytes, or the path, to submit."""

from __future__ import annotations

import codecs
import json
import zipfile
from collections.abc import Callable
from pathlib import Path

from attack_edits import EDITS

from grader.records import Notebook

Change = Callable[[Notebook, Path], Path]  # the notebook and an empty folder -> the file to submit


def written(notebook: Notebook, folder: Path, name: str = "submission.ipynb", **dumped: bool) -> Path:
    """The notebook as a file in the folder."""
    path = folder / name
    path.write_text(json.dumps(notebook, **dumped), encoding="utf-8")
    return path


def named_for_the_shell(notebook: Notebook, folder: Path) -> Path:
    return written(notebook, folder, "x; touch shell; $(touch shell) `touch shell` | tee shell &.ipynb")


def named_with_newline(notebook: Notebook, folder: Path) -> Path:
    return written(notebook, folder, "a\n9 of 9 points\x1b[2K.ipynb")


def named_with_dots(notebook: Notebook, folder: Path) -> Path:
    return written(notebook, folder, "...._.._.._gradebook.ipynb")


def named_long(notebook: Notebook, folder: Path) -> Path:
    return folder / ("n" * 294 + ".ipynb")


def named_without_utf8(notebook: Notebook, folder: Path) -> Path:
    return written(notebook, folder, "\udcff\udcfe.ipynb")


def zip_bomb(notebook: Notebook, folder: Path) -> Path:
    return _zipped(folder, {"submission.ipynb": bytes(20_000_000)})


def zip_slip(notebook: Notebook, folder: Path) -> Path:
    return _zipped(folder, {"../" * 10 + "tmp/slipped.ipynb": json.dumps(notebook).encode()})


def deep(notebook: Notebook, folder: Path) -> Path:
    path = folder / "submission.ipynb"
    path.write_text('{"cells": ' + "[" * 100_000 + "]" * 100_000 + "}")
    return path


def empty(notebook: Notebook, folder: Path) -> Path:
    return _bytes(folder, b"")


def truncated(notebook: Notebook, folder: Path) -> Path:
    whole = json.dumps(notebook).encode()
    return _bytes(folder, whole[: len(whole) // 2])


def web_page(notebook: Notebook, folder: Path) -> Path:
    return _bytes(folder, b"<!DOCTYPE html>\n<html><body>submission.ipynb</body></html>")


def pdf(notebook: Notebook, folder: Path) -> Path:
    return _bytes(folder, b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n")


def script(notebook: Notebook, folder: Path) -> Path:
    return _bytes(folder, "\n".join(cell["source"] for cell in notebook["cells"]).encode())


def byte_order_mark(notebook: Notebook, folder: Path) -> Path:
    return _bytes(folder, codecs.BOM_UTF8 + json.dumps(notebook).encode())


def named_in_all_alphabets(notebook: Notebook, folder: Path) -> Path:
    return written(notebook, folder, "Übung ответ 宿題 ✓.ipynb")


def _bytes(folder: Path, content: bytes) -> Path:
    path = folder / "submission.ipynb"
    path.write_bytes(content)
    return path


def _zipped(folder: Path, members: dict[str, bytes]) -> Path:
    path = folder / "submission.ipynb"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


FORMS = (
    *(named_for_the_shell, named_with_newline, named_with_dots, named_long, named_without_utf8, named_in_all_alphabets),
    *(zip_bomb, zip_slip, deep, empty, truncated, web_page, pdf, script, byte_order_mark),
)
FILES: dict[str, Change] = {"": written} | {form.__name__: form for form in FORMS}


def handed_in(notebook: Notebook, folder: Path, change: str) -> Path:
    """The submitted file, after the change to the notebook's cells or to the file."""
    if change in EDITS:
        return written(EDITS[change](notebook), folder)
    return FILES[change](notebook, folder)
