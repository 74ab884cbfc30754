"""What goes wrong only where it is graded, for want of something that the student's own machine had.

That may be a package, a GPU, a network, a screen or a file. It is no mistake, so a person decides
about what it costs, with the reason. Where the saved outputs show the same trouble, it was there for the student, too.
A box's word is believed here because it gains nothing: no point comes of it, only a look.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from grader.notebook.format import cell_title, is_code, source_of
from grader.notebook.restore import RestoredNotebook
from grader.notebook.statements import read_code
from grader.records import Blame, CellRun, CellStatus, Evidence, Fault

# What an error says, and what it comes of. Of several that fit, the first counts.
_SIGNS: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"ModuleNotFoundError: No module named '?([\w.]{1,60})"), "the package {} is not installed"),
    (re.compile(r"ImportError: cannot import name '?(\w{1,60})'? from '?([\w.]{1,60})"), "{1} has no {0}"),
    (
        re.compile(
            r"NVIDIA driver|not compiled with CUDA|No CUDA GPUs|CUDA error|CUDA out of memory|on a CUDA device"
            r"|Invalid device (?:id|argument)|invalid device ordinal|accelerator device when none|MPS backend"
            r"|mps devices"
        ),
        "there is no such GPU",
    ),
    (
        re.compile(
            r"URLError|gaierror|name resolution|Name or service not known|ConnectionError|ConnectError|Max retries"
            r"|Network is unreachable|Connection refused|LocalEntryNotFound|OfflineMode|offline mode|HTTPError"
        ),
        "there is no network",
    ),
    (
        re.compile(r"TclError|no \$?DISPLAY|cannot connect to X server|could not connect to display"),
        "there is no screen",
    ),
    (re.compile(r"FileNotFoundError|No such file or directory"), "there is no such file"),
    (re.compile(r"PermissionError|Read-only file system"), "there is no such place to write to"),
    (re.compile(r"ExecutableNotFound|command not found"), "there is no such program"),
)
_WHERE = "where this was graded"
_MAX_ERROR = 240  # characters of an error
_UNDEFINED = re.compile(r"(?:NameError: name '|^`?)(\w+)['`]? is not defined")


def missing_resource(error: str) -> str:
    """What the error says is not there, as a clause; empty where it says nothing of the kind.

    >>> missing_resource("ModuleNotFoundError: No module named 'lightning'")
    'the package lightning is not installed'
    """
    for pattern, words in _SIGNS:
        if (match := pattern.search(error)) is not None:
            return words.format(*match.groups())
    return ""


def with_machine_faults(evidence: Evidence, restored: RestoredNotebook, runs: Mapping[int, CellRun]) -> Evidence:
    """The evidence, in which what only this machine stops is no fault of the student's.

    That is an answer whose own error says so, or one that needs a name which a cell would have defined had it not
    stopped for such a reason.
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
    """Names that cells would have defined, each with why they are not there."""
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
    """The cells that come from the same one of the submission."""
    submitted = restored.roles[index].submitted
    if submitted is None:
        return [restored.notebook["cells"][index]]
    cells = zip(restored.notebook["cells"], restored.roles, strict=True)
    return [cell for cell, role in cells if role.submitted == submitted]


def _was_run(cells: Sequence[Mapping[str, Any]]) -> bool:
    """Whether the student has run the cell, as far as the file says, and saw no error."""
    has_traces = any(cell.get("outputs") or cell.get("execution_count") is not None for cell in cells)
    return has_traces and not any(_saved_errors(cells))


def _is_cleared(cells: Sequence[Mapping[str, Any]]) -> bool:
    """Whether the file shows of no cell that it was run."""
    return not any(is_code(cell) and _was_run([cell]) for cell in cells)


def _saved_errors(cells: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    for cell in cells:
        for output in cell.get("outputs") or ():
            if output.get("output_type") == "error":
                yield f"{output.get('ename')}: {output.get('evalue')}"[:2000]
