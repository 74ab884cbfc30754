"""The student of each file, from its path: the layouts of course systems, and those that people make by hand.

The layout is recognised only from the entries at the root of a download, each on its own: nothing in a student's folder
can change the owner of another file. A file at the root ends in a name that a student typed, which may imitate any
system: a system's form counts there only if most files have it, the most frequent form comes first, and each form ends
at the first place where it can. What each system writes:

Moodle: `Full name_12345_assignsubmission_file/` (with a last `_` before 4.1; or, flat, `..._file_name.ipynb`),
`_onlinetext` for a typed text. The number is the participant's in this assignment, or the group's in group
assignments, and missing for students without a group; before 4.1 the group came before each name,
`Group-Full name_12345_...`. The name contains no underscore, and is "Participant" in blind marking
(github.com/moodle/moodle, mod/assign/classes/downloader.php; earlier in mod/assign/locallib.php).
Canvas: `lastfirst_LATE_userid_fileid_name.ipynb`, `lastfirst_userid_text.html` and `_link.html` for typed text, and
`anon_x5F3a` instead of name and id for anonymous students; a group's name in group assignments
(github.com/instructure/canvas-lms, lib/content_zipper.rb). It adds -1, -2, ... before the suffix of a name that the
student has used before (app/models/attachment.rb, `make_unique_filename`); a later file has a higher file id.
Gradescope: folders and `submission_metadata.yml`, see `gradescope_export.py`.
nbgrader: `submitted/<student>/<assignment>/`, and attempts in its exchange, `inbound/<student>+<assignment>+
<time>+<chance>/` (github.com/jupyter/nbgrader, nbgrader/exchange/default/submit.py and collect.py).
Blackboard: `<assignment>_<login>_attempt_<time>_<name>` and a `.txt` per attempt (unverified: as
github.com/kwurst/bb-file-cleanup expects; no real export was available).
Brightspace: `<number>-<number> - Full name - Sep 24, 2024 926 PM/`, or flat, followed by ` - <name>` (unverified: as
programs that read it expect; the meaning of the numbers is unknown).
Microsoft Teams: `Submitted files/Full name/assignment/Version 2/` and `Working files/Full name/assignment/`; a working
file was not submitted (unverified: as the library of a class is described; folders' names in English).
GitHub Classroom, Google Drive, Sakai and ILIAS: folders and files named after students, perhaps with the
assignment's name: `vae-adalovelace/`, `Ada Lovelace - vae.ipynb`, `Lovelace, Ada(ada)/`, `lovelace_ada_ada_4711/`
(github.com/github/gh-classroom, cmd/gh-classroom/clone/student-repos; the others unverified).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import NamedTuple

from grader.batch.class_records import Student
from grader.batch.students.archives import SUFFIXES, is_archive
from grader.batch.students.course_words import when_of
from grader.batch.students.files import File
from grader.batch.students.gradescope_export import METADATA, Submitter, read_submitters
from grader.batch.students.roster import ClueKind
from grader.report.text import listed, plain
from grader.store.bounded import Unreadable, file_bytes

SUBMITTED = "submitted"
TEAMS_SUBMITTED, TEAMS_WORKING = "Submitted files", "Working files"
STAMP = "timestamp.txt"  # nbgrader's
MAX_STAMP = 200  # bytes
_OF_NBGRADER = {"source", "release", "autograded", "feedback"}  # other folders of its course folder
_MOODLE = re.compile(r"(?P<name>[^_]+)(?:_(?P<id>\d+))?_assignsubmission_(?P<kind>[a-z]+)(?:_(?P<rest>.*))?", re.DOTALL)
_WHO = r"(?:(?P<late_anon>LATE_)?(?P<anon>anon_[A-Za-z0-9]{3,8})|(?P<name>\w+?)_(?P<late>LATE_)?(?P<id>\d+))"
_CANVAS = re.compile(_WHO + r"_(?:(?P<file>\d+)_(?P<rest>.+)|(?P<typed>(?:text|link)\.html))", re.DOTALL)
_INBOUND = re.compile(r"(?P<student>[^+]+)\+[^+]+\+(?P<when>\d{4}-\d\d-\d\d \d\d[:_]\d\d[:_]\d\d\S* \w+)(?:\+[\w-]+)?")
_BLACKBOARD = re.compile(
    r"(?P<title>.+?)_(?P<login>[^_]+)_attempt_(?P<when>\d{4}(?:-\d\d){5})(?:_(?P<rest>.+)|\.txt)", re.DOTALL
)
_BRIGHTSPACE = re.compile(
    r"\d+-\d+ - (?P<name>(?:(?! - ).)+) - (?P<when>[^\W\d]{3,}\.? \d{1,2}, \d{4} \d{3,4} [AP]M)(?: - (?P<rest>.+))?",
    re.DOTALL,
)
SHORTEST_FILE_ID = 5  # digits; with fewer, a name such as ws_2025_2026_all.zip is not Canvas's
_AGAIN = re.compile(r"(?P<stem>.+)-\d{1,3}(?P<suffix>(?:\.[A-Za-z][A-Za-z0-9]*)*\.[A-Za-z0-9]+)", re.DOTALL)
_GRADESCOPE = re.compile(r"submission_\d+")
_LEFT_IN = {".ipynb_checkpoints", "__MACOSX", ".git", "__pycache__", ".Trash", ".Trashes", ".AppleDouble"}
_LEFT_IN |= {".Spotlight-V100", ".fseventsd", ".TemporaryItems", "$RECYCLE.BIN", "System Volume Information"}
_LEFT = {".DS_Store", "Thumbs.db", "desktop.ini", "Icon\r", "Icon_", ".directory", ".localized"}
# Files that staff leave beside submissions; they are not submissions unless named after a student.
ASIDE = (
    ".txt",
    ".md",
    ".csv",
    ".tsv",
    ".xls",
    ".xlsx",
    ".ods",
    ".yml",
    ".yaml",
    ".toml",
    ".json",
    ".log",
    ".ini",
    ".lnk",
)


class Clue(NamedTuple):
    """A text by which a system identifies a student, and its kind."""

    kind: ClueKind
    text: str


@dataclass(frozen=True, slots=True)
class Owner:
    """The owner of a file: a name that is the same in every run, and clues for matching with a roster."""

    id: str  # the same in every run; the key is made from it
    clues: tuple[Clue, ...] = ()  # from a system
    text: str = ""  # the name that a person gave a folder or file
    number: str = ""  # the system's own number: different numbers are different people
    name: str = ""  # as in the layout
    before: str = ""  # what stands before a name or login in a file's name: not a student's name, unless it is imitated
    late: bool = False
    file_name: str = ""  # the submitted file's name, without additions of a system
    order: int = 0  # higher for a later submission, if the layout shows that
    attempt: int = 0  # higher for a later attempt, if it replaces all files of earlier ones
    when: datetime | None = None  # the time of submission in the layout; without a zone, in the course's


Owners = Callable[[File], tuple[Owner, ...]]


@dataclass(frozen=True)
class Layout:
    """The layout of a download in words, and the owners of each file; none for a file that is not a submission."""

    words: str
    owners: Owners
    remarks: tuple[str, ...] = ()
    of_system: bool = True
    flat: bool = False  # every entry is a file, so any file may be a submission
    students: tuple[Student, ...] = ()  # students that the download itself lists


def ignored(file: File) -> bool:
    """Whether a program made the file: checkpoints, or leftovers of archivers and editors."""
    return any(part in _LEFT_IN for part in file.path_parts[:-1]) or _litter(file.name)


def left_at_root(file: File) -> bool:
    """Whether the file is a leftover, as in `ignored`, at the root of a download."""
    return file.path_parts[0] in _LEFT_IN or (len(file.path_parts) == 1 and _litter(file.name))


def is_systems(name: str) -> bool:
    """Whether a course system gives such a name to the folder or archive of one submission."""
    packed = is_archive(name)
    match = _canvas(name) if packed else None
    of_canvas = match and len(match["file"] or "") >= SHORTEST_FILE_ID
    return bool(of_canvas or _GRADESCOPE.fullmatch(name) or _system(name, flat=packed))


def is_work(file: File) -> bool:
    """Whether the file is a notebook or an archive, and not a leftover."""
    return not ignored(file) and (file.name.lower().endswith(".ipynb") or is_archive(file.name))


def stem_of(name: str) -> str:
    """The name without its suffixes: `ada` of ada.ipynb, ada.tar.gz and ada.ipynb.txt."""
    return re.sub(r"((\.tar)?|(\.ipynb)?)\.[A-Za-z0-9]{1,6}$", "", name, flags=re.IGNORECASE) or name


def layout_of(files: Sequence[File]) -> Layout:
    """The layout of the download with these files; the first part of each is an entry at the root."""
    export = next((file for file in files if file.path_parts == (METADATA,)), None)
    exported = export and any(len(file.path_parts) > 1 and _GRADESCOPE.fullmatch(file.path_parts[0]) for file in files)
    if export and exported:
        submitters, remarks = _submitters(export)
        everybody = [_student(submitter) for people in submitters.values() for submitter in people]
        students = {student.id: student for student in everybody if student.id}
        return Layout("Gradescope's export", _gradescope(submitters), remarks, students=tuple(students.values()))
    with_work = {file.path_parts[0] for file in files if is_work(file)} - _OF_NBGRADER or {
        file.path_parts[0] for file in files
    }
    if with_work == {SUBMITTED} and any(file.path_parts[0] == SUBMITTED and len(file.path_parts) > 2 for file in files):
        return Layout("nbgrader's folder of submissions", _nbgrader(files))
    if with_work <= {TEAMS_SUBMITTED, TEAMS_WORKING} and is_teams(files):
        return Layout("Microsoft Teams' folders of student work", _of_teams, _never_submitted(files))
    return _by_entries(files)


def _litter(name: str) -> bool:
    hidden = name.startswith(".") and not name.lower().endswith((".ipynb", *SUFFIXES))
    return hidden or name.startswith(("._", "~$")) or name in _LEFT or "-checkpoint." in name


def _submitters(export: File) -> tuple[Mapping[str, tuple[Submitter, ...]], tuple[str, ...]]:
    try:
        if export.path is None:
            raise Unreadable(export.problem or "cannot be read")
        return read_submitters(export.path), ()
    except Unreadable as reason:
        return {}, (f"{METADATA}: {reason}; ignored, so its students are unknown",)


def _gradescope(submitters: Mapping[str, tuple[Submitter, ...]]) -> Owners:
    def owners(file: File) -> tuple[Owner, ...]:
        entry = file.path_parts[0]
        if file.path_parts == (METADATA,):
            return ()
        if entry not in submitters:
            return (Owner(entry, number=entry, name=entry),)
        return tuple(_submitter(entry, submitter) for submitter in submitters[entry])

    return owners


def _student(submitter: Submitter) -> Student:
    return Student(submitter.sid or submitter.email, submitter.name, submitter.email)


def _submitter(entry: str, submitter: Submitter) -> Owner:
    clues = (
        Clue(ClueKind.NUMBER, submitter.sid),
        Clue(ClueKind.EMAIL, submitter.email),
        Clue(ClueKind.NAME, submitter.name),
    )
    identity = submitter.sid or submitter.email
    return Owner(
        identity or f"{submitter.name} {entry}",
        clues,
        number=identity or entry,
        name=submitter.name or identity,
        when=submitter.when,
    )


def _nbgrader(files: Sequence[File]) -> Owners:
    """The student's folder, and the time that nbgrader writes into it; only files in `submitted` have owners."""
    stamps = {
        file.path_parts[:3]: file
        for file in files
        if file.path_parts[3:] == (STAMP,) and file.path_parts[0] == SUBMITTED
    }
    times = {place: _stamp(file) for place, file in stamps.items()}

    def owners(file: File) -> tuple[Owner, ...]:
        if file.path_parts[0] != SUBMITTED or len(file.path_parts) < 2:
            return ()
        return tuple(
            replace(owner, when=times.get(file.path_parts[:3])) for owner in _named_by_person(file.path_parts[1:])
        )

    return owners


def _stamp(file: File) -> datetime | None:
    try:
        return when_of(file_bytes(file.path, MAX_STAMP).decode("ascii", "replace")) if file.path else None
    except Unreadable:
        return None


def is_teams(files: Iterable[File]) -> bool:
    """Whether the files are Microsoft Teams', by their folders for each student and assignment."""
    return any(
        bool(_version(file)) if file.path_parts[0] == TEAMS_SUBMITTED else len(file.path_parts) > 3
        for file in files
        if file.path_parts[0] in {TEAMS_SUBMITTED, TEAMS_WORKING}
    )


def _version(file: File) -> int:
    """The number in `Submitted files/Full name/assignment/Version 2/vae.ipynb`; 0 in other places."""
    match = re.fullmatch(r"Version (\d{1,6})", file.path_parts[3]) if len(file.path_parts) > 4 else None
    return int(match[1]) if match else 0


def _of_teams(file: File) -> tuple[Owner, ...]:
    """The student's folder and the version; no owner for a working file, which was not submitted."""
    if file.path_parts[0] != TEAMS_SUBMITTED or len(file.path_parts) < 3:
        return ()
    version = _version(file)
    return tuple(replace(owner, order=version, attempt=version) for owner in _named_by_person(file.path_parts[1:]))


def _never_submitted(files: Sequence[File]) -> tuple[str, ...]:
    """A remark on students who only have working files."""
    students_of: dict[str, set[str]] = {TEAMS_SUBMITTED: set(), TEAMS_WORKING: set()}
    for file in files:
        if file.path_parts[0] in students_of and len(file.path_parts) > 2:
            students_of[file.path_parts[0]].add(file.path_parts[1])
    names = sorted(plain(name, 60) for name in students_of[TEAMS_WORKING] - students_of[TEAMS_SUBMITTED])
    return (f"working files are not submissions; no submitted files by {listed(names)}",) if names else ()


def _by_entries(files: Sequence[File]) -> Layout:
    """Each folder on its own, and each file by the systems of most files; else a name given by a person."""
    entries = {file.path_parts[0] for file in files}
    flat = {file.name for file in files if len(file.path_parts) == 1}
    of_files = _systems_of_files(flat)
    system_of = {entry: system for entry in sorted(entries - flat) if (system := _system(entry, flat=False))}
    system_of |= {name: system for name, (system, _) in of_files.items() if system}
    of_canvas = {name: match for name, (system, match) in of_files.items() if not system}
    file_names = {match["rest"] for match in of_canvas.values() if match["rest"]}

    of_nbgrader = _nbgrader(files)

    def owners(file: File) -> tuple[Owner, ...]:
        entry = file.path_parts[0]
        if entry in system_of:
            return (system_of[entry].owner(entry, file),)
        if len(file.path_parts) == 1 and file.name in of_canvas:
            return (_of_canvas(of_canvas[file.name], file_names),)
        if entry == SUBMITTED and len(file.path_parts) > 1:
            return of_nbgrader(file)
        return _named_by_person(file.path_parts)

    systems = Counter(system.words for system in system_of.values())
    systems["Canvas's download"] = len(of_canvas)
    most, count = systems.most_common(1)[0]
    if count * 2 > len(entries):
        return Layout(most, owners)
    all_files = len(flat) == len(entries)
    return Layout(f"one {'file' if all_files else 'folder'} per student", owners, of_system=False, flat=all_files)


def _systems_of_files(names: Iterable[str]) -> dict[str, tuple[_System | None, re.Match[str]]]:
    """The system of each file at the root, and the parts of its name; None is Canvas.

    A student's own file name, at the end, may imitate another system's. So a system counts only if most files have its
    form, and the form of the most files comes first; with equally many, the form that ends earliest.
    """
    matches_of: dict[_System | None, dict[str, re.Match[str]]] = {
        system: {name: match for name in names if (match := system.form.fullmatch(name))}
        for system in _SYSTEMS
        if system.files
    }
    others = {name for matches in matches_of.values() for name in matches}
    matches_of[None] = {
        name: match
        for name in names
        if (match := _canvas(name)) and (name not in others or len(match["file"] or "") >= SHORTEST_FILE_ID)
    }
    known = {name for matches in matches_of.values() for name in matches}
    count = len({name for name in names if name in known or not name.lower().endswith((*ASIDE, ".html"))})
    usual = [system for system, matches in matches_of.items() if len(matches) * 2 > count]
    usual.sort(key=lambda system: (-len(matches_of[system]), sum(map(_typed_from, matches_of[system].values()))))
    return {name: (system, matches_of[system][name]) for system in reversed(usual) for name in matches_of[system]}


def _typed_from(match: re.Match[str]) -> int:
    """Where the name that the student typed begins."""
    return match.start("rest") if match["rest"] else match.end()


def canvas_file(name: str) -> str:
    """Canvas's file number in this name; empty if the name is not Canvas's."""
    match = _canvas(name)
    return (match["file"] or "") if match else ""


def _canvas(name: str) -> re.Match[str] | None:
    """The parts of a name written by Canvas, which writes people's names in lower case."""
    match = _CANVAS.fullmatch(name)
    return match if match and (match["anon"] or match["name"] == match["name"].lower()) else None


def _named_by_person(parts: Sequence[str]) -> tuple[Owner, ...]:
    name = parts[0] if len(parts) > 1 else stem_of(parts[0])
    return (Owner(name, text=name, name=name, file_name=parts[-1]),)


def _of_moodle(entry: str, file: File) -> Owner:
    match = _fully(_MOODLE, entry)
    name, number = match["name"], match["id"] or ""
    clues = (Clue(ClueKind.PARTICIPANT, number), Clue(ClueKind.NAME, name))
    file_name = file.name if len(file.path_parts) > 1 else match["rest"] or file.name
    identity, before = "_".join(filter(None, (name, number))), name.rpartition(" - ")[0]
    return Owner(identity, clues, number=number or name, name=name, before=before, file_name=file_name)


def _of_inbound(entry: str, file: File) -> Owner:
    match = _fully(_INBOUND, entry)
    owner = Owner(match["student"], text=match["student"], name=match["student"], file_name=file.name)
    return _at(owner, match["when"].replace("_", ":"))  # some archives and systems allow no colon


def _of_blackboard(entry: str, file: File) -> Owner:
    match = _fully(_BLACKBOARD, entry)
    login = match["login"]
    clues = (Clue(ClueKind.LOGIN, login), Clue(ClueKind.NUMBER, login))
    file_name = match["rest"] or file.name
    return _at(Owner(login, clues, "", login, login, match["title"], file_name=file_name), match["when"])


def _of_brightspace(entry: str, file: File) -> Owner:
    match = _fully(_BRIGHTSPACE, entry)
    name = match["name"]
    owner = Owner(name, (Clue(ClueKind.NAME, name),), number=name, name=name, file_name=match["rest"] or file.name)
    return _at(owner, match["when"], replaces=False)  # a later submission may add a file to earlier ones


def _fully(form: re.Pattern[str], entry: str) -> re.Match[str]:
    match = form.fullmatch(entry)
    assert match is not None
    return match


def _at(owner: Owner, text: str, *, replaces: bool = True) -> Owner:
    """The owner with this time of submission; `replaces` if an attempt replaces all files of earlier ones."""
    when = when_of(text)
    order = int(when.strftime("%Y%m%d%H%M%S")) if when else 0
    return replace(owner, when=when, order=order, attempt=order if replaces else 0)


class _System(NamedTuple):
    """A system whose names can be recognised one by one."""

    words: str
    form: re.Pattern[str]
    owner: Callable[[str, File], Owner]
    folders: bool = True  # whether entries may be folders
    files: bool = True


_SYSTEMS = (
    _System("Moodle's download", _MOODLE, _of_moodle),
    _System("nbgrader's exchange", _INBOUND, _of_inbound, files=False),
    _System("Blackboard's download", _BLACKBOARD, _of_blackboard, folders=False),
    _System("Brightspace's download", _BRIGHTSPACE, _of_brightspace),
)


def _system(entry: str, *, flat: bool) -> _System | None:
    """The system that writes such entries, if any."""
    able = (system for system in _SYSTEMS if (system.files if flat else system.folders))
    return next((system for system in able if system.form.fullmatch(entry)), None)


def _of_canvas(match: re.Match[str], file_names: set[str]) -> Owner:
    file_name, order = match["rest"] or match["typed"], int(match["file"] or 0)
    again = _AGAIN.fullmatch(file_name)
    if again and again["stem"] + again["suffix"] in file_names:
        file_name = again["stem"] + again["suffix"]
    if match["anon"]:
        anonym, late = match["anon"], bool(match["late_anon"])
        return Owner(anonym, number=anonym, name=anonym, late=late, file_name=file_name, order=order)
    name, number = match["name"], match["id"]
    clues = (Clue(ClueKind.CANVAS, number), Clue(ClueKind.NAME, name))
    identity, late = f"{name}_{number}", bool(match["late"])
    return Owner(identity, clues, number=number, name=name, late=late, file_name=file_name, order=order)
