"""What the command line's `audit` does: the fast form of the audit, and the question what if."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from rich.console import Console

from grader.audit import corpus
from grader.audit.margins import read_margins
from grader.audit.matrix import audit
from grader.audit.page import audit_html
from grader.audit.quick import quick_results
from grader.audit.records import Audit
from grader.audit.repeat import repeat, repeat_csv
from grader.audit.runs import planned, run_all
from grader.audit.table import audit_csv, print_audit, print_shifts
from grader.audit.whatif import changed, graded_folders, judged_with, parse_change, reported, shifts, shifts_csv
from grader.audit.wording import answers_of
from grader.errors import GraderError
from grader.notebook.format import load_notebook
from grader.report.files import write_atomically
from grader.rubric import load_rubric
from grader.rubric.wording import nearest

CALIBRATION = Path("docs/calibration.csv")  # beside the rubric
Say = Callable[[str], None]


def audit_components(
    only: Sequence[str], rubric_path: Path, out: Path, jobs: int, console: Console, say: Say = lambda _: None
) -> bool:
    """The corpus, or only the named solutions, was judged on components; returns whether nothing is wrong.

    Raises:
        GraderError: for a solution that the corpus does not have.
    """
    names = chosen(only)
    rubric, exercise = load_rubric(rubric_path)
    quick = quick_results(names, rubric_path, jobs=jobs, say=say)
    margins = read_margins(rubric_path.parent / CALIBRATION, rubric)
    answers = answers_of(load_notebook(rubric_path.parent / rubric.reference))
    made = audit(quick.results, rubric, exercise, broken=quick.broken, margins=margins, answers=answers)
    print_audit(made, console, write_audit(made, out))
    return made.sound


def audit_in_full(only: Sequence[str], rubric_path: Path, out: Path, jobs: int, console: Console, say: Say) -> bool:
    """The corpus, or only the named solutions, was trained and judged; returns whether nothing is wrong.

    What was run before for the same notebook and questions is only judged again.

    Raises:
        GraderError: for a solution that the corpus does not have.
    """
    names = chosen(only)
    rubric, exercise = load_rubric(rubric_path)
    exercise.prepare(say)
    found = {result.wanted.name: result for result in run_all([planned(n) for n in names], rubric_path, jobs, say)}
    results = {name: found[name].items for name in names if not found[name].error}
    broken = {name: found[name].error for name in names if found[name].error}
    margins = read_margins(rubric_path.parent / CALIBRATION, rubric)
    answers = answers_of(load_notebook(rubric_path.parent / rubric.reference))
    made = audit(
        results,
        rubric,
        exercise,
        corpus.parts_of,
        broken=broken,
        margins=margins,
        answers=answers,
    )
    print_audit(made, console, write_audit(made, out))
    return made.sound


def audit_seeds(
    only: Sequence[str], seeds: int, rubric_path: Path, out: Path, jobs: int, console: Console, say: Say, *, full: bool
) -> bool:
    """The solutions were judged with so many seeds each; returns whether their points are always the same.

    Raises:
        GraderError: for a solution that the corpus does not have.
    """
    found = repeat(chosen(only), seeds, rubric_path, jobs, say, full=full)
    out.mkdir(parents=True, exist_ok=True)
    table = out / "seeds.csv"
    write_atomically(table, repeat_csv(found))
    faults = [fault for one in found for fault in one.faults]
    for text in [*faults, f"File: {table}", f"{len(found)} solutions, {seeds} seeds each: {len(faults)} differences."]:
        console.print(text, soft_wrap=True, markup=False, highlight=False)
    return not faults


def write_audit(made: Audit, out: Path) -> tuple[Path, Path]:
    """The folder holds the audit as a page and as a table; returns their paths."""
    out.mkdir(parents=True, exist_ok=True)
    page, table = out / "audit.html", out / "audit.csv"
    write_atomically(page, audit_html(made).encode())
    write_atomically(table, audit_csv(made))
    return page, table


def ask_what_if(texts: Sequence[str], graded: Path, rubric_path: Path, out: Path, console: Console) -> None:
    """It is printed and written who would gain or lose how much under the changed numbers; nothing ran.

    Raises:
        GraderError: for an unknown number, or where nothing was graded.
    """
    rubric, exercise = load_rubric(rubric_path)
    changes = [parse_change(text, rubric) for text in texts]
    other = changed(rubric, changes)
    folders = graded_folders(graded)
    exercise.prepare(lambda _: None)
    moved = shifts(folders, rubric, other, judged_with(exercise), reported(folders))
    out.mkdir(parents=True, exist_ok=True)
    table = out / "what_if.csv"
    write_atomically(table, shifts_csv(moved))
    print_shifts(moved, changes, console)
    console.print(f"File: {table}", soft_wrap=True, markup=False, highlight=False)


def chosen(only: Sequence[str]) -> list[str]:
    """The names asked for, or the reference and every honest and wrong solution.

    Raises:
        GraderError: for an unknown name, with the nearest one.
    """
    known = [corpus.REFERENCE, *corpus.names("honest"), *corpus.names("wrong")]
    for name in only:
        if name not in known:
            raise GraderError(f"--only: unknown solution {name[:80]!r}{nearest(name, known)}")
    return list(dict.fromkeys(only)) or known
