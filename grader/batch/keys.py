"""The name of each person's folder in the results: safe, the same in every run, and no two alike.

A student's own id is theirs alone, also while they have handed in nothing: whoever else comes to the same name gets a
digest behind it.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections import Counter
from collections.abc import Mapping

from grader.batch.records import Student
from grader.batch.roster import Roster

LONGEST_KEY = 60


def keys_of(people: Mapping[str, tuple[Student | None, str]], roster: Roster | None) -> dict[str, str]:
    """A key for each person by their identity; given are the student, if it is one, and the name in the download."""
    ids = Counter(_safe(student.id).casefold() for student in (roster.students if roster else ()))
    wished = {identity: _safe(student.id if student else name) for identity, (student, name) in people.items()}
    others = Counter(wished[identity].casefold() for identity, (student, _) in people.items() if not student)
    taken: set[str] = set()
    made = {}
    for identity, (student, _) in sorted(people.items(), key=lambda pair: (pair[1][0] is None, pair[0])):
        key, folded = wished[identity], wished[identity].casefold()
        apart = ids[folded] == 1 if student else not ids[folded] and others[folded] == 1
        key = key if apart else f"{key}-{_digest(identity)}"
        while key.casefold() in taken or (not student and key.casefold() in ids):
            key += "x"  # somebody called their folder as another's key would be
        taken.add(key.casefold())
        made[identity] = key
    return made


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
