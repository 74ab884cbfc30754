"""The students of a course, from a CSV in whatever form a course's systems write it."""

from __future__ import annotations

import codecs
import csv
import io
import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from grader.batch.records import Student
from grader.bounded import Unreadable, file_bytes
from grader.errors import GraderError
from grader.notebook.format import one_line

MAX_BYTES = 20_000_000
MAX_CELL = 2000  # characters
# Headings in order of preference, folded: what a gradebook's own export calls the same thing.
ID = ("sisuserid", "studentid", "sid", "idnumber", "username", "sisloginid", "netid", "user", "login", "id")
NAME = ("student", "fullname", "name", "studentname", "displayname")
FIRST = ("firstname", "givenname", "forename", "first")
LAST = ("lastname", "surname", "familyname", "last")
EMAIL = ("email", "emailaddress", "mail")


@dataclass(frozen=True)
class Roster:
    """The students, and by what a submission may name them."""

    students: tuple[Student, ...]

    def match(self, *clues: str) -> Student | None:
        """The one student whom the first telling clue names: an id, a login, an address or a name in either order.

        None where nobody, or more than one, is meant.
        """
        for clue in clues:
            for known in (_exact, _names):
                found = {s.id: s for s in self.students if clue and folded(clue) in known(s)}
                if len(found) == 1:
                    return next(iter(found.values()))
                if found:
                    return None
        return None


def folded(text: str) -> str:
    """The text without case, accents, punctuation and space; other scripts stay as they are.

    >>> folded("O'Néil, Jean-Luc")
    'oneiljeanluc'
    """
    plain = unicodedata.normalize("NFKD", text)
    return "".join(c for c in plain.casefold() if c.isalnum())


def _exact(student: Student) -> set[str]:
    columns = {folded(heading): value for heading, value in student.columns.items()}
    logins = [columns.get(name, "") for name in ID]
    address = student.email
    return {folded(text) for text in (student.id, address, address.partition("@")[0], *logins)} - {""}


def _names(student: Student) -> set[str]:
    words = re.findall(r"[^\s,]+", student.name)
    turned = [words[-1:] + words[:-1], words[1:] + words[:1]]
    return {folded(student.name), *(folded("".join(order)) for order in turned)} - {""}


def read_roster(path: Path) -> Roster:
    """The students of a CSV with a row of headings, among them an id, a login or an address.

    Separators `,` `;` and tab, UTF-8, UTF-16 and Latin-1 are understood; all columns are kept.

    Raises:
        GraderError: one line: no such file, no usable headings, or two students with one id.
    """
    shown = one_line(str(path), 120)
    try:
        text = _decoded(file_bytes(path, MAX_BYTES))
    except Unreadable as reason:
        raise GraderError(f"{shown}: {reason}") from None
    first = next((line for line in text.splitlines() if line.strip()), "")
    separator = max(",;\t", key=first.count)
    rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=separator))
    if not rows or not any(cell.strip() for cell in rows[0]):
        raise GraderError(f"{shown}: expected a row of headings and a row a student, found nothing")
    headings = [one_line(cell.strip(), 100) for cell in rows[0]]
    known = {folded(heading): number for number, heading in reversed(list(enumerate(headings)))}
    told = one_line(", ".join(headings), 200)
    if not any(name in known for name in (*ID, *EMAIL)):
        raise GraderError(f"{shown}: expected a heading for an id, a login or an email address, got {told}")
    return Roster(tuple(_students(shown, headings, known, rows[1:])))


def _students(
    shown: str, headings: list[str], known: Mapping[str, int], rows: Iterable[list[str]]
) -> Iterable[Student]:
    seen: dict[str, int] = {}
    for line, row in enumerate(rows, 2):
        cells = [one_line(cell.strip(), MAX_CELL) for cell in row]

        def cell(names: Iterable[str], cells: list[str] = cells) -> str:
            found = (cells[known[name]] for name in names if name in known and known[name] < len(cells))
            return next(filter(None, found), "")

        email = cell(EMAIL)
        identity = cell(ID) or email
        name = cell(NAME) or " ".join(filter(None, (cell(FIRST), cell(LAST))))
        if not identity or "points possible" in " ".join(cells).casefold():  # Canvas's second row is none of a student
            continue
        if identity in seen:
            raise GraderError(
                f"{shown}: line {line}: the id {one_line(identity, 60)!r} stands in line {seen[identity]} already; "
                "each student needs one of their own"
            )
        seen[identity] = line
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
