"""The folder for a class below `RUNS`: chosen, freed, and refused if it holds something else."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Sequence
from pathlib import Path

from grader.errors import GraderError, short_path
from grader.grading.folder_choice import CLASS, RUNS, candidate_folders, class_text, recorded_owner
from grader.grading.run_files import REPORT, files_of_run
from grader.grading.stored_run import OWNER_FILE, write_owner
from grader.notebook.read import safe_name


def class_folder(submissions: Path, parts: Sequence[str] | None, shard: str = "") -> Path:
    """The folder below `RUNS` for a class that is graded to this extent, with the submissions recorded in it.

    A `shard` of the class, "part-2-of-8", has its own folder.
    """
    owner = str(submissions.resolve())
    choices = [
        path.with_name(f"{path.name}-{shard}") if shard else path
        for path in candidate_folders(safe_name(Path(owner)), owner, parts)
    ]
    folder = next((path for path in choices if _is_for(path, owner)), choices[-1])
    folder.mkdir(parents=True, exist_ok=True)
    write_owner(folder, submissions)
    return folder


def unclaim(folder: Path) -> None:
    """Frees a folder below `RUNS` that was chosen for a class, if the class was refused before it began."""
    if folder.parent == RUNS and not (folder / CLASS).exists() and not any(files_of_run(folder)):
        (folder / OWNER_FILE).unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # it holds other files
            folder.rmdir()


def refuse_run(out: Path) -> None:
    """Refuses a folder that holds the run of a single notebook.

    Raises:
        GraderError: it does.
    """
    if (out / REPORT).exists() and not (out / CLASS).exists():
        raise GraderError(f"{short_path(out)}: holds the run of a single notebook; use another folder with --out")


def lost_parts(old: Collection[str] | None, new: Collection[str] | None, every: Collection[str]) -> frozenset[str]:
    """The parts that were trained and would not be; None stands for every part."""
    return frozenset(every if old is None else old) - frozenset(every if new is None else new)


def _is_for(folder: Path, owner: str) -> bool:
    """Whether the folder belongs to the owner, by `.source` or its class, or has no owner."""
    recorded = recorded_owner(folder)
    if recorded == owner:
        return True
    if submissions := class_text(folder, "submissions"):
        return str(Path(submissions).resolve()) == owner
    return not recorded and not (folder / CLASS).exists() and not any(files_of_run(folder))
