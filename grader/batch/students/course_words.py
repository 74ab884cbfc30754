"""Column headings and dates as course systems write them, in five languages.

The headings come from Moodle's language packs for its gradebook, participants and grading worksheet (assign.php and
moodle.php in German, French, Spanish and Italian), and from lists that people write by hand.
"""

from __future__ import annotations

import re
import unicodedata
from datetime import UTC, datetime, timedelta, timezone

# What programs write before the name of a copied file, "Copy of vae.ipynb"; a part of a pattern.
COPY_OF = r"(?:copy|kopie|copie|c[oó]pia|kopia|kopi)[ _](?:of|von|van|de|di|av|af)"

_SAME: dict[str, str] = {
    # English key: synonyms, as `folded` returns them
    "studentid": "studentnumber matrikelnummer matrikelnr matrnr numeroetudiant numerodetudiant matricule"
    " numerodematricula matricula numerodematriculas numerodimatricola matricola numerodestudiante",
    "idnumber": "idnummer numerodidentification numerodeid numerodeidentificacion codiceidentificativo numeroid",
    "username": "anmeldename benutzername loginname nomdutilisateur identifiant nombredeusuario usuario nomeutente",
    "name": "fullname vollstandigername nomcomplet nombrecompleto nomecompleto nomeecognome nombreyapellidos"
    " studentname displayname teilnehmername",
    "firstname": "givenname forename first vorname vornamen prenom prenoms nombre nombres nome",
    "lastname": "surname familyname last nachname familienname nom nomdefamille apellido apellidos cognome",
    "email": "emailaddress mail emailadresse adressedecourriel courriel adresseemail adressemail adresseelectronique"
    " direccionemail direcciondecorreo correoelectronico correo indirizzoemail indirizzodiposta postaelettronica",
    "team": "teams teamname group groups groupname gruppe gruppen gruppenname groupe groupes equipe equipes equipo"
    " equipos grupo grupos gruppo gruppi squadra",
    "identifier": "identificador identificativo kennung",
    "grade": "bewertung note calificacion valutazione",
    "maximumgrade": "bestwertung notemaximale calificacionmaxima valutazionemassima",
    "lastmodifiedgrade": "zuletztgeandertbewertung dernieremodificationnote ultimamodificacioncalificacion"
    " ultimamodificavalutazione",
    "lastmodifiedsubmission": "zuletztgeandertabgabe dernieremodificationtravailremis ultimamodificacionentrega"
    " ultimamodificacionenvio ultimamodificaconsegna",
    "feedbackcomments": "feedbackalskommentar feedbackparcommentaires comentariosderetroalimentacion commenti",
}
_KEYS = {word: key for key, words in _SAME.items() for word in words.split()}
# Headings of Moodle's participant number, with values such as "Participant 4002", "Teilnehmer/in4002".
_IDENTIFIERS = {"id", "identifier", "username"}
_PARTICIPANT = re.compile(r"(?:participant|teilnehmer|partecipante)\w*?\d+")


def folded(text: str) -> str:
    """The text without case, accents, punctuation and spaces; other scripts stay unchanged.

    >>> folded("O'Néil, Jean-Luc")
    'oneiljeanluc'
    """
    plain = unicodedata.normalize("NFKD", text)
    return "".join(c for c in plain.casefold() if c.isalnum())


def key_of(heading: str, value: str = "") -> str:
    """The English key of the heading; a value of the column tells Moodle's participant numbers from other ids.

    >>> key_of("Dirección de correo"), key_of("ID", "Teilnehmer/in4002"), key_of("ID", "4002")
    ('email', 'identifier', 'id')
    """
    word = folded(heading)
    key = _KEYS.get(word, word)
    return "identifier" if key in _IDENTIFIERS and _PARTICIPANT.fullmatch(folded(value)) else key


_MONTHS = (
    "january januar janvier enero gennaio",
    "february februar fevrier febrero febbraio",
    "march marz mars marzo",
    "april avril abril aprile",
    "may mai mayo maggio",
    "june juni juin junio giugno",
    "july juli juillet julio luglio",
    "august aout agosto",
    "september septembre septiembre settembre",
    "october oktober octobre octubre ottobre",
    "november novembre noviembre",
    "december dezember decembre diciembre dicembre",
)
_ISO = re.compile(
    r"(?P<year>\d{4})-(?P<month>\d\d)-(?P<day>\d\d)(?:[T _-]+(?P<hour>\d\d)[:-](?P<minute>\d\d)"
    r"(?:[:-](?P<second>\d\d)(?:[.,]\d+)?)?(?: ?(?P<zone>Z|UTC|GMT|[+-]\d\d:?\d\d))?)?"
)
_CLOCK = re.compile(r"\b(\d{1,2})[:.h ]?([0-5]\d)(?:[:.]([0-5]\d))? ?(?:([ap])\.?m\b\.?|Uhr)?", re.IGNORECASE)
_LONGEST = 200


def when_of(text: str) -> datetime | None:
    """The time in the text, with a zone only if the text has one; None if there is no date with a time.

    >>> when_of("2026-11-01 10:00:00.5 UTC"), when_of("Dienstag, 1. Dezember 2026, 9:05"), when_of("-")
    (datetime.datetime(2026, 11, 1, 10, 0, tzinfo=datetime.timezone.utc), datetime.datetime(2026, 12, 1, 9, 5), None)
    """
    text = text[:_LONGEST]
    try:
        if match := _ISO.search(text):
            parts = (int(match[part] or 0) for part in ("year", "month", "day", "hour", "minute", "second"))
            return datetime(*parts, tzinfo=_zone(match["zone"] or ""))  # type: ignore[misc, arg-type]
        return _in_words(text)
    except ValueError:  # the 31st of November
        return None


def _in_words(text: str) -> datetime | None:
    months = {month for word in re.findall(r"[^\W\d_]{3,}", text) if (month := _month(folded(word)))}
    year = re.search(r"\b(20\d\d)\b", text)
    if len(months) != 1 or not year:
        return None
    before, after = text[: year.start()], text[year.end() :]
    day, clock = re.search(r"\b(\d{1,2})\b(?!:)", before), _CLOCK.search(after)
    if not day or not clock:
        return None
    hour, half = int(clock[1]), (clock[4] or "").lower()
    hour = hour % 12 + 12 * (half == "p") if half else hour
    return datetime(int(year[1]), months.pop(), int(day[1]), hour, int(clock[2]), int(clock[3] or 0))


def _month(word: str) -> int:
    """The number of the month that begins with the word; 0 if none or several do."""
    numbers = [n for n, names in enumerate(_MONTHS, 1) if any(name.startswith(word) for name in names.split())]
    return numbers[0] if len(numbers) == 1 else 0


def _zone(text: str) -> timezone | None:
    if text in {"Z", "UTC", "GMT"}:
        return UTC
    digits = text.replace(":", "")
    sign = -1 if digits.startswith("-") else 1
    return timezone(sign * timedelta(hours=int(digits[1:3]), minutes=int(digits[3:]))) if digits else None
