"""What a run leaves in its folder, and the verdicts on it: all that judging again needs; nothing runs here."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import asdict
from functools import partial
from pathlib import Path

from grader.bounded import Unreadable, file_bytes, json_value
from grader.errors import EvidenceError, GraderError
from grader.evidence import MAX_FILE, load_evidence, read_later, save_evidence
from grader.exercise import Exercise
from grader.files import write_atomically
from grader.fingerprint import judging_checksum
from grader.following import Followed, with_followed
from grader.judge import judge
from grader.memory import MAX_BYTES as MAX_MEMORY
from grader.memory import Memory, dump_memory, read_memory
from grader.notebook.format import dump_notebook, one_line
from grader.records import Evidence, GradeReport, ItemVerdict, Rubric
from grader.report.report_json import MAX_BYTES, dump_json, read_report_json
from grader.run_files import EVIDENCE, EXECUTED, EXECUTION, FOLLOWED, JUDGED, REPORT, SEEN, settle, written
from grader.running import Ran

EVIDENCE_CHECKSUM = "evidence"  # its name among a report's checksums
_PART = re.compile(r"[A-Za-z0-9_]{1,80}")  # it becomes part of a file's name
_MAX_FOLLOWED = 1_000_000  # bytes


def store_run(folder: Path, ran: Ran) -> None:
    """The folder holds the run's evidence, executed notebook and execution record, and nothing of an older run's.

    Raises:
        OSError: where it cannot be written, as on a full disk.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for old in written(folder):
        old.unlink(missing_ok=True)
    write_atomically(folder / EVIDENCE, save_evidence(ran.evidence))
    write_atomically(folder / EXECUTED, dump_notebook(ran.notebook).encode())
    write_atomically(folder / EXECUTION, dump_json(asdict(ran.execution)))


def stored_evidence(folder: Path) -> Evidence:
    """The run's evidence.

    Raises:
        GraderError: where the folder holds none.
    """
    return load_evidence(folder / EVIDENCE)


def has_report(folder: Path) -> bool:
    """Whether the folder holds a report, after a finished run has been moved into place.

    The caller must hold the lock of the folder, or of its class.
    """
    settle(folder)
    return (folder / REPORT).exists()


def stored_report(folder: Path) -> GradeReport:
    """The report in the folder, made from the evidence in it.

    Raises:
        GraderError: where the folder holds none, or its evidence is another one's or damaged.
    """
    try:
        content = file_bytes(folder / REPORT, MAX_BYTES)
    except Unreadable as reason:
        raise GraderError(f"{_shown(folder / REPORT)}: {one_line(str(reason))}; grade the notebook first") from None
    try:
        report = read_report_json(content)
    except GraderError as error:
        raise GraderError(f"{_shown(folder)}: {error}") from None
    if report.checksums.get(EVIDENCE_CHECKSUM, evidence_checksum(folder)) != evidence_checksum(folder):
        raise GraderError(f"{_shown(folder)}: the report was made from other evidence; grade the notebook again")
    return report


def evidence_checksum(folder: Path) -> str:
    """The SHA-256 of all that the folder's submission answered.

    Raises:
        EvidenceError: where the folder holds no evidence.
    """
    total = hashlib.sha256()
    for name, checksum in _checksums(folder).items():
        total.update(f"{name}\0".encode() + bytes.fromhex(checksum))
    return total.hexdigest()


def _checksums(folder: Path) -> dict[str, str]:
    """The SHA-256 of each file of evidence; one that was not written since the last time is not read again.

    Raises:
        EvidenceError: where one of them is missing.
    """
    names = [EVIDENCE, *(followed_file(part) for part in sorted(_followed_items(folder)))]
    stamps = {name: _stamp(folder / name) for name in names}
    try:
        seen = json_value(file_bytes(folder / SEEN, _MAX_FOLLOWED), most_values=_MAX_FOLLOWED)
        known = {name: seen[name][1] for name in names if name in seen and seen[name][0] == stamps[name]}
    except (Unreadable, KeyError, TypeError, IndexError):
        known = {}
    return {name: known[name] if _is_checksum(known.get(name)) else _checksum(folder / name) for name in names}


def _remember_checksums(folder: Path, made: Mapping[str, str]) -> None:
    """The files are not read again for their checksums while nobody writes them."""
    seen = dump_json({name: [_stamp(folder / name), checksum] for name, checksum in made.items()})
    path = folder / SEEN
    if not path.is_file() or path.read_bytes() != seen:
        write_atomically(path, seen)


def _is_checksum(value: object) -> bool:
    return isinstance(value, str) and re.fullmatch(r"[0-9a-f]{64}", value) is not None


def _checksum(path: Path) -> str:
    try:
        return hashlib.sha256(file_bytes(path, MAX_FILE)).hexdigest()
    except Unreadable as reason:
        raise EvidenceError(f"{_shown(path)}: {reason}; grade the notebook again") from None


def _stamp(path: Path) -> list[int]:
    try:
        status = path.lstat()
    except OSError as error:
        why = "no such file; check the path" if isinstance(error, FileNotFoundError) else error.strerror
        raise EvidenceError(f"{_shown(path)}: {why}; grade the notebook again") from None
    return [status.st_size, status.st_mtime_ns, status.st_ino]


def followed_file(part: str) -> str:
    """The name of the file with what the part answered when it was trained once more."""
    return f"followed-{part}.safetensors"


def store_followed(folder: Path, part: str, followed: Followed) -> None:
    """The folder holds what the part answered with sound parts in the place of some items."""
    write_atomically(folder / followed_file(part), save_evidence(followed.evidence))
    known = _followed_items(folder) | {part: list(followed.replaced)}
    write_atomically(folder / FOLLOWED, dump_json(known))


def stored_followed(folder: Path) -> dict[str, Followed]:
    """Part -> what it answered when it was trained once more, read when it is needed; empty where nothing was.

    Raises:
        GraderError: where what stands there is not what `store_followed` wrote.
    """
    return {
        part: Followed(tuple(items), read_later(partial(load_evidence, folder / followed_file(part))))
        for part, items in _followed_items(folder).items()
    }


def own_verdicts(folder: Path, rubric: Rubric, exercise: Exercise) -> tuple[ItemVerdict, ...]:
    """The verdicts on the run as it was, before anything is given back; the folder remembers what was measured."""
    return _Stored(folder, rubric, exercise).own(keep=True)


def verdicts(folder: Path, rubric: Rubric, exercise: Exercise, *, keep: bool = False) -> tuple[ItemVerdict, ...]:
    """The verdicts on the folder's stored evidence under the rubric; no notebook runs.

    What the folder remembers is not measured again; where `keep`, it remembers what is measured now.

    Raises:
        GraderError: where the folder holds no finished run.
    """
    return _Stored(folder, rubric, exercise).all(keep=keep)


class _Stored:
    """A folder's evidence, read when it is needed, and what is remembered of it."""

    def __init__(self, folder: Path, rubric: Rubric, exercise: Exercise) -> None:
        self._folder, self._rubric, self._exercise = folder, rubric, exercise
        self._checksums = _checksums(folder)
        self._belongs_to = {"judging": judging_checksum(exercise.in_box.parent)}
        self._memory = _memory(folder, self._belongs_to)
        self._evidence = read_later(partial(stored_evidence, folder))

    def own(self, *, keep: bool) -> tuple[ItemVerdict, ...]:
        memory = self._memory.beside(f"{self._checksums[EVIDENCE][:16]}/")
        items = judge(self._evidence, self._rubric, self._exercise.checks, memory)
        self._keep(keep)
        return items

    def all(self, *, keep: bool) -> tuple[ItemVerdict, ...]:
        followed = stored_followed(self._folder)
        memories = {part: self._memory.beside(self._both(part)) for part in followed}
        items = self.own(keep=False)
        made = with_followed(items, self._rubric, self._exercise, self._evidence, followed, memories)
        self._keep(keep)
        return made

    def _both(self, part: str) -> str:
        """Names the evidence of a second judging: some of it is the first run's."""
        return f"{self._checksums[EVIDENCE][:16]}+{self._checksums[followed_file(part)][:16]}/"

    def _keep(self, keep: bool) -> None:
        if keep:
            _remember_checksums(self._folder, self._checksums)
        if keep and self._memory.grown:
            write_atomically(self._folder / JUDGED, dump_memory(self._memory, self._belongs_to))
            self._memory.grown.clear()


def _memory(folder: Path, belongs_to: Mapping[str, str]) -> Memory:
    try:
        return read_memory(file_bytes(folder / JUDGED, MAX_MEMORY), belongs_to)
    except Unreadable:
        return Memory()


def _followed_items(folder: Path) -> dict[str, list[str]]:
    path = folder / FOLLOWED
    if not path.exists() and not path.is_symlink():
        return {}
    try:
        known = json_value(file_bytes(path, _MAX_FOLLOWED), most_values=_MAX_FOLLOWED)
        if not isinstance(known, dict) or not all(map(_is_followed, known.items())):
            raise Unreadable("other names or values than the grader writes")
    except Unreadable as reason:
        what = f"not what the grader wrote ({one_line(str(reason), 100)})"
        raise GraderError(f"{_shown(path)}: {what}; grade the notebook again") from None
    return known


def _is_followed(entry: tuple[str, object]) -> bool:
    part, items = entry
    listed = isinstance(items, list) and all(isinstance(item, str) for item in items)
    return listed and _PART.fullmatch(part) is not None


def _shown(path: Path) -> str:
    return one_line(str(path), 120)
