"""What a roster's headings mean, in the languages in which courses' systems write them: each as one English key.

The words are those of Moodle's language packs for its gradebook, participants and grading worksheet (assign.php and
moodle.php in German, French, Spanish and Italian), and what people write into lists of their own.
"""

from __future__ import annotations

import re
import unicodedata

_SAME: dict[str, str] = {
    # English key: the same in other words, folded as `folded` does
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
# Moodle's number of a participant stands under these, in whatever language: "Participant 4002", "Teilnehmer/in4002".
_IDENTIFIERS = {"id", "identifier", "username"}
_PARTICIPANT = re.compile(r"(?:participant|teilnehmer|partecipante)\w*?\d+")


def folded(text: str) -> str:
    """The text without case, accents, punctuation and space; other scripts stay as they are.

    >>> folded("O'Néil, Jean-Luc")
    'oneiljeanluc'
    """
    plain = unicodedata.normalize("NFKD", text)
    return "".join(c for c in plain.casefold() if c.isalnum())


def key_of(heading: str, value: str = "") -> str:
    """What the heading is in English, folded; a value below it tells Moodle's participants from other ids.

    >>> key_of("Dirección de correo"), key_of("ID", "Teilnehmer/in4002"), key_of("ID", "4002")
    ('email', 'identifier', 'id')
    """
    word = folded(heading)
    key = _KEYS.get(word, word)
    return "identifier" if key in _IDENTIFIERS and _PARTICIPANT.fullmatch(folded(value)) else key
