"""The students of a course, from a CSV as any course system writes it, and the names and numbers of each.

A number is compared only with its own column: Moodle's participant number, Canvas's user id and a student id are
different things, and the same digits may belong to three students.
"""

from __future__ import annotations

import codecs
import csv
import io
import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from functools import cached_property
from itertools import zip_longest
from pathlib import Path

from grader.batch.class_records import Student
from grader.batch.students.course_words import folded, key_of, when_of
from grader.errors import GraderError, one_line, short_path
from grader.store.bounded import Unreadable, file_bytes

MAX_BYTES = 20_000_000
MAX_CELL = 2000  # characters
# Headings in order of preference, as `key_of` returns them.
ID = ("sisuserid", "studentid", "sid", "idnumber", "username", "sisloginid", "netid", "user", "login", "id")
NAME = ("student", "name")
NUMBERS = ("sisuserid", "studentid", "sid", "idnumber", "id")
LOGINS = ("username", "sisloginid", "netid", "user", "login", "githubusername")
LARGEST_TEAM = 12  # a group of more is a section of the course
OF_CANVAS = {"id", "sisloginid"}  # in Canvas's exported gradebook, `ID` is Canvas's own number of the user
OUT_OF = {"maxpoints", "maximumgrade"}  # columns of Gradescope and Moodle, for one assignment
SUBMITTED_AT = ("lastmodifiedsubmission", "submissiontime", "submissiondate")  # Moodle's, Gradescope's, Sakai's
OUT_OF_GRADESCOPE = " - Max Points"  # in its gradebook of a course, after an assignment's name
OUT_OF_ROW = "points possible"  # Canvas's second or third row
# "Participant 4002" in Moodle's grading worksheet, its only name in blind marking; an id in GitHub Classroom's roster.
PARTICIPANT = "identifier"
# Spellings of these letters in systems that allow only a to z.
_SPELLED = str.maketrans(
    {"ä": "ae", "ö": "oe", "ü": "ue", "ø": "oe", "å": "aa", "æ": "ae", "œ": "oe", "đ": "d", "ł": "l"}
)


class ClueKind(StrEnum):
    """The kind of a name or number, which decides with which roster column it is compared."""

    NUMBER = "student id"
    LOGIN = "login"
    EMAIL = "email address"
    NAME = "name"
    CANVAS = "Canvas's user id"
    PARTICIPANT = "Moodle's participant number"


@dataclass(frozen=True)
class Roster:
    """The students, and the names and numbers by which a submission may be matched."""

    students: tuple[Student, ...]
    out_of: Mapping[str, str] = field(default_factory=dict)  # a column of points -> its maximum, as written

    def ids_named(self, kind: ClueKind, text: str) -> frozenset[str]:
        """The ids of all students whom the text names in the columns of this kind."""
        key = folded(text) if kind is ClueKind.NAME else exact(text)
        return self._index[kind].get(key, frozenset())

    def has(self, kind: ClueKind, student: str) -> bool:
        """Whether the roster has this kind of number for the student."""
        return any(student in students for students in self._index[kind].values())

    def match(self, clue: str) -> Student | None:
        """The student whom the whole clue names: an id, login, address, or name in either order.

        None if it names no student, or several.
        """
        kinds = (ClueKind.NUMBER, ClueKind.LOGIN, ClueKind.EMAIL, ClueKind.NAME)
        ids = frozenset[str]().union(*(self.ids_named(kind, clue) for kind in kinds))
        return self.by_id[next(iter(ids))] if len(ids) == 1 else None

    def team(self, name: str) -> tuple[Student, ...]:
        """The members of the team with this name, in the roster's order; empty if there is no such team."""
        return self._teams.get(folded(name), ())

    @cached_property
    def _teams(self) -> dict[str, tuple[Student, ...]]:
        members_of: dict[str, list[Student]] = defaultdict(list)
        for student in self.students:
            for heading, value in student.columns.items():
                names = map(folded, re.split("[,;]", value) if key_of(heading) == "team" else [])
                for way in {way for name in names if name for way in (name, folded(heading) + name)}:
                    members_of[way].append(student)  # in the column "Team", 4 is also "Team 4"
        return {name: tuple(members) for name, members in members_of.items() if len(members) <= LARGEST_TEAM}

    @cached_property
    def by_id(self) -> dict[str, Student]:
        """The students by id."""
        return {student.id: student for student in self.students}

    @cached_property
    def words(self) -> dict[str, frozenset[str]]:
        """Each word of a name, with the ids of the students whose name contains it."""
        ids_of: dict[str, set[str]] = defaultdict(set)
        for student in self.students:
            for word in name_words(student):
                if len(word) > 1 or not word.isascii():
                    ids_of[word].add(student.id)
        return {word: frozenset(ids) for word, ids in ids_of.items()}

    @cached_property
    def _index(self) -> dict[ClueKind, dict[str, frozenset[str]]]:
        ids_of: dict[ClueKind, dict[str, set[str]]] = {kind: defaultdict(set) for kind in ClueKind}
        for student in self.students:
            for kind, key in _keys(student):
                if key:
                    ids_of[kind][key].add(student.id)
        return {kind: {key: frozenset(ids) for key, ids in keys.items()} for kind, keys in ids_of.items()}


def submitted_at(student: Student) -> datetime | None:
    """The time of submission, if the roster is a Moodle worksheet, or the grades of Gradescope or Sakai."""
    columns = _columns(student)
    return next((when for name in SUBMITTED_AT if (when := when_of(columns.get(name, "")))), None)


def exact(text: str) -> str:
    """An id, login or address in the form for comparison: case does not matter."""
    return unicodedata.normalize("NFKC", text).casefold().strip()


def spelled(text: str) -> str:
    """The name in the spelling without accents: mueller for Müller."""
    return unicodedata.normalize("NFC", text).casefold().translate(_SPELLED)


def name_words(student: Student) -> frozenset[str]:
    """Each word of the student's name, folded, in both spellings."""
    words = [*re.findall(r"[^\s,]+", student.name), *re.findall(r"[^\W_]+", student.name)]
    return frozenset(folded(way) for word in words for way in (word, spelled(word))) - {""}


def participant_word(student: Student) -> str:
    """ "Participant" in the language of Moodle's worksheet, which replaces the name in blind marking."""
    return folded(re.sub(r"\d+\s*$", "", _columns(student).get(PARTICIPANT, "")))


def _columns(student: Student) -> dict[str, str]:
    return {key_of(heading, value): value for heading, value in reversed(list(student.columns.items()))}


def _keys(student: Student) -> Iterator[tuple[ClueKind, str]]:
    columns = _columns(student)
    of_canvas = columns.keys() >= OF_CANVAS
    numbers = [columns.get(name, "") for name in NUMBERS if name != "id" or not of_canvas]
    logins = [columns.get(name, "") for name in LOGINS] + [student.email.partition("@")[0]]
    if student.id not in {*columns.values(), student.email}:
        numbers.append(student.id)
    for kind, texts in ((ClueKind.NUMBER, numbers), (ClueKind.LOGIN, logins), (ClueKind.EMAIL, [student.email])):
        yield from ((kind, key) for text in texts for key in (exact(text), folded(text)))
    if of_canvas:
        yield ClueKind.CANVAS, exact(columns["id"])
    if number := re.search(r"\d+\s*$", columns.get(PARTICIPANT, "")):
        yield ClueKind.PARTICIPANT, exact(number.group())
    for name in dict.fromkeys((student.name, spelled(student.name))):
        words = re.findall(r"[^\s,]+", name)
        for turn in range(max(len(words), 1)):
            yield ClueKind.NAME, folded("".join(words[turn:] + words[:turn]))


def read_roster(path: Path) -> Roster:
    """The students of a CSV with a row of headings, including an id, login or address.

    Accepts the separators `,` `;` and tab, and UTF-8, UTF-16 and Latin-1; keeps all columns.

    Raises:
        GraderError: one line: no such file, no usable headings, or two students with the same id.
    """
    path_text = short_path(path)
    try:
        text = _decoded(file_bytes(path, MAX_BYTES))
    except Unreadable as reason:
        raise GraderError(f"{path_text}: {reason}") from None
    first = next((line for line in text.splitlines() if line.strip()), "")
    separator = max(",;\t", key=first.count)
    rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=separator))
    if not rows or not any(cell.strip() for cell in rows[0]):
        raise GraderError(f"{path_text}: expected a row of headings and a row per student, found nothing")
    headings = [one_line(cell.strip(), 100) for cell in rows[0]]
    values = next((row for row in rows[1:] if any(row)), [])
    keys = [key_of(heading, value) for heading, value in zip_longest(headings, values[: len(headings)], fillvalue="")]
    column_of = {key: number for number, key in reversed(list(enumerate(keys)))}
    heading_text = one_line(", ".join(headings), 200)
    if not any(name in column_of for name in (*ID, "email", PARTICIPANT)):
        raise GraderError(f"{path_text}: expected a column with an id, login or email address, got {heading_text}")
    return Roster(tuple(_students(path_text, headings, column_of, rows[1:])), _out_of(headings, keys, rows[1:]))


def _out_of(headings: Sequence[str], keys: Sequence[str], rows: Sequence[Sequence[str]]) -> dict[str, str]:
    """The maximum points, from Canvas's row, or columns of Gradescope and Moodle."""
    out_of = {}
    if possible := next((row for row in rows[:3] if row and OUT_OF_ROW in row[0].casefold()), None):
        out_of = {heading: points.strip() for heading, points in zip(headings, possible, strict=False)}
    filled = next((row for row in rows if any(row)), [])
    for heading, key, points in zip(headings, keys, filled, strict=False):
        if key in OUT_OF:
            out_of[heading] = points.strip()
        elif heading.endswith(OUT_OF_GRADESCOPE):
            out_of[heading.removesuffix(OUT_OF_GRADESCOPE)] = points.strip()
    return out_of


def _students(
    path_text: str, headings: list[str], column_of: Mapping[str, int], rows: Iterable[list[str]]
) -> Iterable[Student]:
    line_of: dict[str, int] = {}
    for line, row in enumerate(rows, 2):
        cells = [one_line(cell.strip(), MAX_CELL) for cell in row]

        def cell(names: Iterable[str], cells: list[str] = cells) -> str:
            values = (cells[column_of[name]] for name in names if name in column_of and column_of[name] < len(cells))
            return next(filter(None, values), "")

        email = cell(["email"])
        identity = cell(ID) or email or cell([PARTICIPANT])
        first, last = cell(["firstname"]), cell(["lastname"])
        name = cell(NAME) or " ".join(filter(None, (first, last)))
        if first and not last and folded(first) not in folded(name):  # a list with the columns "Name" and "Vorname"
            name = f"{first} {name}"
        if column_of.keys() >= OF_CANVAS and name == "Student, Test":  # Canvas's test student
            continue
        if not identity or OUT_OF_ROW in " ".join(cells).casefold():  # Canvas's second row is not a student
            continue
        if identity in line_of:
            raise GraderError(
                f"{path_text}: line {line}: expected a new id, got {one_line(identity, 60)!r} again, which is in line "
                f"{line_of[identity]}; remove one of the two rows, or give each student a different id"
            )
        line_of[identity] = line
        yield Student(identity, _in_order(name), email, dict(zip(headings, cells, strict=False)))


def _in_order(name: str) -> str:
    """ "Last, First" as "First Last"."""
    last, comma, first = name.partition(",")
    return f"{first.strip()} {last.strip()}" if comma and first.strip() else name


def _decoded(data: bytes) -> str:
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return data.decode("utf-16", errors="replace")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("latin-1")
