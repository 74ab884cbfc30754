"""Rosters in the formats of all systems, and matching a submission's name with a student."""

from __future__ import annotations

from pathlib import Path

import pytest
from downloads import ROSTER

from grader.batch.students.roster import ClueKind, Roster, read_roster
from grader.errors import GraderError

FORMS = {
    "plain": ROSTER.encode(),
    "bom": b"\xef\xbb\xbf" + ROSTER.encode(),
    "utf16": ROSTER.encode("utf-16"),
    "latin": ROSTER.encode("latin-1"),
    "semicolons": ROSTER.replace(",", ";").encode(),
    "tabs": ROSTER.replace(",", "\t").encode(),
    "crlf": ROSTER.replace("\n", "\r\n").encode(),
}
CANVAS = (
    "Student,ID,SIS User ID,SIS Login ID,Section\n    Points Possible,,,,\n"
    '"Lovelace, Ada",4001,101,ada,"CV 1"\n"Müller, Zoë",4002,103,zoe,"CV 1"\n'
)


def read(data: bytes, tmp_path: Path) -> Roster:
    path = tmp_path / "roster.csv"
    path.write_bytes(data)
    return read_roster(path)


@pytest.mark.parametrize("form", FORMS)
def test_every_usual_form_is_read(form: str, tmp_path: Path) -> None:
    roster = read(FORMS[form], tmp_path)
    assert [(s.id, s.name) for s in roster.students] == [
        ("101", "Ada Lovelace"),
        ("102", "Jean-Luc O'Neil"),
        ("103", "Zoë Müller"),
    ]
    assert roster.students[2].columns["Group"] == "B"


def test_canvas_own_export_is_a_roster(tmp_path: Path) -> None:
    ada, zoe = read(CANVAS.encode(), tmp_path).students
    assert (ada.id, ada.name, ada.columns["ID"]) == ("101", "Ada Lovelace", "4001")
    assert zoe.name == "Zoë Müller"


@pytest.mark.parametrize(
    ("clue", "student"),
    [
        ("101", "101"),
        ("ADA@uni.example", "101"),
        ("ada", "101"),
        ("Lovelace, Ada", "101"),
        ("lovelaceada", "101"),
        ("adalovelace", "101"),
        ("oneil jean luc", "102"),
        ("Zoe Muller", "103"),
        ("müller_zoë", "103"),
        ("nobody", None),
        ("", None),
    ],
)
def test_a_clue_matches_one_student_or_none(clue: str, student: str | None, tmp_path: Path) -> None:
    match = read(ROSTER.encode(), tmp_path).match(clue)
    assert (match.id if match else None) == student


def test_two_students_of_one_name_are_not_guessed(tmp_path: Path) -> None:
    roster = read(b"id,name\n1,Wei Li\n2,Wei Li\n", tmp_path)
    assert roster.match("Wei Li") is None
    assert roster.match("2") is not None


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("id,name\n1,A\n1,B\n", "line 3: expected a new id, got '1' again, which is in line 2"),
        ("colour,size\nred,1\n", "expected a column with an id"),
        ("\n\n", "expected a row of headings"),
    ],
)
def test_a_wrong_roster_is_refused(text: str, says: str, tmp_path: Path) -> None:
    with pytest.raises(GraderError, match=says) as error:
        read(text.encode(), tmp_path)
    assert "\n" not in str(error.value)


LANGUAGES = {
    "German, Moodle's participants": "Vorname,Nachname,E-Mail-Adresse,Gruppen\nZoë,Müller,zoe@u.example,Team 4\n",
    "German, a list": "Name;Vorname;Matrikelnummer;Gruppe\nMüller;Zoë;103;Team 4\n",
    "German, a worksheet": (
        "ID,Vollständiger Name,E-Mail-Adresse,Status,Gruppe,Bewertung,Bestwertung\n"
        'Teilnehmer/in4002,Zoë Müller,zoe@u.example,Zur Bewertung abgegeben,Team 4,,"100,00"\n'
    ),
    "French": "Prénom,Nom,Numéro d’identification,Adresse de courriel,Groupe\nZoë,Müller,103,zoe@u.example,Team 4\n",
    "French, a worksheet": (
        "Identifiant,Nom complet,Adresse de courriel,Groupe,Note\nParticipant4002,Zoë Müller,zoe@u.example,Team 4,\n"
    ),
    "Spanish": ("Nombre,Apellido(s),Número de ID,Dirección de correo,Equipo\nZoë,Müller,103,zoe@u.example,Team 4\n"),
    "Italian": "Cognome,Nome,Matricola,Indirizzo email,Gruppo\nMüller,Zoë,103,zoe@u.example,Team 4\n",
}


@pytest.mark.parametrize("language", LANGUAGES)
def test_headings_are_understood_in_the_languages_of_courses(language: str, tmp_path: Path) -> None:
    roster = read(LANGUAGES[language].encode(), tmp_path)
    (zoe,) = roster.students
    assert zoe.name == "Zoë Müller"
    assert zoe.id in {"103", "zoe@u.example"}
    assert roster.team("team 4") == (zoe,)
    expected = frozenset({zoe.id}) if "worksheet" in language else frozenset()
    assert roster.ids_named(ClueKind.PARTICIPANT, "4002") == expected


def test_a_column_of_ids_is_not_read_as_participants_numbers(tmp_path: Path) -> None:
    roster = read(b"ID,Name\n4002,Zoe\n", tmp_path)
    assert roster.students[0].id == "4002"
    assert not roster.ids_named(ClueKind.PARTICIPANT, "4002")


def test_canvas_s_test_student_is_skipped_and_names_match_without_accents(tmp_path: Path) -> None:
    roster = read((CANVAS + '"Student, Test",4009,,,"CV 1"\n').encode(), tmp_path)
    assert [student.name for student in roster.students] == ["Ada Lovelace", "Zoë Müller"]
    assert roster.match("Zoe Mueller") == roster.students[1]
