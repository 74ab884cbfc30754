"""Reads a submitted file as a Submission, or refuses it in one line that gives the reason.

Everything about the file may be hostile: its kind, size, nesting, and the content of its cells. It is read within
limits, never executed, and rebuilt as a new nbformat 4.5 notebook. Only SubmissionError is raised.
"""

from __future__ import annotations

import codecs
import hashlib
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from grader.errors import SubmissionError, one_line
from grader.notebook.clean_cells import clean_cells, clean_text
from grader.notebook.format import is_code, source_of
from grader.notebook.statements import MAX_NODES, MAX_STATEMENTS, read_code
from grader.records import Remark, Submission
from grader.store.bounded import Reason, Unreadable, file_bytes, json_value

_MAX_NAME = 80
_DIGEST = 12  # hexadecimal digits: enough that no second name with the same digits can be found
_DIGESTED = re.compile(rf"-[0-9a-f]{{{_DIGEST}}}$")
_MAX_PATH, _MAX_REASON = 100, 190  # characters of each in an error
_MAX_PICTURES = 20_000
_MAX_VALUES = 2_000_000  # numbers, texts, lists and objects: a few hundred megabytes of memory at worst
_MAX_CODE = 1_000_000  # characters in all code cells; normal notebooks have some ten thousand
# Large notebooks consist mostly of pictures. Submitted ones are never used, so they are removed before JSON is parsed.
# In a cell's source, the same text has escaped quotes and does not match.
_BASE64 = rb'"[A-Za-z0-9+/=]*+(?:\\n[A-Za-z0-9+/=]*+)*+"'
_LISTED = rb"\[(?:\s*+%b\s*+,?+)*+\s*+\]" % _BASE64
_PICTURE = re.compile(rb'("image/(?:png|jpeg|gif|webp)"\s*+:\s*+)(?:%b|%b)' % (_BASE64, _LISTED))
_PYTHONS = ("python", "ipython", "pyspark", "sage")
_TIMEIT = re.compile(r"(\s*)%%timeit\b")
_LOOKS_LIKE = (
    (b"<", "a web page: download the notebook itself (File > Download > Download .ipynb)"),
    (b"%PDF", "a PDF: submit the .ipynb file"),
    (b"PK", "a zip archive: submit the .ipynb file in it"),
    (b"\x1f\x8b", "a compressed file: submit the .ipynb file in it"),
    (b"\xff\xfe", "UTF-16 text: save the notebook as UTF-8"),
    (b"\xfe\xff", "UTF-16 text: save the notebook as UTF-8"),
)
_ADVICE = {
    Reason.TOO_LARGE: "; clear large outputs and save again",
    Reason.TOO_MANY_VALUES: "; clear large outputs and save again",
    Reason.EMPTY: "; submit the notebook again",
    Reason.NOT_UTF8: "; save the notebook again in Jupyter or Colab",
    Reason.TOO_DEEP: "; save the notebook again in Jupyter or Colab",
    Reason.NOT_JSON: ", so it is not a notebook (a script? an incomplete download?); submit the .ipynb file",
}


def read_submission(path: Path, *, max_mb: float, max_cells: int) -> Submission:
    """Returns the submitted notebook, repaired where that is harmless, with remarks on the problems.

    Raises:
        SubmissionError: in one line; the file cannot be read, or is not a Python notebook of nbformat 4 with at least
            one code cell, at most `max_mb` megabytes, at most `max_cells` cells and a limited amount of code.
    """
    path_text = _path_text(path)
    try:
        content = file_bytes(path, int(max_mb * 1_000_000))
        document = _parse(content)
        _check_format(document)
        cells, remarks = _read_cells(document.get("cells"), max_cells)
        _check_language(document.get("metadata"), cells)
    except Unreadable as error:
        advice = _ADVICE.get(error.reason, "")
        raise SubmissionError(f"{path_text}: {one_line(str(error), _MAX_REASON - len(advice))}{advice}") from None
    except SubmissionError as error:
        raise SubmissionError(f"{path_text}: {one_line(str(error), _MAX_REASON)}") from None
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
    return Submission(safe_name(path), hashlib.sha256(content).hexdigest(), notebook, remarks=tuple(remarks))


def safe_name(path: Path) -> str:
    """The file's stem as a folder name: ASCII letters, digits and `._-`, 1 to 80 characters, never hidden.

    A name that had to be changed contains a hash of the original, and a name that looks like one is changed as well, so
    that no two files share a folder, not even on purpose.
    """
    stem = path.stem
    safe = re.sub(r"^[.-]+", "_", re.sub(r"[^A-Za-z0-9._-]", "_", stem))
    if safe == stem and 0 < len(safe) <= _MAX_NAME and not _DIGESTED.search(safe):
        return safe
    digest = hashlib.sha256(path.name.encode("utf-8", "surrogatepass")).hexdigest()[:_DIGEST]
    return f"{safe[: _MAX_NAME - _DIGEST - 1] or '_'}-{digest}"


def _path_text(path: Path) -> str:
    """The path for an error message; only the end of a long path, which is more useful than its beginning."""
    text = one_line(os.fspath(path).encode("utf-8", "replace").decode(), 10_000)
    return text if len(text) <= _MAX_PATH else "..." + text[3 - _MAX_PATH :]


def _parse(content: bytes) -> dict[str, Any]:
    body = content.removeprefix(codecs.BOM_UTF8)
    head = body.lstrip()[:4]
    for magic, what in _LOOKS_LIKE:
        if head.startswith(magic):
            _refuse(f"expected a notebook, got {what}")
    if not body.strip(b"\0 \t\r\n"):
        _refuse("contains only blanks or zero bytes, as after a failed download; submit the notebook again")
    if b"\0" in head:
        _refuse("expected a notebook, got UTF-16 text: save the notebook as UTF-8")
    raw = json_value(_PICTURE.sub(rb'\1""', body, count=_MAX_PICTURES), most_values=_MAX_VALUES, lenient=True)
    if not isinstance(raw, dict):
        _refuse(f"is JSON but not a notebook: expected an object, got {type(raw).__name__}; submit the .ipynb file")
    return raw


def _check_format(raw: dict[str, Any]) -> None:
    major = raw.get("nbformat", 3 if "worksheets" in raw else 4)
    if isinstance(major, bool) or not isinstance(major, int | float):
        major = 4  # damaged; the cells may still be readable
    version = one_line(str(major), 20)
    if major < 4:
        _refuse(f"has notebook format {version}, expected 4; open it in a current Jupyter or Colab and save it")
    if major >= 5:
        _refuse(f"has notebook format {version}, expected 4; save it as nbformat 4")


def _check_language(metadata: Any, cells: Sequence[dict[str, Any]]) -> None:
    """Refuses a notebook that declares another language than Python, or declares none and contains another language.

    A kernel's name is any text: `ir` is usual for R, but a student may have given it to a Python kernel. It counts only
    if no language is declared, as in Colab's R notebooks, and no cell looks like Python.
    """
    metadata = metadata if isinstance(metadata, dict) else {}
    spec, info = (
        entry if isinstance(entry := metadata.get(key), dict) else {} for key in ("kernelspec", "language_info")
    )
    names = (spec.get("language"), info.get("name"))
    languages = [name for name in names if isinstance(name, str) and name]
    if any(language.lower().startswith(_PYTHONS) for language in languages):
        return
    kernel = spec.get("name")
    of_kernel = "R" if kernel == "ir" else "Julia" if isinstance(kernel, str) and kernel.startswith("julia") else ""
    language = languages[0] if languages else of_kernel
    if language and (languages or not any(map(_reads_like_python, cells))):
        _refuse(f"is written for {one_line(language, 30)}, expected Python; choose a Python kernel and save")


def _reads_like_python(cell: dict[str, Any]) -> bool:
    statements = read_code(cell["source"]).statements if is_code(cell) else None
    return any(statement.kind in {"class", "function"} for statement in statements or ())


def _read_cells(cells: Any, max_cells: int) -> tuple[list[dict[str, Any]], list[Remark]]:
    if not isinstance(cells, list):
        _refuse("has no list of cells, so it is not a notebook; submit the .ipynb file")
    if len(cells) > max_cells:
        _refuse(f"has {len(cells)} cells, expected at most {max_cells}; remove cells that are not part of the exercise")
    new_cells, remarks = clean_cells(cells)
    remarks += _without_timeit(new_cells)
    if not any(map(is_code, new_cells)):
        _refuse(f"has {len(new_cells)} cells but no code cell; submit the notebook with your code")
    _check_size([cell["source"] for cell in new_cells if is_code(cell)])
    return new_cells, remarks


def _without_timeit(cells: list[dict[str, Any]]) -> list[Remark]:
    """Removes the magic `%%timeit`, which runs a cell many times and discards the names that it defines."""
    remarks = []
    for index, cell in enumerate(cells):
        if is_code(cell) and (magic := _TIMEIT.match(cell["source"])) is not None:
            cell["source"] = f"{magic[1]}# {cell['source'][magic.end(1) :]}"
            message = f"Cell {index + 1} was run once, without %%timeit, which discards the names that a cell defines."
            remarks.append(Remark("timed_cell", message, cell=index))
    return remarks


def _check_size(sources: Sequence[str]) -> None:
    """Refuses more code than can be read, matched and shown in a few seconds."""
    characters = sum(map(len, sources))
    if characters > _MAX_CODE:
        _refuse_code(_MAX_CODE, "characters", f"{characters:,}", "data pasted into cells")
    count = nodes = 0
    for source in sources:
        code = read_code(source)
        count, nodes = count + code.count, nodes + code.nodes
        if count > MAX_STATEMENTS:
            _refuse_code(MAX_STATEMENTS, "statements", f"at least {count:,}", "statements that do nothing")
        if nodes > MAX_NODES:
            _refuse_code(MAX_NODES, "names, numbers and operators", f"at least {nodes:,}", "data pasted into cells")


def _refuse_code(most: int, what: str, got: str, advice: str) -> NoReturn:
    _refuse(f"too much code to read: expected at most {most:,} {what}, got {got}; remove {advice}")


def _missing_outputs(cells: Sequence[Mapping[str, Any]]) -> list[Remark]:
    if (counts := cleared_cells(cells)) is None:
        return []
    unrun, all_cells = counts
    message = f"{unrun} of {all_cells} code cells were submitted without outputs or an execution count."
    return [Remark("outputs_missing", message)]


def cleared_cells(cells: Sequence[Mapping[str, Any]]) -> tuple[int, int] | None:
    """The number of code cells without outputs and execution count, and of all code cells; None if most have them.

    A few cells are often not run; if most seem not to have been run, the outputs were cleared.
    """
    code = [cell for cell in cells if is_code(cell) and source_of(cell).strip()]
    unrun = [cell for cell in code if not cell.get("outputs") and cell.get("execution_count") is None]
    return (len(unrun), len(code)) if 2 * len(unrun) > len(code) else None


def _refuse(reason: str) -> NoReturn:
    raise SubmissionError(clean_text(reason) or reason)
