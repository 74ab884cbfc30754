"""What a run leaves in its folder, and the verdicts on it: all that judging again needs; nothing runs here."""

from __future__ import annotations

import hashlib
import re
from dataclasses import asdict
from pathlib import Path

from grader.bounded import Unreadable, file_bytes, json_value
from grader.errors import GraderError
from grader.evidence import MAX_FILE, load_evidence, save_evidence
from grader.exercise import Exercise
from grader.following import Followed, with_followed
from grader.judge import judge
from grader.notebook.format import dump_notebook, one_line
from grader.records import Evidence, GradeReport, ItemVerdict, Rubric
from grader.report.files import write_atomically
from grader.report.report_json import MAX_BYTES, dump_json, read_report_json
from grader.running import Ran

EVIDENCE = "evidence.safetensors"
FOLLOWED = "followed.json"  # part -> the items that were replaced; staff only
REPORT = "report.json"
REPORTS = (REPORT, "report.html", "results.json")
EVIDENCE_CHECKSUM = "evidence"  # its name among a report's checksums
_PART = re.compile(r"[A-Za-z0-9_]{1,80}")  # it becomes part of a file's name
_MAX_FOLLOWED = 1_000_000  # bytes


def store_run(folder: Path, ran: Ran) -> None:
    """The folder holds the run's evidence, executed notebook and execution record, and nothing of an older run's.

    Raises:
        OSError: where it cannot be written, as on a full disk. The largest file comes first, so that an older run
            then usually stays whole.
    """
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(folder / EVIDENCE, save_evidence(ran.evidence))
    older = [folder / name for name in (*REPORTS, FOLLOWED)]
    for old in (*older, *folder.glob("followed-*.safetensors")):
        old.unlink(missing_ok=True)
    write_atomically(folder / "executed.ipynb", dump_notebook(ran.notebook).encode())
    write_atomically(folder / "execution.json", dump_json(asdict(ran.execution)))


def stored_evidence(folder: Path) -> Evidence:
    """The run's evidence.

    Raises:
        GraderError: where the folder holds none.
    """
    return load_evidence(folder / EVIDENCE)


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
        GraderError: where the folder holds no evidence.
    """
    total = hashlib.sha256()
    for name in (EVIDENCE, *(followed_file(part) for part in sorted(_followed_items(folder)))):
        try:
            content = file_bytes(folder / name, MAX_FILE)
        except Unreadable as reason:
            raise GraderError(f"{_shown(folder / name)}: {reason}; grade the notebook again") from None
        total.update(f"{name}\0".encode() + hashlib.sha256(content).digest())
    return total.hexdigest()


def followed_file(part: str) -> str:
    """The name of the file with what the part answered when it was trained once more."""
    return f"followed-{part}.safetensors"


def store_followed(folder: Path, part: str, followed: Followed) -> None:
    """The folder holds what the part answered with sound parts in the place of some items."""
    write_atomically(folder / followed_file(part), save_evidence(followed.evidence))
    known = _followed_items(folder) | {part: list(followed.replaced)}
    write_atomically(folder / FOLLOWED, dump_json(known))


def stored_followed(folder: Path) -> dict[str, Followed]:
    """Part -> what it answered when it was trained once more; empty where nothing was.

    Raises:
        GraderError: where what stands there is not what `store_followed` wrote.
    """
    return {
        part: Followed(tuple(items), load_evidence(folder / followed_file(part)))
        for part, items in _followed_items(folder).items()
    }


def verdicts(folder: Path, rubric: Rubric, exercise: Exercise) -> tuple[ItemVerdict, ...]:
    """The verdicts on the folder's stored evidence under the rubric; no notebook runs.

    Raises:
        GraderError: where the folder holds no finished run.
    """
    evidence = stored_evidence(folder)
    items = judge(evidence, rubric, exercise.checks)
    return with_followed(items, rubric, exercise, evidence, stored_followed(folder))


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
