"""The folder for a run, and when a run may replace the run before it.

A folder belongs to one notebook file, or to one class (see `grader.batch.class_folder`), and to one extent of grading:
a run of components only has its own folder.
A weaker run never replaces a stronger one. A run is weaker if it graded less, or if it was stopped and the other run
reached its end.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from grader.errors import GraderError, one_line, short_path
from grader.grading.run_files import REPORT, files_of_run
from grader.grading.stored_run import read_owner, stored_report, write_owner
from grader.notebook.read import safe_name
from grader.records import GradeReport, Rubric, Status, Submission
from grader.report.report_json import MAX_BYTES, read_report_json
from grader.report.totals import trained_parts, undecided_milli
from grader.store.bounded import Unreadable, file_bytes
from grader.store.files import locked
from grader.store.json_files import read_json

RUNS = Path("runs")
CLASS = "class.json"  # in the folder of every class
SUBMISSIONS = "submissions"  # where the runs of a class are
MAX_CLASS = 200_000_000  # bytes
A_CLASS, FILES = "a class", "files that this run would overwrite"
_STOPPED = (Status.TIMEOUT, Status.KILLED)
_OBJECT: TypeAdapter[dict[str, Any]] = TypeAdapter(dict[str, Any])
REPLACE = "use another folder with --out, or replace it with --replace"


def extent_name(parts: Sequence[str] | None) -> str:
    """Returns the suffix for the name of a folder or file if not everything is graded; empty if everything is."""
    return "" if parts is None else "components-only" if not parts else "-".join((*parts, "only"))


@contextlib.contextmanager
def own_folder(
    notebook: Path,
    submission: Submission,
    rubric: Path,
    out: Path | None,
    parts: Sequence[str] | None,
    *,
    replace: bool,
) -> Iterator[Path]:
    """The folder for the notebook's run, locked against other graders; without `out` it is chosen below `RUNS`.

    `.source` in the folder names the notebook and the rubric.

    Raises:
        GraderError: `out` belongs to another notebook or a class, or another grader is working there.
    """
    owner = str(notebook.resolve())
    free = (
        path for path in candidate_folders(submission.name, owner, parts) if not _of_another(path, owner, submission)
    )
    folder = out or next(free, RUNS / submission.name)
    _refuse_another(folder, owner, submission, replace=replace)
    with locked(folder):
        _refuse_another(folder, owner, submission, replace=replace)  # another grader may have chosen it meanwhile
        write_owner(folder, notebook, rubric)
        yield folder


def class_above(folder: Path) -> Path | None:
    """The folder of the class that the run belongs to; None if there is none."""
    above = folder.resolve().parents[1:2]
    return next((out for out in above if folder.resolve().parent.name == SUBMISSIONS and (out / CLASS).exists()), None)


def refuse_less(folder: Path, parts: Collection[str] | None) -> None:
    """Refuses a folder that holds a run that graded more parts than this one will.

    Raises:
        GraderError: it does; raised before anything runs.
    """
    old = earlier_report(folder)
    missing_parts = trained_parts(old) - set(parts) if old is not None and parts is not None else frozenset()
    if missing_parts:
        raise GraderError(
            f"{short_path(folder)}: holds a run that also graded the training of {parts_text(missing_parts)}, "
            f"which the new run would leave out; {REPLACE}"
        )


def is_weaker(new: GradeReport, old: GradeReport) -> str:
    """Why the new report must not replace the old one, in a few words; empty if it may.

    If the notebook has changed since, only the extent of the two runs is compared.
    """
    if missing_parts := trained_parts(old) - trained_parts(new):
        return f"it also graded the training of {parts_text(missing_parts)}"
    if new.checksums.get("notebook") != old.checksums.get("notebook"):
        return ""
    if new.status in _STOPPED and old.status not in _STOPPED:
        return "it ran to its end, and the new run was stopped"
    if sum(map(undecided_milli, new.items)) > sum(map(undecided_milli, old.items)):
        return "the new run leaves more points for manual review"
    return ""


def refuse_other_rubric(folder: Path, report: GradeReport, rubric: Rubric, path: Path) -> None:
    """Refuses a rubric with which the report cannot be re-graded.

    Raises:
        GraderError: the rubric has no item in common with the report.
    """
    if {item.id for item in report.items}.isdisjoint(item.id for item in rubric.items):
        raise GraderError(
            f"{short_path(folder)}: was graded with a rubric that has no item in common with {short_path(path)}; give "
            "the right rubric with --rubric"
        )


def rubric_of(folder: Path) -> Path | None:
    """The rubric with which the run, or its class, was graded; None if it is not noted."""
    rubric_path = owner.rubric if (owner := read_owner(folder)) else ""
    if not rubric_path and (of_class := class_above(folder)) is not None:
        rubric_path = class_text(of_class, "rubric")
    return Path(rubric_path) if rubric_path and Path(rubric_path).is_file() else None


def earlier_report(folder: Path) -> GradeReport | None:
    """The report of the folder's run; None if there is none that can be read."""
    with contextlib.suppress(GraderError):
        return stored_report(folder)
    return None


def candidate_folders(name: str, owner: str, parts: Sequence[str] | None) -> Iterator[Path]:
    """Candidate folders, the plain name first; the last one has a digest of the owner's path in its name."""
    ending = f"-{extent}" if (extent := extent_name(parts)) else ""
    digest = hashlib.sha256(os.fsencode(owner)).hexdigest()[:8]
    for folder_name in (name, f"{safe_name(Path(owner).parent)}-{name}", f"{name}-{digest}"):
        yield RUNS / f"{folder_name}{ending}"


def class_text(folder: Path, key: str) -> str:
    """The text under the key in the file of a class; empty if there is none."""
    try:
        text = read_json(folder / CLASS, _OBJECT, MAX_CLASS).get(key)
    except Unreadable:
        return ""
    return text if isinstance(text, str) else ""


def recorded_owner(folder: Path) -> str:
    """The owner that `.source` names; empty without one."""
    return recorded.of if (recorded := read_owner(folder)) else ""


def parts_text(parts: Collection[str]) -> str:
    """The parts of the exercise in a sentence, "a and b"."""
    return " and ".join(sorted(parts))


def _refuse_another(folder: Path, owner: str, submission: Submission, *, replace: bool) -> None:
    owner_text = _of_another(folder, owner, submission)
    if owner_text and (not replace or owner_text in (A_CLASS, FILES)):
        raise GraderError(f"{short_path(folder)}: holds {owner_text}; {REPLACE}")


def _of_another(folder: Path, owner: str, submission: Submission) -> str:
    """The reason why the notebook cannot use the folder, for an error message; empty if it can.

    A folder without `.source`, from an older version, is the notebook's if its run was of the same text. Nothing is
    changed.
    """
    if (folder / CLASS).exists() or class_above(folder) is not None:
        return A_CLASS
    if noted_owner := recorded_owner(folder):
        return "" if noted_owner == owner else f"the run of {one_line(noted_owner, 200)}"
    try:
        old = read_report_json(file_bytes(folder / REPORT, MAX_BYTES))
    except (Unreadable, GraderError):
        return FILES if any(files_of_run(folder)) else ""
    return "" if old.checksums.get("notebook") == submission.sha256 else "the run of another notebook"
