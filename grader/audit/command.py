"""What the command line's `audit` does: the rubric on trial, with or without training, and the question what if.

Nothing is printed here: what came of it is returned, and where its files lie.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from grader.audit import corpus
from grader.audit.margins import read_margins
from grader.audit.matrix import audit
from grader.audit.page import audit_html
from grader.audit.quick import quick_results
from grader.audit.records import Audit
from grader.audit.repeat import Repeated, repeat, repeat_csv
from grader.audit.runs import planned, run_all
from grader.audit.table import audit_csv
from grader.audit.whatif import (
    Change,
    Judged,
    Shift,
    changed,
    graded_folders,
    judged_with,
    parse_change,
    reported,
    shifts,
    shifts_csv,
)
from grader.audit.wording import answers_of
from grader.errors import GraderError
from grader.files import write_atomically
from grader.notebook.format import load_notebook
from grader.records import ItemVerdict, Rubric
from grader.rubric import load_rubric
from grader.rubric.wording import nearest

CALIBRATION = Path("docs/calibration.csv")  # beside the rubric
EVERY_S = 2.0  # how often it is said how far it is
Say = Callable[[str], None]


@dataclass(frozen=True)
class Tried:
    """An audit, and its page and table."""

    audit: Audit
    files: tuple[Path, ...]


@dataclass(frozen=True)
class TriedAgain:
    """Solutions with several seeds each, and the table of their points."""

    found: tuple[Repeated, ...]
    seeds: int
    table: Path

    @property
    def faults(self) -> list[str]:
        """Whose points depend on the seed, one sentence each."""
        return [fault for one in self.found for fault in one.faults]


@dataclass(frozen=True)
class Supposed:
    """What changed numbers would do to graded submissions, and the table of it."""

    changes: tuple[Change, ...]
    shifts: tuple[Shift, ...]
    table: Path


def audit_components(only: Sequence[str], rubric_path: Path, out: Path, jobs: int, say: Say) -> Tried:
    """The corpus, or only the named solutions, was judged on components.

    Raises:
        GraderError: for a solution that the corpus does not have.
    """
    names = chosen(only)
    rubric, exercise = load_rubric(rubric_path)
    quick = quick_results(names, rubric_path, jobs=jobs, say=say)
    margins = read_margins(rubric_path.parent / CALIBRATION, rubric)
    answers = answers_of(load_notebook(rubric_path.parent / rubric.reference))
    made = audit(quick.results, rubric, exercise, broken=quick.broken, margins=margins, answers=answers)
    return Tried(made, write_audit(made, out))


def audit_in_full(only: Sequence[str], rubric_path: Path, out: Path, jobs: int, say: Say) -> Tried:
    """The corpus, or only the named solutions, was trained and judged.

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
    made = audit(results, rubric, exercise, corpus.parts_of, broken=broken, margins=margins, answers=answers)
    return Tried(made, write_audit(made, out))


def audit_seeds(
    only: Sequence[str], seeds: int, rubric_path: Path, out: Path, jobs: int, say: Say, *, full: bool
) -> TriedAgain:
    """The solutions were judged with so many seeds each.

    Raises:
        GraderError: for a solution that the corpus does not have.
    """
    found = repeat(chosen(only), seeds, rubric_path, jobs, say, full=full)
    out.mkdir(parents=True, exist_ok=True)
    table = out / "seeds.csv"
    write_atomically(table, repeat_csv(found))
    return TriedAgain(tuple(found), seeds, table)


def write_audit(made: Audit, out: Path) -> tuple[Path, Path]:
    """The folder holds the audit as a page and as a table; returns their paths."""
    out.mkdir(parents=True, exist_ok=True)
    page, table = out / "audit.html", out / "audit.csv"
    write_atomically(page, audit_html(made).encode())
    write_atomically(table, audit_csv(made))
    return page, table


def ask_what_if(texts: Sequence[str], graded: Path, rubric_path: Path, out: Path, say: Say) -> Supposed:
    """It is written who would gain or lose how much under the changed numbers; nothing ran.

    Raises:
        GraderError: for an unknown number, or where nothing was graded.
    """
    rubric, exercise = load_rubric(rubric_path)
    changes = [parse_change(text, rubric) for text in texts]
    other = changed(rubric, changes)
    folders = graded_folders(graded)
    exercise.prepare(say)
    say(f"{len(folders)} graded submissions, each judged under both rubrics")
    moved = shifts(folders, rubric, other, _counted(judged_with(exercise), 2 * len(folders), say), reported(folders))
    out.mkdir(parents=True, exist_ok=True)
    table = out / "what_if.csv"
    write_atomically(table, shifts_csv(moved))
    return Supposed(tuple(changes), tuple(moved), table)


def _counted(judged: Judged, count: int, say: Say) -> Judged:
    """The same judging, which says how far it is."""
    done, said = 0, time.monotonic()

    def counting(folder: Path, rubric: Rubric) -> Sequence[ItemVerdict]:
        nonlocal done, said
        done += 1
        if time.monotonic() - said > EVERY_S:
            said = time.monotonic()
            say(f"judging {done} of {count}: {folder.name}")
        return judged(folder, rubric)

    return counting


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
