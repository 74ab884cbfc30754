"""A submitted file becomes a Submission, or one line that says why it cannot.

Everything about the file is hostile: what it is, how large, how deep, what its cells hold. It is read up to
the limit, never executed, and rebuilt as fresh nbformat 4.5; the only exception is SubmissionError.
"""

from __future__ import annotations

import codecs
import hashlib
import json
import math
import os
import re
import stat
from pathlib import Path
from typing import Any, NoReturn

from grader.errors import SubmissionError
from grader.notebook.clean import clean_cells, clean_text
from grader.notebook.format import is_code, one_line
from grader.records import Remark, Submission

_MAX_NAME = 80
# An empty list costs twenty times its bytes in memory. Brackets in printed text count too, hence so many.
_MAX_CONTAINERS = 5_000_000
_LOOKS_LIKE = (
    (b"<", "a web page: download the notebook itself (File > Download > Download .ipynb)"),
    (b"%PDF", "a PDF: hand in the .ipynb file"),
    (b"PK\x03\x04", "a zip archive: hand in the .ipynb file inside it"),
    (b"\xff\xfe", "UTF-16 text: save the notebook as UTF-8"),
    (b"\xfe\xff", "UTF-16 text: save the notebook as UTF-8"),
)


def read_submission(path: Path, *, max_mb: float, max_cells: int) -> Submission:
    """The submitted notebook, repaired where that is harmless, with remarks on what was noticed.

    Raises: SubmissionError (one line) when the file cannot be read or is no Python notebook of nbformat 4
    with at least one code cell, at most `max_mb` megabytes and at most `max_cells` cells.
    """
    shown = one_line(os.fspath(path).encode("utf-8", "replace").decode(), 300)
    try:
        content = _read_bytes(path, max_mb)
        raw = _parse(content)
        _check_format(raw)
        _check_kernel(raw.get("metadata"))
        cells, remarks = _read_cells(raw.get("cells"), max_cells)
    except SubmissionError as error:
        raise SubmissionError(f"{shown}: {one_line(str(error), 400)}") from None
    notebook = {
        "cells": cells,
        "metadata": {
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
        },
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    remarks += _missing_outputs(cells)
    return Submission(safe_name(path), shown, hashlib.sha256(content).hexdigest(), notebook, remarks=tuple(remarks))


def safe_name(path: Path) -> str:
    """The file's stem as a folder name: ASCII letters, digits and `._-`, 1 to 80 characters, never hidden.

    A name that had to be changed carries a hash of the original, so that two students never share a folder.
    """
    stem = path.stem
    safe = re.sub(r"^[.-]+", "_", re.sub(r"[^A-Za-z0-9._-]", "_", stem))
    if safe == stem and 0 < len(safe) <= _MAX_NAME:
        return safe
    digest = hashlib.sha256(path.name.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return f"{safe[: _MAX_NAME - 9] or '_'}-{digest}"


def _read_bytes(path: Path, max_mb: float) -> bytes:
    limit = int(max_mb * 1_000_000)
    try:
        _check_file(path.lstat(), limit)
        # Between the two looks the file may have become a pipe: do not wait for a writer.
        flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOFOLLOW", 0)
        with open(os.open(path, flags | getattr(os, "O_BINARY", 0)), "rb") as file:  # noqa: PTH123
            _check_file(os.fstat(file.fileno()), limit)
            content = file.read(limit + 1)
    except FileNotFoundError:
        _refuse("no such file; check the path")
    except (OSError, ValueError) as error:
        _refuse(f"cannot be read: {getattr(error, 'strerror', None) or error}")
    if len(content) > limit:
        _refuse(f"larger than the {max_mb:g} MB that are read; clear large outputs and save again")
    return content


def _check_file(status: os.stat_result, limit: int) -> None:
    if stat.S_ISDIR(status.st_mode):
        _refuse("is a folder; give the notebook file in it")
    if stat.S_ISLNK(status.st_mode):
        _refuse("is a symbolic link; give the notebook file itself")
    if not stat.S_ISREG(status.st_mode):
        _refuse("is not a regular file (a pipe, socket or device); give a notebook file")
    if status.st_size == 0:
        _refuse("is empty (0 bytes); hand the notebook in again")
    if status.st_size > limit:
        size, most = status.st_size / 1e6, limit / 1e6
        _refuse(f"has {size:.1f} MB, more than the {most:g} MB that are read; clear large outputs and save again")


def _parse(content: bytes) -> dict[str, Any]:
    body = content.removeprefix(codecs.BOM_UTF8)
    head = body.lstrip()[:4]
    for magic, what in _LOOKS_LIKE:
        if head.startswith(magic):
            _refuse(f"expected a notebook, got {what}")
    if body.count(b"[") + body.count(b"{") > _MAX_CONTAINERS:
        _refuse("holds too many lists and objects for a notebook; clear large outputs and save again")
    try:
        raw = json.loads(body.decode("utf-8"), parse_constant=lambda _: None, parse_float=_finite)
    except UnicodeDecodeError as error:
        _refuse(f"is not UTF-8 text (byte {error.start}); save the notebook again in Jupyter or Colab")
    except RecursionError:
        _refuse("is nested too deep for a notebook; save it again in Jupyter or Colab")
    except ValueError as error:
        _refuse(f"is not JSON, so no notebook ({error}); a script, a cut-off download? hand in the .ipynb file")
    if not isinstance(raw, dict):
        _refuse(f"is JSON but no notebook: expected an object, got {type(raw).__name__}; hand in the .ipynb file")
    return raw


def _finite(text: str) -> float | None:
    value = float(text)
    return value if math.isfinite(value) else None


def _check_format(raw: dict[str, Any]) -> None:
    major = raw.get("nbformat", 3 if "worksheets" in raw else 4)
    if isinstance(major, bool) or not isinstance(major, int | float):
        major = 4  # damaged, but the cells decide
    shown = one_line(str(major), 20)
    if major < 4:
        _refuse(f"has notebook format {shown}, expected 4; open it in a current Jupyter or Colab and save it")
    if major >= 5:
        _refuse(f"has notebook format {shown}, newer than the 4 that is known; save it as nbformat 4")


def _check_kernel(metadata: Any) -> None:
    metadata = metadata if isinstance(metadata, dict) else {}
    spec, info = (
        entry if isinstance(entry := metadata.get(key), dict) else {} for key in ("kernelspec", "language_info")
    )
    # Colab writes an R notebook's kernelspec with a name and no language.
    name = spec.get("name")
    named = "R" if name == "ir" else "Julia" if isinstance(name, str) and name.startswith("julia") else None
    for language in (spec.get("language"), info.get("name"), named):
        if isinstance(language, str) and not language.lower().startswith(("python", "ipython")) and language:
            _refuse(f"is written for {one_line(language, 30)}, expected Python; choose a Python kernel and save")


def _read_cells(cells: Any, max_cells: int) -> tuple[list[dict[str, Any]], list[Remark]]:
    if not isinstance(cells, list):
        _refuse("has no list of cells, so it is not a notebook; hand in the .ipynb file")
    if len(cells) > max_cells:
        _refuse(f"has {len(cells)} cells, more than the {max_cells} that are read; remove what is not yours")
    made, remarks = clean_cells(cells)
    if not any(map(is_code, made)):
        _refuse(f"has {len(made)} cells but no code cell; hand in the notebook with your code")
    return made, remarks


def _missing_outputs(cells: list[dict[str, Any]]) -> list[Remark]:
    code = [cell for cell in cells if is_code(cell) and cell["source"].strip()]
    bare = [cell for cell in code if not cell["outputs"] and cell["execution_count"] is None]
    if 2 * len(bare) <= len(code):  # single cells are often left unrun; most of them is a cleared notebook
        return []
    message = f"{len(bare)} of {len(code)} code cells were handed in without outputs or an execution count."
    return [Remark("outputs_missing", message)]


def _refuse(reason: str) -> NoReturn:
    raise SubmissionError(clean_text(reason) or reason)
