"""Notebooks of hostile shapes through everything that the grader's own process does with them, measured.

`hostile_reader.py <name> ...` reads named cases, `hostile_reader.py <first seed> <how many>` made-up ones. Each gets a
line: the seconds of processor time that it took, the most megabytes that the process has had by then beyond what it
began with, its name, and the result.
"""

from __future__ import annotations

import json
import resource
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from hostile_cases import CASES, Make
from hostile_shapes import shaped
from small_exercise import notebook, running

from grader.batch.similar import asked_source, similar_pairs
from grader.errors import SubmissionError
from grader.exercise import implemented_names
from grader.grading.plan import executed_notebook, first_plan, plan_frame
from grader.grading.run_pages import load_pages
from grader.grading.verdicts import item_verdicts
from grader.notebook.clean_cells import clean_outputs
from grader.notebook.format import dump_notebook, is_code
from grader.notebook.read import read_submission
from grader.notebook.restore import restore_given
from grader.notebook.saved_outputs import compare_saved
from grader.records import CellRun, CellStatus, Evidence, GradeReport, Notebook, Remark, Status
from grader.report.notebook_view import make_view
from grader.report.pages import feedback_html, report_html
from grader.skeleton.exercise.plugin import TwoNumbers

ADDRESS_SPACE = 6 << 30  # a notebook that takes that much ends the process
CPU_S = 1200
SIZES = (1000, 5000, 20_000, 90_000)  # characters
NAMES = {item: spec.annotated_names for item, spec in TwoNumbers.items.items()}
TEMPLATE, RUBRIC = notebook.template(), running.rubric()


def read_all(input_notebook: Notebook, path: Path) -> str:
    """The result of the notebook: one line, or "read", when every page of its run has been drawn."""
    path.write_text(json.dumps(input_notebook))
    outputs = [cell.get("outputs", []) for cell in input_notebook["cells"] if is_code(cell)]
    del input_notebook
    try:
        submission = read_submission(path, max_mb=100, max_cells=1000)
    except SubmissionError as error:
        return str(error)
    restored = restore_given(submission.notebook, TEMPLATE)
    plan_frame(first_plan(restored, TwoNumbers(), {}, RUBRIC.limits), RUBRIC.interface, RUBRIC.limits).encode()
    cells = restored.notebook["cells"]
    runs = [CellRun(index, CellStatus.OK, 0.1) for index, cell in enumerate(cells) if is_code(cell)]
    # The run has the submitted outputs, at other cells.
    again = {run.index: list(clean_outputs(shown)) for run, shown in zip(runs, reversed(outputs), strict=False)}
    executed = executed_notebook(restored.notebook, {run.index: run for run in runs}, again)
    differing = compare_saved(submission.notebook, restored, executed, runs)
    dump_notebook(executed)
    remarks = (*submission.remarks, *restored.remarks, *differing)
    drawn = sum(map(len, pages(executed, remarks, runs)))
    names = implemented_names(TwoNumbers())
    two = {key: asked_source(submission.notebook, names) for key in ("one", "two")}
    similar_pairs(two, asked_source(TEMPLATE, names))
    return f"read, {drawn / 1e6:.0f} MB of pages"


def pages(executed: Notebook, remarks: tuple[Remark, ...], runs: list[CellRun]) -> tuple[str, str]:
    """The student's page and the staff's."""
    items = item_verdicts(Evidence({}, {}, {}), RUBRIC, TwoNumbers().checks)
    report = GradeReport(
        submission="x",
        points_milli=sum(item.points_milli for item in items),
        max_points_milli=RUBRIC.points_milli,
        device="cpu",
        status=Status.OK,
        isolation="bubblewrap",
        needs_person=False,
        items=items,
        remarks=remarks,
        events=(),
        seed="0" * 32,
        checksums={},
        versions={},
        wall_s=1.0,
        created="2026-01-01T00:00:00+00:00",
    )
    view = make_view(executed, NAMES, runs)
    return feedback_html(report, (), view, NAMES), report_html(report)


def peak_mb() -> float:
    """The most memory that this process has had so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000


def measure(named: Mapping[str, Make], path: Path) -> None:
    """Prints a line for each."""
    load_pages()
    read_all(notebook.submission(), path)
    before = peak_mb()
    for name, make in named.items():
        input_notebook = make()
        began = time.process_time()
        became = read_all(input_notebook, path)
        took = time.process_time() - began
        print(f"{took:.2f}\t{peak_mb() - before:.0f}\t{name}\t{became.removeprefix(str(path.parent))}", flush=True)


def chosen(arguments: Sequence[str]) -> dict[str, Make]:
    """What the command's arguments name."""
    if not arguments[0].isdigit():
        return {name: CASES[name] for name in arguments}
    seeds = range(int(arguments[0]), int(arguments[0]) + int(arguments[1]))
    return {f"seed {seed}": partial(shaped, seed, SIZES[seed % len(SIZES)]) for seed in seeds}


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE, ADDRESS_SPACE))
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_S, CPU_S + 5))
    with tempfile.TemporaryDirectory() as folder:
        measure(chosen(sys.argv[1:]), Path(folder, "x.ipynb"))
