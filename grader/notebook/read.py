"""Reads a submitted file as a Submission, or refuses it in one line that gives the reason.

Everything about the file may be hostile: its kind, its size, its depth, the content of its cells. It is read up to
the limit, never executed, and rebuilt as fresh nbformat 4.5; the only exception is SubmissionError.

Cells are rebuilt from their well-formed parts: only text, numbers and the few keys that a notebook needs are kept, and
nothing of the submitted structure. Content never raises; problems are reported as remarks.
"""

from __future__ import annotations

import codecs
import hashlib
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NoReturn

from grader.errors import SubmissionError, one_line
from grader.notebook.format import is_code, with_unique_ids
from grader.notebook.statements import MAX_NODES, MAX_STATEMENTS, read_code
from grader.records import Remark, Submission
from grader.store.bounded import Unreadable, file_bytes, json_value

_MAX_NAME = 80
_DIGEST = 12  # hexadecimal digits: too many for a second name with the same ones to be found
_DIGESTED = re.compile(rf"-[0-9a-f]{{{_DIGEST}}}$")
_MAX_PATH, _MAX_REASON = 100, 190  # characters of each in an error
_MAX_PICTURES = 20_000
_MAX_VALUES = 2_000_000  # numbers, texts, lists and objects: a few hundred megabytes of memory at worst
_MAX_CODE = 1_000_000  # characters in all code cells; normal notebooks have some ten thousand
# Pictures are most of a large notebook, and submitted pictures are never used: they are removed before JSON is parsed.
# In a cell's source these quotes would be escaped.
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
    " MB": "; clear large outputs and save again",
    "too many": "; clear large outputs and save again",
    "0 bytes": "; submit the notebook again",
    "UTF-8": "; save the notebook again in Jupyter or Colab",
    "too deep": "; save the notebook again in Jupyter or Colab",
    "JSON": ", so it is not a notebook (a script? an incomplete download?); submit the .ipynb file",
}


def read_submission(path: Path, *, max_mb: float, max_cells: int) -> Submission:
    """Returns the submitted notebook, repaired where that is harmless, with remarks on the problems.

    Raises: SubmissionError (one line) if the file cannot be read or is not a Python notebook of nbformat 4 with at
    least one code cell, at most `max_mb` megabytes, at most `max_cells` cells and a limited amount of code.
    """
    path_text = _path_text(path)
    try:
        content = file_bytes(path, int(max_mb * 1_000_000))
        document = _parse(content)
        _check_format(document)
        cells, remarks = _read_cells(document.get("cells"), max_cells)
        _check_language(document.get("metadata"), cells)
    except Unreadable as reason:
        advice = next((advice for word, advice in _ADVICE.items() if word in str(reason)), "")
        raise SubmissionError(f"{path_text}: {one_line(str(reason), _MAX_REASON - len(advice))}{advice}") from None
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
    """The path for an error message; the end of a long path, which says more than its beginning."""
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
        major = 4  # damaged; the cells decide
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


def _missing_outputs(cells: list[dict[str, Any]]) -> list[Remark]:
    code = [cell for cell in cells if is_code(cell) and cell["source"].strip()]
    unrun = [cell for cell in code if not cell["outputs"] and cell["execution_count"] is None]
    if 2 * len(unrun) <= len(code):  # a few cells are often not run; if most are not, the outputs were cleared
        return []
    message = f"{len(unrun)} of {len(code)} code cells were submitted without outputs or an execution count."
    return [Remark("outputs_missing", message)]


def _refuse(reason: str) -> NoReturn:
    raise SubmissionError(clean_text(reason) or reason)


_SURROGATE = re.compile(r"[\ud800-\udfff]")
_CELL_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_MIME = re.compile(r"[\w.+-]{1,80}/[\w.+-]{1,80}", re.ASCII)
_MAX_DEPTH = 40  # of JSON in an output: deeper JSON is not a picture, and writing it could overflow the stack
_MAX_TRACEBACK = 1000


def clean_cells(cells: Sequence[Any]) -> tuple[list[dict[str, Any]], list[Remark]]:
    """The cells as fresh nbformat 4.5 dictionaries with unique ids, with remarks on the unreadable ones."""
    new_cells: list[dict[str, Any]] = []
    remarks: list[Remark] = []
    for index, cell in enumerate(cells):
        new_cell, problem = _clean_cell(cell if isinstance(cell, dict) else {})
        if not isinstance(cell, dict):
            problem = f"it is a {type(cell).__name__}, not a cell"
        if problem:
            new_cell["source"] = f"# This cell could not be read: {problem}."
            message = f"Cell {index + 1} could not be read and was replaced by a comment: {problem}."
            remarks.append(Remark("cell_unreadable", message, cell=index))
        new_cells.append(new_cell)
    return with_unique_ids(new_cells), remarks


def clean_text(value: Any) -> str | None:
    """The string, or list of strings, as one string that can be written as UTF-8; None for anything else."""
    if isinstance(value, list) and all(isinstance(line, str) for line in value):
        value = "".join(value)
    return _SURROGATE.sub("\ufffd", value) if isinstance(value, str) else None


def _clean_cell(cell: dict[str, Any]) -> tuple[dict[str, Any], str]:
    kind = cell.get("cell_type")
    if not isinstance(kind, str) or kind not in ("code", "markdown", "raw"):
        kind = "code" if isinstance(cell.get("outputs"), list) else "raw"
    new_cell: dict[str, Any] = {"cell_type": kind, "metadata": _clean_metadata(cell.get("metadata"))}
    new_cell["id"] = identity if _is_id(identity := cell.get("id")) else None
    source = clean_text(cell.get("source", ""))
    new_cell["source"] = (source or "").replace("\r\n", "\n").replace("\r", "\n")
    if kind == "code":
        outputs = cell.get("outputs")
        new_cell["outputs"] = list(clean_outputs(outputs if isinstance(outputs, list) else []))
        new_cell["execution_count"] = _count(cell.get("execution_count"))
    problem = "" if source is not None else f"its source is a {type(cell['source']).__name__}, not text"
    return new_cell, one_line(problem, 100)


def _clean_metadata(metadata: Any) -> dict[str, Any]:
    # Only our own marks, and whether an editor folds the cell: tags (skip-execution, raises-exception) would control
    # the runner.
    fields = metadata if isinstance(metadata, dict) else {}
    grader, jupyter = fields.get("grader"), fields.get("jupyter")
    clean_fields: dict[str, Any] = {}
    if _is_id(identity := grader.get("id") if isinstance(grader, dict) else None):
        clean_fields["grader"] = {"id": identity}
    if fields.get("cellView") == "form" or (isinstance(jupyter, dict) and jupyter.get("source_hidden") is True):
        clean_fields["jupyter"] = {"source_hidden": True}
    return clean_fields


def _is_id(value: Any) -> bool:
    return isinstance(value, str) and _CELL_ID.fullmatch(value) is not None


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 10**9 else None


def clean_outputs(outputs: list[Any]) -> Iterator[dict[str, Any]]:
    """The well-formed outputs of a code cell, each as a fresh dictionary."""
    for output in outputs:
        kind = output.get("output_type") if isinstance(output, dict) else None
        if kind == "stream":
            name, text = output.get("name", "stdout"), clean_text(output.get("text"))
            if name in ("stdout", "stderr") and text is not None:
                yield {"output_type": "stream", "name": name, "text": text}
        elif kind in ("display_data", "execute_result"):
            data = _clean_data(output.get("data"))
            if data:
                clean_output = {"output_type": kind, "data": data, "metadata": {}}
                if kind == "execute_result":
                    clean_output["execution_count"] = _count(output.get("execution_count"))
                yield clean_output
        elif kind == "error":
            traceback = output.get("traceback")
            lines = [clean_text(line) for line in traceback[:_MAX_TRACEBACK]] if isinstance(traceback, list) else []
            yield {
                "output_type": "error",
                "ename": clean_text(output.get("ename")) or "Error",
                "evalue": clean_text(output.get("evalue")) or "",
                "traceback": [line for line in lines if line is not None],
            }


def _clean_data(data: Any) -> dict[str, Any]:
    clean_data: dict[str, Any] = {}
    for mime, value in data.items() if isinstance(data, dict) else ():
        if not _MIME.fullmatch(mime):
            continue
        text = clean_text(value)
        if text is not None:
            clean_data[mime] = text
        elif mime == "application/json" or mime.endswith("+json"):
            try:
                clean_data[mime] = _clean_json(value, _MAX_DEPTH)
            except ValueError:
                continue  # too deep
    return clean_data


def _clean_json(value: Any, depth: int) -> Any:
    if depth == 0:
        raise ValueError("nested too deep")
    if isinstance(value, str):
        return clean_text(value)
    if isinstance(value, list):
        return [_clean_json(item, depth - 1) for item in value]
    if isinstance(value, dict):
        return {clean_text(key): _clean_json(item, depth - 1) for key, item in value.items()}
    return value
