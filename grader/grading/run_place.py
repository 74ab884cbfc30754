"""Which folder a run of a single notebook goes into, and when a run may take the place of the one before it.

A folder belongs to one notebook file, and to one extent of grading: a run of components alone has a folder of its own.
A weaker run never takes the place of a stronger one: one that judged less, or that was stopped where the other went on
to its end.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from grader.errors import GraderError, one_line
from grader.grading.run_files import REPORT, written
from grader.grading.run_folder import SOURCE, note_source, shown, source_of, stored_report
from grader.notebook.read import safe_name
from grader.records import GradeReport, Rubric, Status, Submission
from grader.report.report_json import MAX_BYTES, read_report_json
from grader.report.totals import trained_parts, undecided_milli
from grader.store.bounded import Unreadable, file_bytes
from grader.store.files import locked
from grader.store.json_files import read_json

RUNS = Path("runs")
CLASS = "class.json"  # what the folder of a class has
SUBMISSIONS = "submissions"  # where a class has the runs of its students
MAX_CLASS = 200_000_000  # bytes
A_CLASS, FILES = "a class", "files that this run would overwrite"
_MAX_SOURCE = 20_000
_STOPPED = (Status.TIMEOUT, Status.KILLED)
REPLACE = "give another folder with --out, or --replace to replace it"


def extent_name(parts: Sequence[str] | None) -> str:
    """What is added to a folder's or file's name where not everything is graded; empty where everything is."""
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
    """The folder for the notebook's run, held against other graders; without `out` it is chosen below `RUNS`.

    It notes whose it is, and by which rubric it is graded.

    Raises:
        GraderError: `out` belongs to another notebook or a class, or another grader is at work there.
    """
    owner = str(notebook.resolve())
    free = (path for path in _choices(submission.name, owner, parts) if not _of_another(path, owner, submission))
    folder = out or next(free, RUNS / submission.name)
    _refuse_another(folder, owner, submission, replace=replace)
    with locked(folder):
        _refuse_another(folder, owner, submission, replace=replace)  # it may have been chosen meanwhile
        note_source(folder, notebook, rubric)
        yield folder


def class_folder(submissions: Path, parts: Sequence[str] | None, part: str = "") -> Path:
    """The folder below `RUNS` for a class that is graded to this extent, noted as that of these submissions.

    A `part` of the class, "part-2-of-8", has its own.
    """
    owner = str(submissions.resolve())
    choices = [
        path.with_name(f"{path.name}-{part}") if part else path
        for path in _choices(safe_name(Path(owner)), owner, parts)
    ]
    folder = next((path for path in choices if _is_for(path, owner)), choices[-1])
    folder.mkdir(parents=True, exist_ok=True)
    note_source(folder, submissions)
    return folder


def unclaim(folder: Path) -> None:
    """A folder below `RUNS` that a class was to have, which was refused before it began, is nobody's again."""
    if folder.parent == RUNS and not (folder / CLASS).exists() and not any(written(folder)):
        (folder / SOURCE).unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # something else lies there
            folder.rmdir()


def refuse_run(out: Path) -> None:
    """The folder is no single notebook's.

    Raises:
        GraderError: it is.
    """
    if (out / REPORT).exists() and not (out / CLASS).exists():
        raise GraderError(f"{shown(out)}: holds the run of a single notebook; give another folder with --out")


def lost_parts(old: Collection[str] | None, new: Collection[str] | None, every: Collection[str]) -> frozenset[str]:
    """The parts that were trained and would not be; None stands for every part."""
    return frozenset(every if old is None else old) - frozenset(every if new is None else new)


def class_above(folder: Path) -> Path | None:
    """The folder of the class that has the run as one of its students'; None where there is none."""
    above = folder.resolve().parents[1:2]
    return next((out for out in above if folder.resolve().parent.name == SUBMISSIONS and (out / CLASS).exists()), None)


def refuse_less(folder: Path, parts: Collection[str] | None) -> None:
    """The folder holds no run that graded more parts than this one will.

    Raises:
        GraderError: it did: before anything runs.
    """
    old = earlier_report(folder)
    missing_parts = trained_parts(old) - set(parts) if old is not None and parts is not None else frozenset()
    if missing_parts:
        raise GraderError(
            f"{shown(folder)}: holds a run that also graded the training of {listed(missing_parts)}, "
            f"which this one would leave out; {REPLACE}"
        )


def is_weaker(new: GradeReport, old: GradeReport) -> str:
    """Why the new report must not take the place of the old one, in a few words; empty where it may.

    If the notebook has changed since, only the extent of the two runs is compared.
    """
    if missing_parts := trained_parts(old) - trained_parts(new):
        return f"it also graded the training of {listed(missing_parts)}"
    if new.checksums.get("notebook") != old.checksums.get("notebook"):
        return ""
    if new.status in _STOPPED and old.status not in _STOPPED:
        return "it ran to its end, and this one was stopped"
    if sum(map(undecided_milli, new.items)) > sum(map(undecided_milli, old.items)):
        return "this one leaves more to be decided by a person"
    return ""


def refuse_other_rubric(folder: Path, report: GradeReport, rubric: Rubric, path: Path) -> None:
    """The rubric is one that the report's items can be judged by.

    Raises:
        GraderError: it is another exercise's: they have no item in common.
    """
    if {item.id for item in report.items}.isdisjoint(item.id for item in rubric.items):
        raise GraderError(
            f"{shown(folder)}: was graded by another rubric than {shown(path)}, with which it has no item in common; "
            "name its own with --rubric"
        )


def rubric_of(folder: Path) -> Path | None:
    """The rubric that the run, or the class that it belongs to, was graded by; None where that is not noted."""
    rubric_path = source.rubric if (source := source_of(folder)) else ""
    if not rubric_path and (of_class := class_above(folder)) is not None:
        rubric_path = _text_under(of_class / CLASS, "rubric")
    return Path(rubric_path) if rubric_path and Path(rubric_path).is_file() else None


def earlier_report(folder: Path) -> GradeReport | None:
    """The report of the folder's run; None where there is none that can be read."""
    with contextlib.suppress(GraderError):
        return stored_report(folder)
    return None


def _choices(name: str, owner: str, parts: Sequence[str] | None) -> Iterator[Path]:
    """Candidate folders, the plain name first; the last one has a digest of the notebook's path in its name."""
    ending = f"-{extent}" if (extent := extent_name(parts)) else ""
    digest = hashlib.sha256(os.fsencode(owner)).hexdigest()[:8]
    for folder_name in (name, f"{safe_name(Path(owner).parent)}-{name}", f"{name}-{digest}"):
        yield RUNS / f"{folder_name}{ending}"


def _refuse_another(folder: Path, owner: str, submission: Submission, *, replace: bool) -> None:
    owner_text = _of_another(folder, owner, submission)
    if owner_text and (not replace or owner_text in (A_CLASS, FILES)):
        raise GraderError(f"{shown(folder)}: holds {owner_text}; {REPLACE}")


def _of_another(folder: Path, owner: str, submission: Submission) -> str:
    """What keeps the notebook out of the folder, for an error message; empty if the notebook may use it.

    A folder from before files were noted is the notebook's where its run was of the same text. Nothing is changed.
    """
    if (folder / CLASS).exists() or class_above(folder) is not None:
        return A_CLASS
    if noted_owner := _source(folder):
        return "" if noted_owner == owner else f"the run of {one_line(noted_owner, 200)}"
    try:
        old = read_report_json(file_bytes(folder / REPORT, MAX_BYTES))
    except (Unreadable, GraderError):
        return FILES if any(written(folder)) else ""
    return "" if old.checksums.get("notebook") == submission.sha256 else "the run of another notebook"


_OBJECT: TypeAdapter[dict[str, Any]] = TypeAdapter(dict[str, Any])


def _text_under(path: Path, key: str) -> str:
    """The text under the key in the folder's note or in a class's file; empty where there is none."""
    try:
        text = read_json(path, _OBJECT, MAX_CLASS if path.name == CLASS else _MAX_SOURCE).get(key)
    except Unreadable:
        return ""
    return text if isinstance(text, str) else ""


def _source(folder: Path) -> str:
    """Whose the folder is, as noted in it; empty where nothing is."""
    return source.of if (source := source_of(folder)) else ""


def _is_for(folder: Path, owner: str) -> bool:
    """Whether the folder is the owner's, by its note or as that of a class, or nobody's."""
    if _source(folder) == owner:
        return True
    if submissions := _text_under(folder / CLASS, "submissions"):
        return str(Path(submissions).resolve()) == owner
    return not _source(folder) and not (folder / CLASS).exists() and not any(written(folder))


def listed(parts: Collection[str]) -> str:
    """Parts as they are named in a sentence."""
    return " and ".join(sorted(parts))
