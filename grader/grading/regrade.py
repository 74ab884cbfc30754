"""A stored run is judged: under the rubric as it is now, from its evidence alone; no notebook runs."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from grader.evidence import read_later
from grader.exercise import Exercise
from grader.grading import follow_through
from grader.grading.cache_keys import Kind, code_key
from grader.grading.finding_cache import FindingCache, store_memory, stored_memory
from grader.grading.run_files import JUDGED
from grader.grading.run_folder import evidence_checksum, remember_checksums, stored_evidence, stored_followed
from grader.records import ItemVerdict, Rubric


def verdicts(folder: Path, rubric: Rubric, exercise: Exercise, *, keep: bool = False) -> tuple[ItemVerdict, ...]:
    """The verdicts on the folder's stored evidence under the rubric.

    What the folder remembers is not measured again; where `keep`, it remembers what is measured now.

    Raises:
        GraderError: where the folder holds no finished run.
    """
    memory = recalled(folder, exercise)
    evidence = read_later(partial(stored_evidence, folder))
    items = follow_through.verdicts(evidence, stored_followed(folder), rubric, exercise, memory)
    if keep:
        remember(folder, exercise, memory)
    return items


def recalled(folder: Path, exercise: Exercise) -> FindingCache:
    """What the folder remembers of what was found on its evidence; empty where that was other evidence or code.

    Raises:
        GraderError: where the folder holds no evidence.
    """
    return stored_memory(folder / JUDGED, _made_of(folder, exercise))


def remember(folder: Path, exercise: Exercise, memory: FindingCache) -> None:
    """The folder keeps the checksums of its evidence, and what was found on it."""
    remember_checksums(folder)
    store_memory(folder / JUDGED, memory, _made_of(folder, exercise))


def _made_of(folder: Path, exercise: Exercise) -> dict[str, str]:
    return {"evidence": evidence_checksum(folder), "code": code_key(Kind.FIND, exercise.in_box.parent)}
