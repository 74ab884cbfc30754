"""Errors that occur only on the grading machine, because it lacks something that the student's machine had.

That may be a package, a GPU, a network, a screen or a file. Such an error is not a mistake, so the affected items need
manual review. If the saved outputs show the same error, the student had it as well. The error message comes from the
box and could be forged, but a forged message gains nothing: it gives no points, only a review.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from grader.notebook.format import cell_title, is_code, source_of
from grader.notebook.restore import RestoredNotebook
from grader.notebook.statements import read_code
from grader.records import Blame, CellRun, CellStatus, Evidence, Fault

# The text of an error, and its cause. If several match, the first counts.
_SIGNS: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"ModuleNotFoundError: No module named '?([\w.]{1,60})"), "the package {} is not installed"),
    (re.compile(r"ImportError: cannot import name '?(\w{1,60})'? from '?([\w.]{1,60})"), "{1} has no {0}"),
    (
        re.compile(
            r"NVIDIA driver|not compiled with CUDA|No CUDA GPUs|CUDA error|CUDA out of memory|on a CUDA device"
            r"|Invalid device (?:id|argument)|invalid device ordinal|accelerator device when none|MPS backend"
            r"|mps devices"
        ),
        "the GPU is missing",
    ),
    (
        re.compile(
            r"URLError|gaierror|name resolution|Name or service not known|ConnectionError|ConnectError|Max retries"
            r"|Network is unreachable|Connection refused|LocalEntryNotFound|OfflineMode|offline mode|HTTPError"
        ),
        "there is no network access",
    ),
    (
        re.compile(r"TclError|no \$?DISPLAY|cannot connect to X server|could not connect to display"),
        "there is no screen",
    ),
    (re.compile(r"FileNotFoundError|No such file or directory"), "the file is missing"),
    (re.compile(r"PermissionError|Read-only file system"), "the folder cannot be written"),
    (re.compile(r"ExecutableNotFound|command not found"), "the program is missing"),
)
_WHERE = "where this was graded"
_MAX_ERROR = 240  # characters of an error
_UNDEFINED = re.compile(r"(?:NameError: name '|^`?)(\w+)['`]? is not defined")


def missing_resource(error: str) -> str:
    """Returns the missing resource that the error names, as a clause; empty if it names none.

    >>> missing_resource("ModuleNotFoundError: No module named 'lightning'")
    'the package lightning is not installed'
    """
    for pattern, words in _SIGNS:
        if (match := pattern.search(error)) is not None:
            return words.format(*match.groups())
    return ""


def with_machine_faults(evidence: Evidence, restored: RestoredNotebook, runs: Mapping[int, CellRun]) -> Evidence:
    """Returns the evidence, in which errors that only this machine causes are not the student's faults.

    That is a question whose error says so, or one that needs a name which a cell did not define because it stopped with
    such an error.
    """
    cells = restored.notebook["cells"]
    students_own = {missing_resource(error) for cell in cells for error in _saved_errors([cell])}
    causes = dict(_undefined_names(restored, runs, students_own))
    faults = {}
    for name, fault in evidence.faults.items():
        if fault.blame is Blame.STUDENT and (cause := _cause(fault.message, causes, students_own)):
            fault = Fault(Blame.MACHINE, f"{cause}: {fault.message[:_MAX_ERROR]}")
        faults[name] = fault
    return Evidence(evidence.questions, evidence.answers, faults)


def _cause(message: str, causes: Mapping[str, str], students_own: set[str]) -> str:
    if (undefined := _UNDEFINED.search(message)) is not None:
        return causes.get(undefined[1], "")
    resource = missing_resource(message)
    return f"{resource} {_WHERE}" if resource and resource not in students_own else ""


def _undefined_names(
    restored: RestoredNotebook, runs: Mapping[int, CellRun], students_own: set[str]
) -> Iterator[tuple[str, str]]:
    """Names that cells did not define because they stopped, each with the cause."""
    cells = restored.notebook["cells"]
    is_cleared = _is_cleared(cells)
    cause_by_name: dict[str, str] = {}
    for index, run in sorted(runs.items()):
        if run.status is not CellStatus.ERROR or index >= len(cells) or not is_code(cells[index]):
            continue
        undefined = _UNDEFINED.search(run.error)
        resource = missing_resource(run.error)
        if undefined is not None:
            cause = cause_by_name.get(undefined[1], "")
        elif resource and resource not in students_own and (is_cleared or _was_run(_same_cell(restored, index))):
            cause = f"cell {index + 1} ('{cell_title(cells, index)}') stopped, because {resource} {_WHERE}"
        else:
            cause = ""
        if cause:
            for name in read_code(source_of(cells[index])).binds:
                cause_by_name.setdefault(name, cause)
                yield name, cause_by_name[name]


def _same_cell(restored: RestoredNotebook, index: int) -> list[Mapping[str, Any]]:
    """The cells that come from the same cell of the submission."""
    submitted = restored.roles[index].submitted
    if submitted is None:
        return [restored.notebook["cells"][index]]
    cells = zip(restored.notebook["cells"], restored.roles, strict=True)
    return [cell for cell, role in cells if role.submitted == submitted]


def _was_run(cells: Sequence[Mapping[str, Any]]) -> bool:
    """Whether the student ran the cell without an error, according to the file."""
    has_traces = any(cell.get("outputs") or cell.get("execution_count") is not None for cell in cells)
    return has_traces and not any(_saved_errors(cells))


def _is_cleared(cells: Sequence[Mapping[str, Any]]) -> bool:
    """Whether the file shows for no cell that it was run."""
    return not any(is_code(cell) and _was_run([cell]) for cell in cells)


def _saved_errors(cells: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    for cell in cells:
        for output in cell.get("outputs") or ():
            if output.get("output_type") == "error":
                yield f"{output.get('ename')}: {output.get('evalue')}"[:2000]
