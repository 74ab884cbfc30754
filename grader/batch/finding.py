"""Finds what a class handed in, in the layouts that people really have, and says whose each notebook is."""

from __future__ import annotations

import hashlib
import os
import re
import stat
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from grader.batch.archives import File, Unusable, component, is_archive, unpack
from grader.batch.layouts import Owner, ignored, owners
from grader.batch.records import HandedIn, Student
from grader.batch.roster import Roster
from grader.errors import GraderError
from grader.notebook.format import one_line
from grader.records import Remark
from grader.report.plain import plain

MAX_FILES = 500_000
CLASS_MB = 50_000  # out of one archive with a whole class in it
LONGEST_KEY = 60
SHOWN = 200
TOLD = 5  # names in a remark
UNREADABLE = "is a symbolic link"


@dataclass(frozen=True)
class Found:
    """A class as it lies there."""

    handed_in: tuple[HandedIn, ...]  # by key
    missing: tuple[Student, ...]  # on the roster, and nothing is theirs
    layout: str
    remarks: tuple[str, ...] = ()  # for the person who runs it


@dataclass
class _Pile:
    """All that one person handed in."""

    owner: Owner
    student: Student | None
    files: list[tuple[File, Owner]]


def find(submissions: Path, unpacked: Path, roster: Roster | None, *, max_mb: float) -> Found:
    """Everybody's submission, the same in every run.

    `submissions` is a folder or an archive; what comes out of archives lies below `unpacked`, nothing else is written.

    Raises:
        GraderError: where there is no such folder, or nothing in it that could be a submission.
    """
    shown = one_line(str(submissions), 120)
    files = [file for file in _files(submissions, unpacked, shown, max_mb) if not ignored(file)]
    layout, owner_of = owners(files)
    piles, strangers = _piles(files, owner_of, roster)
    handed_in = [_handed_in(key, pile, unpacked / key, max_mb, _usual(files)) for key, pile in _keyed(piles)]
    handed_in = [one for one in handed_in if one is not None]
    if not handed_in:
        raise GraderError(f"{shown}: expected notebooks (.ipynb), folders with notebooks, or a download; found none")
    there = {one.student.id for one in handed_in if one is not None and one.student is not None}
    missing = tuple(s for s in (roster.students if roster else ()) if s.id not in there)
    remarks = []
    if roster and strangers:
        named = ", ".join(plain(name, 60) for name in sorted(strangers)[:TOLD])
        remarks.append(f"{len(strangers)} not found on the roster, or not one alone: {named}")
    return Found(tuple(one for one in handed_in if one is not None), missing, layout, tuple(remarks))


def alone(folder: Path, unpacked: Path, *, max_mb: float, usual: str = "") -> HandedIn:
    """All that lies in the folder as one student's submission; `usual` is the file name that is preferred.

    Raises:
        GraderError: where there is no such folder.
    """
    if not folder.is_dir():
        raise GraderError(f"{one_line(str(folder), 120)}: no such folder; expected one submission's files")
    files = [file for file in sorted(_walk(folder), key=lambda file: file.parts) if not ignored(file)]
    if not files:
        return HandedIn("submission", folder, "", refused="nothing was handed in")
    owner = Owner("submission", ())
    found = _handed_in("submission", _Pile(owner, None, [(f, owner) for f in files]), unpacked, max_mb, usual.lower())
    return found or HandedIn("submission", folder, "", refused="nothing was handed in")


def _files(submissions: Path, unpacked: Path, shown: str, max_mb: float) -> list[File]:
    if submissions.is_dir():
        return sorted(_walk(submissions), key=lambda file: file.parts)
    if not submissions.exists():
        raise GraderError(f"{shown}: no such folder; expected a folder of notebooks or a downloaded archive")
    if not is_archive(submissions.name):
        raise GraderError(f"{shown}: expected a folder or an archive; one notebook: make grade SUBMISSION=x.ipynb")
    try:
        files = unpack(submissions, unpacked / "download", max_mb=max_mb, total_mb=CLASS_MB, nested=True)
    except Unusable as reason:
        raise GraderError(f"{shown}: {reason}; download it again") from None
    while len({file.parts[0] for file in files}) == 1 and all(len(file.parts) > 1 for file in files):
        files = [File(file.parts[1:], file.path, file.changed, file.wrong) for file in files]  # one folder around all
    return sorted(files, key=lambda file: file.parts)


def _walk(root: Path) -> Iterator[File]:
    count = 0
    for folder, names, files in os.walk(root, followlinks=False):
        inside = tuple(Path(folder).relative_to(root).parts)
        names.sort()
        for name in sorted([*files, *(n for n in names if (Path(folder) / n).is_symlink())]):
            count += 1
            if count > MAX_FILES:
                raise GraderError(f"{one_line(str(root), 120)}: more than {MAX_FILES} files; is it the right folder?")
            path = Path(folder) / name
            status = path.lstat()
            if stat.S_ISREG(status.st_mode):
                yield File((*inside, name), path, status.st_mtime)
            elif stat.S_ISLNK(status.st_mode):
                yield File((*inside, name), None, 0.0, UNREADABLE)


def _piles(files: Sequence[File], owner_of: object, roster: Roster | None) -> tuple[list[_Pile], set[str]]:
    """What each person handed in, and the names that nobody on the roster has."""
    piles: dict[str, _Pile] = {}
    students: dict[str, Student | None] = {}
    for file in files:
        for owner in owner_of(file):  # type: ignore[operator]  # of `layouts.owners`
            if owner.id not in students:
                students[owner.id] = roster.match(*owner.clues) if roster else None
            student = students[owner.id]
            whose = f"student {student.id}" if student else f"owner {owner.id}"
            pile = piles.setdefault(whose, _Pile(owner, student, []))
            pile.files.append((file, owner))
    usable = [pile for pile in piles.values() if any(_wanted(file) or len(file.parts) > 1 for file, _ in pile.files)]
    strangers = {pile.owner.name or pile.owner.id for pile in usable if pile.student is None}
    return usable, strangers


def _wanted(file: File) -> bool:
    return file.name.lower().endswith(".ipynb") or is_archive(file.name)


def _keyed(piles: Iterable[_Pile]) -> list[tuple[str, _Pile]]:
    """A folder's name for each pile; where two would be the same, both are told apart by what they were made of."""
    wished = [(_safe(pile.student.id if pile.student else pile.owner.id), pile) for pile in piles]
    times = Counter(key.casefold() for key, _ in wished)
    made = []
    for key, pile in wished:
        origin = pile.student.id if pile.student else pile.owner.id
        made.append((key if times[key.casefold()] == 1 else f"{key}-{_digest(origin)}", pile))
    return sorted(made, key=lambda pair: pair[0])


def _safe(text: str) -> str:
    """The text as a folder's name; with a digest where anything but spaces and accents was lost."""
    plain_text = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    lost = len(unicodedata.normalize("NFC", text)) != len(plain_text)
    spaced = re.sub(r"[\s,]+", "-", plain_text.strip())
    key = re.sub(r"[^A-Za-z0-9._-]", "", spaced).strip(".-")[:LONGEST_KEY]
    lost = lost or len(key) != len(spaced)
    return f"{key or 'submission'}-{_digest(text)}" if lost or not key else key


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:8]


def _usual(files: Sequence[File]) -> str:
    """The file name that most of the class has: the exercise's own."""
    names = Counter(file.name.lower() for file in files if file.name.lower().endswith(".ipynb"))
    return max(sorted(names), key=names.__getitem__, default="")


def _handed_in(key: str, pile: _Pile, into: Path, max_mb: float, usual: str) -> HandedIn | None:
    """The pile's notebook, or why there is none; None for files that are nobody's submission."""
    notebooks, remarks = [(f, o) for f, o in pile.files if f.name.lower().endswith(".ipynb")], []
    packed = [(f, o) for f, o in pile.files if is_archive(f.name)]
    reasons = [f"{file.name} {file.wrong}" for file, _ in [*notebooks, *packed] if file.wrong]
    notebooks = [(file, owner) for file, owner in notebooks if not file.wrong]
    inside: dict[File, str] = {}
    for file, owner in [] if notebooks else packed:
        if file.path is None:
            continue
        try:
            for one in unpack(file.path, into, max_mb=max_mb, total_mb=8 * max_mb, nested=False):
                if one.name.lower().endswith(".ipynb") and not ignored(one):
                    if one.path is None:
                        reasons.append(f"{one.name} in {file.name} {one.wrong}")
                    else:
                        notebooks.append((one, owner))
                        inside[one] = "/".join(file.parts) + ": "
        except Unusable as reason:
            reasons.append(f"{file.name} {reason}")
    if not notebooks:
        return _refused(key, pile, reasons)

    def rank(pair: tuple[File, Owner]) -> tuple[int, bool, float, tuple[str, ...]]:
        file, owner = pair
        return owner.again, file.name.lower() == usual, file.changed, file.parts

    chosen, owner = max(notebooks, key=rank)
    others = [plain("/".join(file.parts), 80) for file, _ in notebooks if file is not chosen]
    if others:
        more = f" and {len(others) - TOLD} more" if len(others) > TOLD else ""
        told = f"{plain(chosen.name, 80)} was graded; left out: {', '.join(sorted(others)[:TOLD])}{more}"
        remarks.append(Remark("other_notebook", told))
    if owner.late:
        remarks.append(Remark("late", "the download marks this submission as late"))
    assert chosen.path is not None
    shown = plain(inside.get(chosen, "") + "/".join(chosen.parts), SHOWN)
    return HandedIn(key, chosen.path, shown, pile.student, tuple(remarks))


def _refused(key: str, pile: _Pile, reasons: Sequence[str]) -> HandedIn | None:
    first = pile.files[0][0]
    found = ", ".join(plain(file.name, 60) for file, _ in pile.files[:TOLD])
    why = "; ".join(plain(reason, 160) for reason in reasons[:TOLD]) or f"found: {found}"
    told = f"no notebook (.ipynb) that can be read was handed in; {why}"
    path = first.path or Path(component(first.name))
    return HandedIn(key, path, plain("/".join(first.parts), SHOWN), pile.student, (), told)
