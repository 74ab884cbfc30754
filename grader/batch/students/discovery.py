"""Finds the submissions of a class in any of the known layouts, and the student of each notebook."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

from grader.batch.class_records import ClassSubmission, Student
from grader.batch.students.archives import UnusableArchive, component, is_archive, list_files, unpack
from grader.batch.students.course_words import folded
from grader.batch.students.files import File, files_below
from grader.batch.students.layouts import ASIDE, Layout, Owner, ignored, is_work, layout_of
from grader.batch.students.matching import StudentMatch, is_nobodys, match_name, matches
from grader.batch.students.roster import Roster, submitted_at
from grader.batch.students.selection import MAX_READ, TemplateCode, Work, choose, is_solved, plain_name, template_code
from grader.batch.students.wrappers import CLASS_MB, Opening, sections, unwrap
from grader.errors import GraderError, short_path
from grader.records import Remark
from grader.report.text import listed, plain
from grader.store.bounded import Unreadable, file_bytes

MOST_OPENED = 20  # archives of one student
MOST_LISTED = 5  # archives other than zip that are listed, which takes unpacking them
MOST_COMPARED = 200_000_000  # bytes
LISTED_MB = 1000  # of a compressed tar, to list its files
MAX_PLACE = 200
MOST_REASONS = 5  # reasons that a refusal states
MOST_DOUBTS = 100  # remarks on doubtful matches; each is shown with its submission too
LONGEST_KEY = 60


@dataclass(frozen=True)
class Discovery:
    """A class as found in the download."""

    submissions: tuple[ClassSubmission, ...]  # by key
    missing: tuple[Student, ...]  # on the roster, without a submission
    layout: str
    remarks: tuple[str, ...] = ()  # sentences for staff


@dataclass
class _Pile:
    """All files of one student or team."""

    owner: Owner
    match: StudentMatch
    files: list[tuple[File, Owner]] = field(default_factory=list)
    others: list[_Pile] = field(default_factory=list)  # piles of the other team members, according to the download

    @property
    def identity(self) -> str:
        """A text that identifies the pile."""
        name = f"student {self.match.student.id}" if self.match.student else f"owner {self.owner.id}"
        return " ".join([name, *(other.identity for other in self.others)])

    @property
    def people(self) -> list[_Pile]:
        """The piles of each team member."""
        return [self, *self.others]

    @property
    def students(self) -> tuple[Student, ...]:
        """All students of this pile who are on the roster."""
        matches = [pile.match for pile in self.people]
        return tuple(student for match in matches if match.student for student in (match.student, *match.team))

    @property
    def by(self) -> str:
        """What matched the pile with its students: "student id and name"."""
        return ", ".join(dict.fromkeys(pile.match.by for pile in self.people if pile.match.by))

    @property
    def key_parts(self) -> tuple[Student | None, str]:
        """The parts of its key: the only student, if there is one, and another name."""
        if self.others:
            return None, "-".join(
                sorted(pile.match.student.id if pile.match.student else pile.owner.id for pile in self.people)
            )
        return None if self.match.team else self.match.student, self.owner.id


@dataclass(frozen=True)
class _Handout:
    """The notebook that students were given, to recognise their own work by."""

    name: str = ""  # the notebook's usual file name, in lower case
    template: TemplateCode = field(default_factory=TemplateCode)
    max_mb: float = 100.0


def find(
    submissions: Path, unpacked: Path, roster: Roster | None, *, max_mb: float, template: Path | None = None
) -> Discovery:
    """Finds all submissions of a class; the result is the same in every run.

    `submissions` is a folder or an archive. Archives are unpacked below `unpacked`; nothing else is written. `template`
    is the notebook that students got: an unchanged copy is not graded if there is a solved notebook beside it.

    Raises:
        GraderError: if there is no such folder, or it has nothing that could be a submission.
    """
    path_text = short_path(submissions)
    files = unwrap(_files(submissions, unpacked, path_text, max_mb), _opening(unpacked, roster, template, max_mb))
    layouts = {name: layout_of(part) for name, part in sections(files).items()}
    students_by_id = {student.id: student for layout in layouts.values() for student in layout.students}
    roster = roster or (Roster(tuple(students_by_id.values())) if students_by_id else None)
    file_owners = [(file, owner) for file in files for owner in layouts[file.section].owners(file)]
    handout = _handout(file_owners, template, max_mb)
    piles = _together(_piles(file_owners, roster, [handout.name, template.name if template else ""]))
    submitted = [pile for pile in piles if _is_submission(pile, layouts)]
    usable = [pile for pile in submitted if not _is_handed_out(pile, handout)] or submitted
    keys = _keys({pile.identity: pile.key_parts for pile in usable}, roster)
    keyed = sorted(((keys[pile.identity], pile) for pile in usable), key=lambda pair: pair[0])
    class_submissions = tuple(
        _submission(key, pile, unpacked / key, handout, has_roster=bool(roster)) for key, pile in keyed
    )
    of_layouts = [remark for layout in layouts.values() for remark in layout.remarks]
    if not class_submissions:
        layout_words = "; ".join(["found none", *of_layouts])
        raise GraderError(
            f"{path_text}: expected notebooks (.ipynb), folders with notebooks, or a download; {layout_words}"
        )
    present = {student.id for one in class_submissions for student in one.students}
    missing = tuple(s for s in (roster.students if roster else ()) if s.id not in present)
    leftover = [pile for pile in piles if pile not in usable]
    remarks = (*of_layouts, *_match_remarks(usable, roster), *_one_pile_remark(usable), *_leftover_remark(leftover))
    return Discovery(class_submissions, missing, _in_words(layouts), remarks)


def _opening(unpacked: Path, roster: Roster | None, template: Path | None, max_mb: float) -> Opening:
    """The functions with which `unwrap` looks into enclosing folders and archives."""

    def contents(archive: File, most_mb: float) -> list[File]:
        assert archive.path is not None
        try:
            return unpack(
                archive.path,
                unpacked / f"download-{_digest(archive.path.as_posix())}",
                max_mb=max_mb,
                total_mb=most_mb,
                nested=True,
            )
        except UnusableArchive:
            return []

    listings: dict[Path, list[File]] = {}
    packed: set[Path] = set()  # archives that must be unpacked to list their files

    def listing(archive: File) -> list[File]:
        assert archive.path is not None
        if not archive.name.lower().endswith(".zip"):
            packed.add(archive.path)
        if archive.path not in listings:
            try:
                listings[archive.path] = (
                    list_files(archive.path, total_mb=LISTED_MB) if len(packed) <= MOST_LISTED else []
                )
            except UnusableArchive:
                listings[archive.path] = []
        return listings[archive.path]

    exercise_names = [template.name] if template else []
    return Opening(
        names_one=lambda text: bool(roster and roster.match(text)),
        match_name=lambda text: match_name(text, roster, exercise_names),
        is_nobodys=lambda text: is_nobodys(text, exercise_names),
        list_files=listing,
        unpack=contents,
        usual=plain_name(template.name) if template else "",
    )


def _in_words(layouts: Mapping[str, Layout]) -> str:
    """The layout of the download in words."""
    names = [name for name in layouts if name]
    of_sections = ", ".join(sorted({layouts[name].words for name in names}))
    if len(names) > 1:
        return f"{len(names)} sections: {of_sections}"
    return of_sections or "".join(layout.words for layout in layouts.values())


def alone(
    folder: Path, unpacked: Path, *, max_mb: float, usual: str = "", template: Path | None = None
) -> ClassSubmission:
    """All files of the folder as one student's submission; `usual` is the preferred file name.

    Raises:
        GraderError: if there is no such folder.
    """
    if not folder.is_dir():
        raise GraderError(f"{short_path(folder)}: no such folder; expected one submission's files")
    files = [file for file in sorted(files_below(folder), key=lambda file: file.path_parts) if not ignored(file)]
    if not files:
        return ClassSubmission("submission", folder, "", refused="nothing was submitted")
    owner = Owner("submission")
    handout = _Handout(usual.lower(), _code(template, max_mb), max_mb)
    pile = _Pile(owner, StudentMatch(), [(file, owner) for file in files])
    return _submission("submission", pile, unpacked, handout, has_roster=False)


def _files(submissions: Path, unpacked: Path, path_text: str, max_mb: float) -> list[File]:
    if submissions.is_dir():
        return sorted(files_below(submissions), key=lambda file: file.path_parts)
    if not submissions.exists():
        raise GraderError(f"{path_text}: no such folder; expected a folder of notebooks or a downloaded archive")
    if not is_archive(submissions.name):
        raise GraderError(
            f"{path_text}: expected a folder or an archive; for one notebook: make grade SUBMISSION=x.ipynb"
        )
    try:
        files = unpack(submissions, unpacked / "download", max_mb=max_mb, total_mb=CLASS_MB, nested=True)
    except UnusableArchive as reason:
        raise GraderError(f"{path_text}: {reason}; download it again") from None
    return sorted(files, key=lambda file: file.path_parts)


def _handout(file_owners: Sequence[tuple[File, Owner]], template: Path | None, max_mb: float) -> _Handout:
    """The notebook's usual name: the template's, or else the most frequent one."""
    pairs = {(owner.id, plain_name(owner.file_name or file.name)) for file, owner in file_owners if is_work(file)}
    names = Counter(name for _, name in sorted(pairs) if name.endswith(".ipynb"))
    usual = max(sorted(names), key=names.__getitem__, default="")
    usual = usual if names[usual] > 1 else ""  # a name that occurs once is not usual
    if template and plain_name(template.name) in names:
        usual = plain_name(template.name)
    return _Handout(usual, _code(template, max_mb), max_mb)


def _code(template: Path | None, max_mb: float) -> TemplateCode:
    return template_code(template.resolve(), max_mb) if template else TemplateCode()


def _piles(
    file_owners: Sequence[tuple[File, Owner]], roster: Roster | None, exercise_names: Sequence[str]
) -> list[_Pile]:
    """The files of each student or team."""
    owners = {owner.id: owner for _, owner in reversed(file_owners)}
    work = {owner.id for file, owner in file_owners if is_work(file)}
    match_of = matches(owners, work, roster, exercise_names) if roster else {}
    places: dict[str, set[str]] = {}
    for file, owner in file_owners:
        places.setdefault(owner.id, set()).add(file.section)
    piles: dict[str, _Pile] = {}
    for file, owner in file_owners:
        pile = _Pile(owners[owner.id], match_of.get(owner.id, StudentMatch()))
        if not pile.match.student and len(places[owner.id]) > 1:  # unmatched people of different sections stay apart
            pile.owner = replace(pile.owner, id=", ".join(filter(None, (owner.id, file.section))))
        piles.setdefault(pile.identity, pile).files.append((file, owner))
    return list(piles.values())


def _together(piles: Sequence[_Pile]) -> list[_Pile]:
    """Joins piles of the same files, and piles of a group's members with the same work, into one team each."""
    teams: dict[Hashable, list[_Pile]] = {}
    for pile in piles:
        files = frozenset((file.section, *file.path_parts) for file, _ in pile.files)
        teams.setdefault(_of_group(pile) or files, []).append(pile)
    for first, *others in teams.values():
        first.others = others
    return [first for first, *_ in teams.values()]


def _of_group(pile: _Pile) -> Hashable:
    """The group and the work of a folder such as "Rings-Emmy Noether", as Moodle wrote it before 4.1; or None."""
    name = folded(pile.match.student.name) if pile.match.student and "-" in pile.owner.name else ""
    if not name or not folded(pile.owner.name).endswith(name):
        return None
    group = folded(pile.owner.name).removesuffix(name)
    work = frozenset((file.name, _content(file)) for file, _ in pile.files if is_work(file))
    return (group, work) if group and work else None


def _content(file: File) -> str:
    try:
        return hashlib.sha256(file_bytes(file.path, MOST_COMPARED)).hexdigest() if file.path else file.problem
    except Unreadable:
        return "/".join(file.path_parts)  # equal to no other file


def _keys(people: Mapping[str, tuple[Student | None, str]], roster: Roster | None) -> dict[str, str]:
    """A key per identity, from the matched student, if any, and the name in the download.

    The key names the folder of the results: safe, unique, and the same in every run. A student's id is reserved for
    that student, even without a submission; any other submission with this name gets a digest appended.
    """
    ids = Counter(_safe(student.id).casefold() for student in (roster.students if roster else ()))
    bases = {identity: _safe(student.id if student else name) for identity, (student, name) in people.items()}
    others = Counter(bases[identity].casefold() for identity, (student, _) in people.items() if not student)
    used_keys: set[str] = set()
    keys = {}
    for identity, (student, _) in sorted(people.items(), key=lambda pair: (pair[1][0] is None, pair[0])):
        key, folded = bases[identity], bases[identity].casefold()
        apart = ids[folded] == 1 if student else not ids[folded] and others[folded] == 1
        key = key if apart else f"{key}-{_digest(identity)}"
        while key.casefold() in used_keys or (not student and key.casefold() in ids):
            key += "x"  # a folder may be named like another key
        used_keys.add(key.casefold())
        keys[identity] = key
    return keys


def _safe(text: str) -> str:
    """The text as a folder's name; with a digest if more than spaces and accents was lost."""
    plain_text = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    is_lossy = len(unicodedata.normalize("NFC", text)) != len(plain_text)
    spaced = re.sub(r"[\s,]+", "-", plain_text.strip())
    key = re.sub(r"[^A-Za-z0-9._-]", "", spaced).strip(".-")[:LONGEST_KEY]
    is_lossy = is_lossy or len(key) != len(spaced)
    return f"{key or 'submission'}-{_digest(text)}" if is_lossy or not key else key


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:8]


def _is_submission(pile: _Pile, layouts: Mapping[str, Layout]) -> bool:
    """Whether the pile is a submission, and not a file that lies beside submissions."""
    files = [file for file, _ in pile.files if not ignored(file) or "checkpoint" in "/".join(file.path_parts)]
    if files and (pile.match.student or pile.owner.number):
        return True
    flat = {name for name, layout in layouts.items() if layout.flat and (name or len(layouts) == 1)}
    return any(is_work(file) or len(file.path_parts) > 1 or _is_attempt(file, file.section in flat) for file in files)


def _is_handed_out(pile: _Pile, handout: _Handout) -> bool:
    """Whether the pile is only the template, left beside the submissions."""
    file, _ = pile.files[0]
    alone = len(pile.files) == len(file.path_parts) == 1 and pile.match == StudentMatch() and not file.problem
    is_usual_name = plain_name(file.name) == handout.name and bool(handout.template.tasks)
    return alone and is_usual_name and not is_solved(file, handout.template, handout.max_mb)


def _is_attempt(file: File, flat: bool) -> bool:
    """Whether the file looks submitted instead of a notebook: a PDF, a script, vae.ipynb.txt."""
    name = file.name.lower()
    return ".ipynb." in name or (flat and not file.problem and "." in name and not name.endswith(ASIDE))


def _match_remarks(piles: Sequence[_Pile], roster: Roster | None) -> tuple[str, ...]:
    """Remarks on unmatched submissions and doubtful matches."""
    if not roster:
        return ()
    people = [person for pile in piles for person in pile.people]
    strangers = sorted({plain(pile.owner.name or pile.owner.id, 60) for pile in people if pile.match.student is None})
    remarks = []
    if strangers:
        remarks.append(f"no student, or more than one, on the roster for {len(strangers)}: {listed(strangers)}")
    doubtful = sorted((pile for pile in people if pile.match.doubt), key=lambda pile: pile.identity)
    for pile in doubtful[:MOST_DOUBTS]:
        whose = plain(pile.match.student.name or pile.match.student.id, 60) if pile.match.student else "left unmatched"
        remarks.append(f"{plain(pile.owner.name or pile.owner.id, 60)}: {pile.match.doubt}; {whose}")
    if len(doubtful) > MOST_DOUBTS:
        remarks.append(f"{len(doubtful) - MOST_DOUBTS} more doubtful matches, listed in gradebook.csv")
    return tuple(remarks)


def _one_pile_remark(piles: Sequence[_Pile]) -> tuple[str, ...]:
    """A remark that several files were taken for one submission, only because of the folder around them."""
    names = sorted(plain(file.name, 60) for pile in piles for file, _ in pile.files if len(file.path_parts) == 2)
    if len(piles) > 1 or len(names) < 2 or piles[0].match.student or piles[0].owner.number:
        return ()
    return (f"all files were taken for one submission, {plain(piles[0].owner.name, 60)}: {listed(names)}",)


def _leftover_remark(piles: Sequence[_Pile]) -> tuple[str, ...]:
    names = sorted(plain(file.name, 60) for pile in piles for file, _ in pile.files)
    return (f"ignored, since no submission: {listed(names)}",) if names else ()


def _submission(key: str, pile: _Pile, into: Path, handout: _Handout, *, has_roster: bool) -> ClassSubmission:
    """The submission of the pile: its notebook, or the reason why there is none."""
    candidates = [(file, owner) for file, owner in pile.files if is_work(file)]
    remarks = _doubt(pile)
    packed = [(file, owner) for file, owner in candidates if is_archive(file.name) and file.path is not None]
    reasons = [f"{file.name} {file.problem}" for file, _ in candidates if file.problem]
    works = [
        Work(file, owner, file.place, owner.file_name or file.name)
        for file, owner in candidates
        if not is_archive(file.name) and not file.problem
    ]
    solved = [w for w in works[:MAX_READ] if is_solved(w.file, handout.template, handout.max_mb)]
    last = max((work.owner.attempt for work in solved), default=-1)
    packed = [(file, owner) for file, owner in packed if owner.attempt > last]  # of a later attempt, or nothing solved
    if packed:
        works += [
            w for file, owner in packed[:MOST_OPENED] for w in _inside(file, owner, into, handout.max_mb, reasons)
        ]
        if len(packed) > MOST_OPENED:
            text = f"{len(packed)} archives; only the first {MOST_OPENED} were opened"
            reasons.append(text)
            remarks.append(Remark("other_notebook", text, needs_person=True))
    if not works:
        return _refused(key, pile, reasons, remarks)
    of_several = not pile.students or pile.match.team
    if has_roster and of_several and len({(w.place.rpartition("/")[0], plain_name(w.file_name)) for w in works}) > 1:
        whose = "a team's folder" if pile.students else "not on the roster"
        remarks.append(Remark("whose", f"{whose}, and maybe the work of several people", needs_person=True))
    choice = choose(works, handout.name, handout.template, handout.max_mb)
    work = choice.work
    if work.owner.late:
        remarks.append(Remark("late", "the download marks this submission as late"))
    assert work.file.path is not None
    return ClassSubmission(
        key=key,
        path=work.file.path,
        shown=plain(work.place, MAX_PLACE),
        student=pile.students[0] if pile.students else None,
        remarks=(*choice.remarks, *remarks),
        team=pile.students[1:],
        by=pile.by,
        why=choice.why,
        left_out=choice.left_out,
        when=_when(pile, work.owner),
    )


def _when(pile: _Pile, *owners: Owner) -> datetime | None:
    """The time of submission, from the download or else from the roster."""
    times = (*(owner.when for owner in owners), *map(submitted_at, pile.students))
    return next(filter(None, times), None)


def _inside(file: File, owner: Owner, into: Path, max_mb: float, reasons: list[str]) -> list[Work]:
    """The notebooks in an archive; adds to `reasons` why others cannot be used."""
    assert file.path is not None
    try:
        files = unpack(file.path, into / _digest(file.place), max_mb=max_mb, total_mb=8 * max_mb, nested=False)
    except UnusableArchive as reason:
        reasons.append(f"{file.name} {reason}")
        return []
    notebooks = [notebook for notebook in files if is_work(notebook) and not is_archive(notebook.name)]
    reasons += [f"{notebook.name} in {file.name} {notebook.problem}" for notebook in notebooks if notebook.path is None]
    return [
        Work(notebook, owner, f"{file.place}: {notebook.place}", notebook.name)
        for notebook in notebooks
        if notebook.path is not None
    ]


def _doubt(pile: _Pile) -> list[Remark]:
    """Doubts about the student, for staff; without the names of other students."""
    matches = [pile.match for pile in pile.people if pile.match.doubt]
    doubts = [f"{match.doubt}{'' if match.student else '; it was left unmatched'}" for match in matches]
    return [Remark("whose", f"student uncertain: {doubt}", needs_person=True) for doubt in doubts]


def _refused(key: str, pile: _Pile, reasons: Sequence[str], remarks: Sequence[Remark]) -> ClassSubmission:
    files = [file for file, _ in pile.files]
    files = [file for file in files if not ignored(file)] or files
    first = files[0]
    names = listed([plain(file.name, 60) for file in files])
    why = "; ".join(plain(reason, 160) for reason in reasons[:MOST_REASONS]) or f"found: {names}"
    refusal = f"no readable notebook (.ipynb) was submitted; {why}"
    path = first.path or Path(component(first.name))
    return ClassSubmission(
        key=key,
        path=path,
        shown=plain(first.place, MAX_PLACE),
        student=pile.students[0] if pile.students else None,
        remarks=tuple(remarks),
        refused=refusal,
        team=pile.students[1:],
        by=pile.by,
        when=_when(pile, *(owner for _, owner in pile.files)),
    )
