"""The files of a run, written to its folder and read back; nothing runs and nothing is graded here."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Annotated

from pydantic import StringConstraints, TypeAdapter

from grader.errors import EvidenceError, GraderError, one_line, short_path
from grader.evidence import MAX_FILE, load_evidence, read_later, save_evidence
from grader.grading.follow_through import Replacement, Retraining
from grader.grading.run import NotebookRun
from grader.grading.run_files import (
    EVIDENCE,
    EVIDENCE_STAMPS,
    EXECUTED,
    EXECUTION,
    PRUNED,
    REPORT,
    RETRAINING_EVIDENCE,
    RETRAININGS,
    files_of_run,
    finish_swap,
)
from grader.notebook.format import dump_notebook
from grader.records import Evidence, Execution, GradeReport
from grader.report.report_json import MAX_BYTES, read_report_json
from grader.store.bounded import Unreadable, file_bytes
from grader.store.files import user, write_atomically
from grader.store.json_files import read_json, write_json

EVIDENCE_CHECKSUM = "evidence"  # its name among a report's checksums
_MAX_SMALL = 1_000_000  # bytes of a file that lists something
_EXECUTION: TypeAdapter[Execution] = TypeAdapter(Execution)


OWNER_FILE = ".source"  # which notebook, or which class's submissions, the folder belongs to, and by which rubric


@dataclass(frozen=True, slots=True)
class FolderOwner:
    """The notebook or class of the folder's run, and its rubric, as paths on this machine."""

    of: str
    rubric: str = ""


_OWNER: TypeAdapter[FolderOwner] = TypeAdapter(FolderOwner)


def write_owner(folder: Path, of: Path, rubric: Path | None = None) -> None:
    """Records the folder's notebook or class, and its rubric."""
    write_json(folder / OWNER_FILE, _OWNER, FolderOwner(str(of.resolve()), str(rubric.resolve()) if rubric else ""))


def read_owner(folder: Path) -> FolderOwner | None:
    """The folder's notebook or class, and its rubric; None if they are not recorded."""
    try:
        return read_json(folder / OWNER_FILE, _OWNER, _MAX_SMALL)
    except Unreadable:
        return None


@dataclass(frozen=True, slots=True)
class _StoredRetraining:
    """The entry in `RETRAININGS` of a part that was trained again."""

    replaced: list[str]
    key: str = ""
    names: list[str] = field(default_factory=list)  # empty in files of an older version, which replaced whole items


_Part = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_]{1,80}$")]  # it becomes part of a file's name
_STORED_RETRAININGS: TypeAdapter[dict[str, _StoredRetraining | list[str]]] = TypeAdapter(
    dict[_Part, _StoredRetraining | list[str]]
)
_Checksum = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
_Checksums = dict[str, tuple[list[int], _Checksum]]  # file -> its stamp, and its SHA-256
_CHECKSUMS: TypeAdapter[_Checksums] = TypeAdapter(_Checksums)


def store_run(folder: Path, run: NotebookRun, retrainings: Mapping[str, Retraining]) -> str:
    """Writes the run's evidence, executed notebook and execution record into the folder; removes files of an older run.

    `retrainings` are the parts that were trained again. Returns the evidence's checksum.

    Raises:
        OSError: a file cannot be written, as on a full disk.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for old in files_of_run(folder):
        old.unlink(missing_ok=True)
    write_atomically(folder / EVIDENCE, save_evidence(run.evidence))
    write_atomically(folder / EXECUTED, dump_notebook(run.notebook).encode())
    write_json(folder / EXECUTION, _EXECUTION, run.execution)
    for part, one in retrainings.items():
        store_retraining(folder, part, one)
    remember_checksums(folder)
    return evidence_checksum(folder)


def stored_evidence(folder: Path) -> Evidence:
    """The run's evidence.

    Raises:
        GraderError: the folder holds none, or it was pruned.
    """
    return _load(folder, EVIDENCE)


def _load(folder: Path, name: str) -> Evidence:
    if not (folder / name).exists() and (pruned := _prune_record(folder)) is not None and name in pruned.files:
        raise EvidenceError(
            f"{short_path(folder)}: this needs the evidence, which was pruned on {pruned.when[:10]} by "
            f"{one_line(pruned.who, 40)}; grade the notebook again"
        )
    return load_evidence(folder / name)


@dataclass(frozen=True, slots=True)
class PruneRecord:
    """Evidence that was removed: when, by whom, and the SHA-256 of each file."""

    when: str  # ISO 8601, UTC
    who: str
    files: dict[str, _Checksum]


_PRUNED: TypeAdapter[PruneRecord] = TypeAdapter(PruneRecord)


def _prune_record(folder: Path) -> PruneRecord | None:
    try:
        return read_json(folder / PRUNED, _PRUNED, _MAX_SMALL)
    except Unreadable:
        return None


def prune(folder: Path) -> int:
    """Removes the folder's evidence and writes a file that says so; returns the freed bytes.

    Findings, pictures and reports stay. If it is killed, the next call continues.

    Raises:
        GraderError: the folder holds no evidence.
    """
    if _prune_record(folder) is None:
        when = datetime.now(UTC).isoformat(timespec="seconds")
        write_json(folder / PRUNED, _PRUNED, PruneRecord(when, user(), _checksums(folder)))
    freed = 0
    for path in (folder / EVIDENCE, *folder.glob(RETRAINING_EVIDENCE)):
        if path.is_file() and not path.is_symlink():
            freed += path.stat().st_size
            path.unlink()
    return freed


def stored_execution(folder: Path) -> Execution | None:
    """How the folder's run went; None if that is not stored."""
    try:
        return read_json(folder / EXECUTION, _EXECUTION, MAX_FILE)
    except Unreadable:
        return None


def has_report(folder: Path) -> bool:
    """Whether the folder holds a report, after a finished run has been moved into place.

    The caller must hold the lock of the folder, or of its class.
    """
    finish_swap(folder)
    return (folder / REPORT).exists()


def stored_report(folder: Path) -> GradeReport:
    """The report in the folder, made from the evidence in it.

    Raises:
        GraderError: the folder holds none, or its evidence belongs to another report or is damaged.
    """
    try:
        content = file_bytes(folder / REPORT, MAX_BYTES)
    except Unreadable as reason:
        raise GraderError(f"{short_path(folder / REPORT)}: {one_line(str(reason))}; grade the notebook first") from None
    try:
        report = read_report_json(content)
    except GraderError as error:
        raise GraderError(f"{short_path(folder)}: {error}") from None
    checksum = evidence_checksum(folder)
    if report.checksums.get(EVIDENCE_CHECKSUM, checksum) != checksum:
        raise GraderError(
            f"{short_path(folder)}: the report does not match the evidence file; grade the notebook again"
        )
    return report


def evidence_checksum(folder: Path) -> str:
    """The SHA-256 of all evidence in the folder.

    Raises:
        EvidenceError: the folder holds no evidence.
    """
    total = hashlib.sha256()
    for name, checksum in _checksums(folder).items():
        total.update(f"{name}\0".encode() + bytes.fromhex(checksum))
    return total.hexdigest()


def _checksums(folder: Path) -> dict[str, str]:
    """The SHA-256 of each evidence file; a file that has not been written since the last call is not read again.

    Raises:
        EvidenceError: one of them is missing.
    """
    names = [EVIDENCE, *(retraining_file(part) for part in sorted(_retrainings(folder)))]
    if (pruned := _prune_record(folder)) is not None and set(names) <= set(pruned.files):
        return {name: pruned.files[name] for name in names}
    stamps = {name: _stamp(folder / name) for name in names}
    try:
        stored = read_json(folder / EVIDENCE_STAMPS, _CHECKSUMS, _MAX_SMALL)
    except Unreadable:
        stored = {}
    current = {name: stored[name][1] for name in names if name in stored and stored[name][0] == stamps[name]}
    return {name: current.get(name) or _checksum(folder / name) for name in names}


def remember_checksums(folder: Path) -> None:
    """Stores the checksums of the folder's evidence, so that unchanged files are not read again.

    Raises:
        EvidenceError: the folder holds no evidence.
    """
    if _prune_record(folder) is None:
        checksums = {name: (_stamp(folder / name), checksum) for name, checksum in _checksums(folder).items()}
        write_json(folder / EVIDENCE_STAMPS, _CHECKSUMS, checksums)


def _checksum(path: Path) -> str:
    try:
        return hashlib.sha256(file_bytes(path, MAX_FILE)).hexdigest()
    except Unreadable as reason:
        raise EvidenceError(f"{short_path(path)}: {reason}; grade the notebook again") from None


def _stamp(path: Path) -> list[int]:
    try:
        status = path.lstat()
    except OSError as error:
        why = "no such file; check the path" if isinstance(error, FileNotFoundError) else error.strerror
        raise EvidenceError(f"{short_path(path)}: {why}; grade the notebook again") from None
    return [status.st_size, status.st_mtime_ns, status.st_ino]


def retraining_file(part: str) -> str:
    """The name of the file with the part's answers after it was trained again."""
    return f"followed-{part}.safetensors"


def store_retraining(folder: Path, part: str, retraining: Retraining) -> None:
    """Writes the part's answers with correct code for some items into the folder."""
    write_atomically(folder / retraining_file(part), save_evidence(retraining.evidence))
    known: dict[str, _StoredRetraining | list[str]] = {**_retrainings(folder)}
    replaced = retraining.replacement
    trained = _StoredRetraining(list(replaced.items), retraining.key, list(replaced.names))
    write_json(folder / RETRAININGS, _STORED_RETRAININGS, known | {part: trained})


def stored_retrainings(folder: Path) -> dict[str, Retraining]:
    """Part -> its answers after it was trained again, read when they are needed; empty if nothing was.

    Raises:
        GraderError: the file was not written by `store_retraining`.
    """
    retrainings = {}
    for part, one in _retrainings(folder).items():
        replaced = Replacement(tuple(one.replaced), tuple(one.names))
        retrainings[part] = Retraining(replaced, one.key, read_later(partial(_load, folder, retraining_file(part))))
    return retrainings


def _retrainings(folder: Path) -> dict[str, _StoredRetraining]:
    path = folder / RETRAININGS
    if not path.exists() and not path.is_symlink():
        return {}
    try:
        stored = read_json(path, _STORED_RETRAININGS, _MAX_SMALL)
    except Unreadable as reason:
        what = f"not a file of this grader ({one_line(str(reason), 100)})"
        raise GraderError(f"{short_path(path)}: {what}; grade the notebook again") from None
    # An older version wrote only the items, not the key of the correct code.
    return {part: _StoredRetraining(entry) if isinstance(entry, list) else entry for part, entry in stored.items()}
