"""Matches each submission of a download with a student of the roster, and leaves it unmatched in case of doubt.

A submission under the wrong student's name is worse than one under no name. A number is therefore compared only with
its own column, a submission whose name and number disagree stays unmatched, and so do two submissions that seem to
belong to the same student.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from grader.batch.class_records import Student
from grader.batch.students.course_words import COPY_OF, folded
from grader.batch.students.files import composed
from grader.batch.students.layouts import Clue, Owner, stem_of
from grader.batch.students.roster import ClueKind, Roster, exact, name_words, participant_word, spelled

SHORTEST = 3  # characters of a piece of a file's name that may name a student
MOST_WORDS = 12  # words of a file's name that are read, and parts of a hyphenated name
# Words that people add to file names, and that are not names of people.
NO_NAMES = {"final", "finished", "done", "draft", "version", "solution", "solutions", "solved", "submission", "new"}
NO_NAMES |= {"homework", "assignment", "exercise", "project", "lab", "hw", "ex", "task", "notebook", "copy", "of", "my"}
NO_NAMES |= {"fixed", "late", "resubmission", "corrected", "updated", "the", "and", "student", "id", "abgabe", "kopie"}
NO_NAMES |= {"template", "reference", "sample", "example", "instructions", "lösung", "loesung", "musterlösung"}
NO_NAMES |= {"sheet", "slides", "feedback", "data", "rubric", "grades", "readme"}
# A number behind one of these words is probably not a student id.
COUNTED = {
    "lab",
    "group",
    "gruppe",
    "groupe",
    "grupo",
    "gruppo",
    "team",
    "section",
    "room",
    "hw",
    "homework",
    "ex",
    "part",
}
COUNTED |= {"exercise", "assignment", "task", "week", "version", "v", "project", "sheet", "no", "nr", "year", "part"}
ALSO_A_NAME = "the word is the login of one student and part of another student's name"
_COPY_OF = re.compile(rf"(?<![^\W_]){COPY_OF}(?![^\W_])", re.IGNORECASE)
_STRONG = {ClueKind.NUMBER, ClueKind.LOGIN, ClueKind.EMAIL}  # these identify a student, whatever the name


@dataclass(frozen=True, slots=True)
class StudentMatch:
    """The student whom an owner's clues name."""

    student: Student | None = None
    sure: bool = False  # matched by a number, login or address, which are unique
    doubt: str = ""  # why it stays unmatched although something fits, or what to check
    by: str = ""  # by what it was matched: "student id and name"
    team: tuple[Student, ...] = ()  # the other members, if the name is a team's


def matches(
    owners: Mapping[str, Owner], work: Collection[str], roster: Roster, exercise: Iterable[str]
) -> dict[str, StudentMatch]:
    """Each owner's match by the owner's id; `work` are owners with notebooks, `exercise` the usual notebook names."""
    usual = {word for name in exercise for word in _words(name)}
    common = _shared(owners.values(), roster) | usual | NO_NAMES
    match_of = {key: _match(owner, roster, common, usual) for key, owner in owners.items()}
    claims: dict[str, list[str]] = {}
    for key, match in match_of.items():
        if match.student:
            claims.setdefault(match.student.id, []).append(key)
    for keys in claims.values():
        for key in _rivals(keys, owners, match_of, work):
            match_of[key] = StudentMatch(doubt=f"{len(keys)} submissions could be this student's")
    ids_alone = {match.student.id for match in match_of.values() if match.student}
    for key, owner in owners.items():
        if owner.text and len(folded(owner.text)) < SHORTEST:
            continue  # a folder "A" may mean anything
        if not match_of[key].student and (members := roster.team(owner.text or owner.name)):
            match_of[key] = _of_team(members, ids_alone)
    return match_of


def _of_team(members: Sequence[Student], alone: Collection[str]) -> StudentMatch:
    """The team, without members who also submitted alone."""
    rest = [student for student in members if student.id not in alone]
    others = ", ".join(student.name or student.id for student in members if student.id in alone)
    if not rest:
        return StudentMatch(doubt="all members of this team submitted alone")
    return StudentMatch(rest[0], True, f"also submitted alone: {others}" if others else "", "team", tuple(rest[1:]))


def match_name(text: str, roster: Roster | None, exercise: Iterable[str]) -> StudentMatch:
    """Matches a name given by a person, by this name alone."""
    usual = {word for name in exercise for word in _words(name)}
    return _by_words(text, roster, usual | NO_NAMES, usual) if roster else StudentMatch()


def is_nobodys(text: str, exercise: Iterable[str]) -> bool:
    """Whether nothing in a file's name can be a person's name or number, as in vae_mnist_solution_2."""
    usual = {word for name in exercise for word in _words(name)}
    return all(len(word) < SHORTEST if word.isdigit() else word in usual | NO_NAMES for word in _words(text))


def _rivals(
    keys: Sequence[str], owners: Mapping[str, Owner], match_of: Mapping[str, StudentMatch], work: Collection[str]
) -> list[str]:
    """The owners who match a student only by name while another owner matches the same student."""
    unsure = [key for key in keys if not match_of[key].sure]
    numbers = {owners[key].number for key in keys if owners[key].number}
    if len(keys) == 1 or (len(numbers) < 2 and sum(key in work for key in keys) < 2):
        return []  # one person; an owner without a notebook is not a rival
    return unsure


def _match(owner: Owner, roster: Roster, common: Collection[str], usual: Collection[str]) -> StudentMatch:
    if owner.text:
        return _by_words(owner.text, roster, common, usual)
    match = _by_clues(owner.clues, roster)
    others = _all(roster, (ClueKind.NAME,), _runs(_words(owner.before))) - {match.student.id if match.student else ""}
    if match.student and others:
        return StudentMatch(doubt="another student's name comes first in the file's name")
    return match


def _by_clues(clues: Sequence[Clue], roster: Roster) -> StudentMatch:
    """Matches a system's clues: numbers and addresses, each in its own column, and a name that must agree."""
    ids_of_clues = [(clue, roster.ids_named(clue.kind, clue.text)) for clue in clues if clue.text]
    name = next((clue.text for clue in clues if clue.kind is ClueKind.NAME), "")
    name_ids = next((ids for clue, ids in ids_of_clues if clue.kind is ClueKind.NAME), frozenset())
    if not name_ids and any(clue.kind is ClueKind.PARTICIPANT for clue in clues):  # Moodle's
        name_ids = _behind_a_group(name, roster)
    number_ids = [(clue.kind, ids) for clue, ids in ids_of_clues if clue.kind is not ClueKind.NAME and ids]
    if number_ids:
        ids_meant = frozenset.intersection(*(ids for _, ids in number_ids))
        if len(ids_meant) != 1:
            return StudentMatch(doubt="its numbers and addresses belong to different students")
        (student_id,) = ids_meant
        student = roster.by_id[student_id]
        strong = any(kind in _STRONG for kind, _ in number_ids)
        agrees = student_id in name_ids if name_ids else strong or _alike(name, student)
        by = _enumeration([kind for kind, _ in number_ids] + ([ClueKind.NAME] if student_id in name_ids else []))
        doubt = "its number belongs to a student of another name"
        return StudentMatch(student, sure=True, by=by) if agrees else StudentMatch(doubt=doubt)
    if len(name_ids) > 1:
        return StudentMatch(doubt=f"{len(name_ids)} students have this name")
    if not name_ids:
        return StudentMatch()
    (student_id,) = name_ids
    if any(
        roster.has(clue.kind, student_id)
        for clue, ids in ids_of_clues
        if not ids and clue.kind not in (ClueKind.EMAIL, ClueKind.NAME)
    ):
        return StudentMatch(doubt="its name belongs to a student with another number")
    return StudentMatch(roster.by_id[student_id], by=_enumeration([ClueKind.NAME]))


def _behind_a_group(name: str, roster: Roster) -> frozenset[str]:
    """The students named in "Rings-Emmy Noether", as Moodle named folders of groups before 4.1."""
    return next((ids for end in _behind([name]) if (ids := roster.ids_named(ClueKind.NAME, end))), frozenset())


def _enumeration(kinds: Iterable[ClueKind]) -> str:
    """ "student id, email address and name"."""
    *first, last = dict.fromkeys(map(str, kinds))
    return f"{', '.join(first)} and {last}" if first else last


def _alike(name: str, student: Student) -> bool:
    """Whether the name may be another form of the student's, or a placeholder, as in blind marking."""
    for text in (folded(name), folded(spelled(name))):
        full = [folded(way) for way in (student.name, spelled(student.name))]
        words = [[folded(way(word)) for word in student.name.split()] for way in (str, spelled)]
        if not text or text == participant_word(student) or any(len(text) >= SHORTEST and text in one for one in full):
            return True
        if any(each and all(word in text for word in each) for each in words):
            return True
    return False


def _by_words(text: str, roster: Roster, common: Collection[str], usual: Collection[str]) -> StudentMatch:
    """Matches a name given by a person: an id, login, address or name, as a whole or among other words."""
    kinds = (ClueKind.NUMBER, ClueKind.LOGIN, ClueKind.EMAIL, ClueKind.NAME)
    ids_of_kind = {kind: roster.ids_named(kind, text) for kind in kinds}
    if whole_ids := frozenset[str]().union(*ids_of_kind.values()):
        sure = any(ids_of_kind[kind] for kind in _STRONG)
        student_of_whole = roster.by_id[next(iter(whole_ids))]
        if len(whole_ids) > 1:
            return StudentMatch(doubt=f"{len(whole_ids)} students could be meant")
        by_login_alone = not any(ids_of_kind[kind] for kind in kinds if kind is not ClueKind.LOGIN)
        by = _enumeration(kind for kind in kinds if ids_of_kind[kind])
        in_a_name = by_login_alone and _names_another(text, student_of_whole, roster)
        return StudentMatch(doubt=ALSO_A_NAME) if in_a_name else StudentMatch(student_of_whole, sure, by=by)
    words, text = _words(text), _without_copy(text)
    parts = re.split(r"[_\s,;()\[\]+]+", text)
    pieces = {piece for piece in (*parts, *_behind(parts), *words) if len(piece) >= SHORTEST}
    numbers = [piece for piece in pieces if any(c.isdigit() for c in piece) or "@" in piece]
    logins = [piece for piece in pieces if piece not in numbers and exact(piece) not in usual]
    by_number = _all(roster, (ClueKind.NUMBER, ClueKind.LOGIN, ClueKind.EMAIL), numbers)
    by_login = _all(roster, (ClueKind.NUMBER, ClueKind.LOGIN), logins)
    by_name = _all(roster, (ClueKind.NAME,), _runs(words))
    ids_meant = by_number | by_name or by_login
    if len(ids_meant) != 1:
        return StudentMatch(doubt=f"{len(ids_meant)} students could be meant") if ids_meant else StudentMatch()
    student = roster.by_id[next(iter(ids_meant))]
    if not (by_number or by_name) and any(_names_another(word, student, roster) for word in words):
        return StudentMatch(doubt=ALSO_A_NAME)
    rest = _other_words(words, student, roster, usual)
    if any(_is_of_another(word, student, roster) for word in rest):
        return StudentMatch(doubt="its words and numbers belong to different students")
    has_name = by_name or any(folded(word) in name_words(student) for word in words)
    if by_number and not has_name and _may_be_no_id(words, student, roster):
        return StudentMatch(doubt="its number may not be a student's")
    unknown = [word for word in rest if word.isalpha() and word not in common and (len(word) > 1 or not word.isascii())]
    head = _words(text.partition(" - ")[0]) if " - " in text else []
    if unknown and (not by_number or _are_anothers(head, unknown, student, roster)):
        return StudentMatch(doubt="words beside the name could belong to another person")
    agrees = not unknown or has_name
    texts = {
        ClueKind.NUMBER: numbers,
        ClueKind.LOGIN: [*numbers, *logins],
        ClueKind.EMAIL: numbers,
        ClueKind.NAME: _runs(words),
    }
    by = _enumeration(kind for kind in kinds if student.id in _all(roster, [kind], texts[kind]))
    doubt = "" if agrees else "matched by the number alone"
    return StudentMatch(student, bool(by_number) or student.id in by_login, doubt, by)


def _are_anothers(head: Sequence[str], unknown: Sequence[str], student: Student, roster: Roster) -> bool:
    """Whether the words before " - " name another person: in "Mal M - 101 Ada.ipynb", Mal typed the rest."""
    own = name_words(student)
    is_own = any(folded(word) in own or student.id in _all(roster, _STRONG, [word]) for word in head)
    return not is_own and any(word in unknown for word in head)


def _behind(parts: Iterable[str]) -> list[str]:
    """The text after each hyphen: mnist-ada-l, ada-l and l of vae-mnist-ada-l, a name of GitHub Classroom."""
    return [part.split("-", n)[n] for part in parts for n in range(1, min(part.count("-"), MOST_WORDS) + 1)]


def _may_be_no_id(words: Sequence[str], student: Student, roster: Roster) -> bool:
    """Whether the number may not be an id: beside another number (2024-101), or after a counting word (Lab 103)."""
    is_own = [student.id in _all(roster, _STRONG, [word]) for word in words]
    others = [word for word, is_id in zip(words, is_own, strict=True) if not is_id and len(word) >= SHORTEST]
    counted = [is_own[at] and at > 0 and words[at - 1] in COUNTED for at in range(len(words))]
    return any(word.isdigit() for word in others) or any(counted)


def _without_copy(text: str) -> str:
    """The text without "Kopie von", whose words alone may be parts of names: Wernher von Braun."""
    return _COPY_OF.sub(" ", composed(text))


def _words(text: str) -> list[str]:
    stem = re.sub(r"\.ipynb$", "", _without_copy(text), flags=re.IGNORECASE)
    return [exact(word) for word in re.findall(r"[^\W_]+", stem)[:MOST_WORDS]]


def _runs(words: Sequence[str]) -> list[str]:
    """All runs of neighbouring words, joined."""
    ends = [(first, last) for first in range(len(words)) for last in range(first + 1, len(words) + 1)]
    runs = ["".join(words[first:last]) for first, last in ends]
    return [run for run in runs if len(run) >= SHORTEST]


def _all(roster: Roster, kinds: Iterable[ClueKind], texts: Collection[str]) -> frozenset[str]:
    return frozenset[str]().union(*(roster.ids_named(kind, text) for kind in kinds for text in texts))


def _other_words(words: Sequence[str], student: Student, roster: Roster, usual: Collection[str]) -> list[str]:
    """The words that are neither the exercise's nor the student's."""
    own_words = name_words(student)
    return [
        word
        for word in words
        if word not in usual and not own_words & {folded(word), folded(spelled(word))}
        if student.id not in _all(roster, _STRONG, [word])
    ]


def _names_another(word: str, student: Student, roster: Roster) -> bool:
    """Whether the word is in another student's name."""
    return bool(roster.words.get(folded(word), frozenset()) - {student.id})


def _is_of_another(word: str, student: Student, roster: Roster) -> bool:
    students_of_name = (roster.words.get(key, frozenset()) for key in (folded(word), folded(spelled(word))))
    return bool(_all(roster, (ClueKind.LOGIN,), [word]).union(*students_of_name) - {student.id})


def _shared(owners: Iterable[Owner], roster: Roster) -> set[str]:
    """Words that occur beside the numbers or full names of different students, so they name none of them."""
    students_of_word: dict[str, set[str]] = {}
    for owner in owners:
        words = _words(owner.text)
        ids = _all(roster, (ClueKind.NUMBER, ClueKind.EMAIL), words) | _all(roster, (ClueKind.NAME,), _runs(words))
        ids |= _all(roster, (ClueKind.LOGIN,), _behind([stem_of(owner.text)]))
        for word in words if len(ids) == 1 else ():
            students_of_word.setdefault(word, set()).update(ids)
    return {word for word, students in students_of_word.items() if len(students) > 1}
