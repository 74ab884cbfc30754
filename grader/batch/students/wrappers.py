"""Removes the folders, archives and sections around a class, but never those of a student.

An archive program, a Mac or a person may put a folder around a class, pack it again, or keep sections apart. An archive
is treated like a folder. While everything lies in one folder, these rules decide in this order whether it is a wrapper:

1. System names: a folder with a name that a system gives to submissions is a submission; a folder around an export,
   around `submitted`, or around a system's folders and files is a wrapper.
2. The roster: a folder named after a student is the student's; a folder around a file named after a student is a
   wrapper.
3. The work inside: a folder around a folder with work, or around several entries with work, is a wrapper; a folder
   around a single notebook, or copies of it, is its author's, and so is one around a single entry with work if its
   name may contain a student's.

Several folders are sections if none is named after a student, at least one holds a system's files or the work of
several students (or each holds another student's work), and none looks like a student's own. A student cannot cause
this from inside their own folder, since the folders of other students do not look like sections.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum, auto
from pathlib import Path

from grader.batch.students.archives import is_archive
from grader.batch.students.files import File
from grader.batch.students.gradescope_export import METADATA
from grader.batch.students.layouts import (
    ASIDE,
    SUBMITTED,
    is_systems,
    is_teams,
    is_work,
    layout_of,
    left_at_root,
    stem_of,
)
from grader.batch.students.matching import StudentMatch
from grader.batch.students.selection import plain_name

DEEPEST = 4  # levels of sections in sections, and of archives in archives
CLASS_MB = 50_000  # unpacked from one archive of a whole class
SPARE_MB = 10  # that an archive may hold beyond the folder of the same name
_PART = re.compile(r"(?P<whole>.+-\d{8}T\d{6}Z(?:-\d+)?)-\d{3}(?: ?\(\d+\))?\.zip", re.IGNORECASE)
Inside = Callable[[File], Sequence[File]]


@dataclass(frozen=True)
class Opening:
    """The functions needed to look into a download."""

    names_one: Callable[[str], bool]  # whether the whole text is a student's id, login, address or name
    match_name: Callable[[str], StudentMatch]  # the student whom its words name
    is_nobodys: Callable[[str], bool]  # whether none of its words can be a person's name or number
    list_files: Inside  # the names in an archive; empty if it cannot be read
    unpack: Callable[[File, float], Sequence[File]]  # its files, up to this number of megabytes
    usual: str = ""  # the plain name of the template
    depth: int = 0

    @property
    def deeper(self) -> Opening:
        """The opening for one level deeper."""
        return replace(self, depth=self.depth + 1)

    def is_students(self, name: str) -> bool:
        """Whether an entry of this name belongs to one student."""
        return self.is_called(name) or self.match_name(stem_of(name)).student is not None

    def is_called(self, name: str) -> bool:
        """Whether the whole name is a student's, or a system's name for a submission."""
        return is_systems(name) or self.names_one(name) or self.names_one(stem_of(name))

    def hints(self, name: str) -> bool:
        """Whether the name may contain a student's."""
        return self.is_called(name) or self.match_name(stem_of(name)) != StudentMatch()


class _Kind(Enum):
    CLASS = auto()  # files of a system, or several students' folders or files
    ONE = auto()  # an entry named after a student, and no other work
    PART = auto()  # may be a section: work of several unknown people
    LONE = auto()  # may be a section with one unknown person's folder, or that person's own
    OWN = auto()  # may be one student's own
    REST = auto()  # no work


def unwrap(files: Iterable[File], opening: Opening, within: str = "") -> list[File]:
    """The files below the wrappers, each with its section, without leftovers of archivers and systems.

    In the section `within`, a lone folder may be a repeated section folder, or a student's.
    """
    level = _join_parts(_without_litter(files, opening), opening)
    while (only_unit := _only_unit(level, opening)) is not None:
        unit, files_of_unit = only_unit
        lone = within and not is_archive(unit) and stem_of(within) != unit and not opening.is_nobodys(unit)
        if lone and not _is_systems(files_of_unit):
            return level
        if not _is_wrapper(unit, _without_litter(_contents(unit, files_of_unit, opening), opening), opening):
            break
        inside = _without_litter(_contents(unit, files_of_unit, opening, unpack=True), opening)
        if not inside:
            break
        opening = opening.deeper if is_archive(unit) else opening
        level = inside
    return _by_section(level, opening)


def _without_litter(files: Iterable[File], opening: Opening) -> list[File]:
    """The files without leftovers, and without archives whose content lies beside them."""
    level = [file for file in files if not left_at_root(file)]
    packed = [file for file in level if len(file.path_parts) == 1 and is_archive(file.name)]
    folders: dict[str, list[File]] = {stem_of(file.name): [] for file in packed}
    for file in level:
        if len(file.path_parts) > 1 and file.path_parts[0] in folders:
            folders[file.path_parts[0]].append(file)
    copies = {file.path_parts for file in packed if _is_copy(file, folders[stem_of(file.name)], opening)}
    return [file for file in level if file.path_parts not in copies]


def _join_parts(level: list[File], opening: Opening) -> list[File]:
    """Joins the files of a large Google Drive download, which is split into several archives."""
    parts = {
        part: match["whole"] for part in level if (match := _PART.fullmatch(part.name)) and len(part.path_parts) == 1
    }
    others = [file for file in level if file not in parts and is_work(file)]
    if len(parts) < 2 or len(set(parts.values())) > 1 or others:
        return level
    inside = [file for part in parts for file in _files_inside(part, opening, most_mb=CLASS_MB)]
    return _without_litter(inside, opening)


def _is_copy(archive: File, files: Sequence[File], opening: Opening) -> bool:
    """Whether all work in the archive is also in the folder of the same name (`files`), byte for byte."""
    folder = stem_of(archive.name)
    path_of = {file.path_parts: file.path for file in files}
    if not any(path_of.values()):  # no files, or only names from an archive
        return False

    def place(file: File) -> tuple[str, ...]:
        return file.path_parts if file.path_parts[0] == folder else (folder, *file.path_parts)

    packed = [file for file in _files_inside(archive, opening) if is_work(file)]
    if not packed or any(path_of.get(place(file)) is None for file in packed):
        return False
    most_mb = SPARE_MB + sum(path.stat().st_size for path in path_of.values() if path) / 1e6
    work = [file for file in _files_inside(archive, opening, most_mb=most_mb) if is_work(file)]
    return bool(work) and all(_same(file, path_of[place(file)]) for file in work)


def _same(file: File, other: Path | None) -> bool:
    if file.path is None or other is None or file.path.stat().st_size != other.stat().st_size:
        return False
    return file.path.read_bytes() == other.read_bytes()


def _files_inside(archive: File, opening: Opening, *, most_mb: float = 0) -> Sequence[File]:
    """The files in the archive; without `most_mb`, only their names."""
    if archive.path is None or opening.depth >= DEEPEST:
        return ()
    return opening.unpack(archive, most_mb) if most_mb else opening.list_files(archive)


def _units(level: Sequence[File]) -> dict[str, list[File]]:
    """The folders with their files, then the archives, one by one."""
    files_of: dict[str, list[File]] = {}
    for file in level:
        if len(file.path_parts) > 1:
            files_of.setdefault(file.path_parts[0], []).append(replace(file, path_parts=file.path_parts[1:]))
    return files_of | {file.name: [file] for file in level if len(file.path_parts) == 1 and is_archive(file.name)}


def _contents(unit: str, files: Sequence[File], opening: Opening, *, unpack: bool = False) -> Sequence[File]:
    """The files in the folder or archive; for an archive without `unpack`, only their names."""
    packed = len(files) == 1 and files[0].path_parts == (unit,) and is_archive(unit)
    return _files_inside(files[0], opening, most_mb=CLASS_MB if unpack else 0) if packed else files


def _only_unit(level: Sequence[File], opening: Opening) -> tuple[str, list[File]] | None:
    """The only folder or archive, apart from files that staff leave beside it, and its files."""
    units = _units(level)
    loose = [file.name for file in level if len(file.path_parts) == 1 and file.name not in units]
    if len(units) != 1 or METADATA in loose:
        return None
    names = [name for name in loose if not name.lower().endswith(ASIDE) or opening.is_called(name)]
    return None if names else units.popitem()


def _is_wrapper(unit: str, inside: Sequence[File], opening: Opening) -> bool:
    if is_teams(replace(file, path_parts=(unit, *file.path_parts)) for file in inside):
        return False
    if not inside or unit == SUBMITTED or opening.is_students(unit):
        return False
    if is_archive(unit):  # a student's archive may have nested folders
        inside = unwrap(inside, opening.deeper)
    if _is_perhaps_own(unit, inside, opening):
        return False
    if _is_systems(inside) or any(opening.is_called(entry) for entry in {file.path_parts[0] for file in inside}):
        return True
    work = {name: file for (_, name), file in _entries(inside).items()}
    if len(work) > 1:
        return len({plain_name(file.name) for file in work.values()}) > 1 or any(
            len(file.path_parts) > 1 for file in work.values()
        )
    entry = next(iter(work.values()), inside[0])
    if len(entry.path_parts) == 1 and is_archive(entry.name):  # look inside a nested archive
        return entry.path is None or _is_wrapper(entry.name, _files_inside(entry, opening), opening.deeper)
    return len(entry.path_parts) > 1 and not is_archive(unit)


def _is_perhaps_own(unit: str, inside: Sequence[File], opening: Opening) -> bool:
    """Whether the folder may be a student's, as vae-ada is Ada's, whatever she called her only file."""
    return len(_entries(inside)) == 1 and opening.hints(unit)


def sections(files: Iterable[File]) -> dict[str, list[File]]:
    """The files of each section; files outside sections have an empty section name."""
    files_of: dict[str, list[File]] = {}
    for file in files:
        files_of.setdefault(file.section, []).append(file)
    return files_of


def _is_systems(files: Sequence[File]) -> bool:
    """Whether the files are a system's download, or have several sections."""
    parts = sections(files)
    return len(parts) > 1 or any(layout_of(part).of_system for part in parts.values())


def _by_section(level: list[File], opening: Opening) -> list[File]:
    """The files, with each section replaced by its files, if these are sections."""
    units = _units(level)
    if opening.depth >= DEEPEST or layout_of(level).of_system:
        return level
    if SUBMITTED in units:  # nbgrader's folder, or another of this name
        submitted = [replace(file, section=SUBMITTED) for file in units[SUBMITTED]]
        return submitted + _by_section([file for file in level if file.path_parts[0] != SUBMITTED], opening)
    loose = [file.name for file in level if len(file.path_parts) == 1 and file.name not in units]
    loose = [name for name in loose if not name.lower().endswith(ASIDE)]
    if any(map(opening.is_students, [*units, *loose])) or not all(opening.is_nobodys(stem_of(name)) for name in loose):
        return level
    if len(units) == 1 and not loose and _is_perhaps_own(*next(iter(units.items())), opening):
        return level
    kinds, students = _kinds(units, _shared_names(level) | {opening.usual}, opening)
    others = [*loose, *(unit for unit, kind in kinds.items() if kind is _Kind.REST)]
    if not _are_sections(list(kinds.values()), len(students)) or _are_numbered(others, units):
        return level
    opened = [unit for unit in units if unit not in others]
    inside = [file for unit in opened for file in _section(unit, units[unit], opening)]
    return inside + [file for file in level if file.path_parts[0] not in opened]


def _kinds(
    units: Mapping[str, Sequence[File]], shared: set[str], opening: Opening
) -> tuple[dict[str, _Kind], set[str]]:
    """The kind of each unit, up to the first that is a student's own, and the students with a unit of their own."""
    kinds: dict[str, _Kind] = {}
    students = set[str]()
    for unit, files_of_unit in units.items():
        files = unwrap(_contents(unit, files_of_unit, opening), opening.deeper, unit)
        kinds[unit] = kind = _kind(files, shared, opening)
        if kind is _Kind.OWN and opening.is_nobodys(stem_of(unit)):
            kinds[unit] = _Kind.REST
        elif kind is _Kind.OWN:
            break
        elif kind is _Kind.ONE:
            students |= {stem_of(file.path_parts[0]) for file in files if is_work(file)}
    return kinds, students


def _are_sections(kinds: Sequence[_Kind], students: int) -> bool:
    """Whether the units are sections: one is a class, or each is another student's, and none may be a student's own."""
    classes, lone = kinds.count(_Kind.CLASS), kinds.count(_Kind.LONE)
    several = classes > 0 or students == len(kinds) > 1
    return several and lone <= classes and _Kind.OWN not in kinds


def _are_numbered(others: Iterable[str], units: Iterable[str]) -> bool:
    """Whether a name differs from another one only in numbers, as files of several people do."""

    def words(name: str) -> str:
        return re.sub(r"[\W\d_]+", "", stem_of(name)).lower()

    times = Counter(map(words, {*others, *units}))
    return any(times[words(name)] > 1 for name in others)


def _section(unit: str, files_of_unit: Sequence[File], opening: Opening) -> list[File]:
    """The files of a section, marked with its name."""
    files = unwrap(_contents(unit, files_of_unit, opening, unpack=True), opening.deeper, unit) or files_of_unit
    return [replace(file, section="/".join(filter(None, (unit, file.section)))) for file in files]


def _shared_names(level: Sequence[File]) -> set[str]:
    """Names of notebooks that occur in several folders, so they are the exercise's, not a person's."""
    names = {
        (file.path_parts[0], plain_name(file.name)) for file in level if len(file.path_parts) > 1 and is_work(file)
    }
    times = Counter(name for _, name in names)
    return {name for name, count in times.items() if count > 1}


def _entries(files: Sequence[File]) -> dict[tuple[str, str], File]:
    """Each entry with work, and one of its files."""
    return {(file.section, file.path_parts[0]): file for file in reversed(files) if is_work(file)}


def _kind(files: Sequence[File], shared: set[str], opening: Opening) -> _Kind:
    if _is_systems(files):
        return _Kind.CLASS
    names = {file.path_parts[0] for file in files}
    if sum(map(opening.hints, names)) > 1:
        return _Kind.CLASS
    work = {name: file for (_, name), file in _entries(files).items()}
    called = any(map(opening.is_called, names))
    if not work and not called:  # a student may have submitted another kind of file
        return _Kind.REST if files and all(file.name.lower().endswith(ASIDE) for file in files) else _Kind.OWN
    if all(map(opening.is_called, work)):
        return _Kind.ONE
    loose = {plain_name(file.name) for file in work.values() if len(file.path_parts) == 1}
    if loose & shared or (loose and not called):
        return _Kind.OWN
    return _Kind.LONE if len(work) == 1 else _Kind.PART
