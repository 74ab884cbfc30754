"""Rebuilds submitted cells from their well-formed parts.

Only text, numbers and the few keys that a notebook needs are kept, and nothing of the submitted structure. Content
never raises; problems are reported as remarks.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from grader.errors import one_line
from grader.notebook.format import with_unique_ids
from grader.records import Remark

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
    # Only our own id, and whether an editor folds the cell: tags (skip-execution, raises-exception) would control
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
