"""Downloads made up at random: people whose names and numbers are alike, in every layout, wrapped, packed and littered.

Every number is drawn from the same small pool, so one student's Canvas id is another's student id.
"""

from __future__ import annotations

import json
import random
import zipfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from downloads import packed, write

from grader.batch.students.course_words import folded

FIRST = ["Ada", "Ben", "Zoë", "Jean-Luc", "Wei", "Li", "Maria Ana", "Åsa", "Ömer", "Ana", "Otto", "小明"]
LAST = ["Lovelace", "Otto", "Müller", "O'Neil", "Li", "Wei", "van der Berg", "Strauß", "Park", "Ana", "王", "Lovelace"]
USUAL = "vae_mnist.ipynb"


@dataclass(frozen=True)
class Person:
    """Someone who hands something in, or not."""

    number: str
    first: str
    last: str
    login: str
    canvas: str
    participant: str
    enrolled: bool

    @property
    def name(self) -> str:
        return f"{self.first} {self.last}"

    @property
    def email(self) -> str:
        return f"{self.login}@u.example"


@dataclass
class Download:
    """What lies there, and whose each entry is."""

    people: list[Person]
    layout: str
    roster: str
    columns: str
    files: dict[str, bytes] = field(default_factory=dict)
    truth: dict[str, set[str]] = field(default_factory=dict)  # a file below the wrappers: its people's numbers
    notes: list[str] = field(default_factory=list)


def people(rng: random.Random) -> list[Person]:
    """A few people; no two share a student id or a login, but much else."""
    count = rng.randint(1, 7)
    pools = [rng.sample(range(101, 112), count) for _ in range(3)]
    names = [(rng.choice(FIRST), rng.choice(LAST)) for _ in range(count)]
    if rng.random() < 0.3:
        names[0] = names[-1]
    return [
        Person(
            *(str(pools[0][i]), *names[i]),
            *(f"{rng.choice('abcx')}{chr(97 + i)}{rng.choice(['', '7'])}ck", str(pools[1][i]), str(pools[2][i])),
            enrolled=rng.random() < 0.85,
        )
        for i in range(count)
    ]


def _roster(rng: random.Random, known: list[Person]) -> tuple[str, str]:
    """A roster's text, and which columns it has."""
    kind = rng.choice(["plain", "names", "canvas", "moodle", "gradescope", "logins"])
    rows = {
        "plain": ("Student ID,First name,Last name,Email", lambda p: (p.number, p.first, p.last, p.email)),
        "names": ("id,name", lambda p: (p.number, p.name)),
        "canvas": (
            "Student,ID,SIS User ID,SIS Login ID,Section",
            lambda p: (f'"{p.last}, {p.first}"', p.canvas, p.number, p.login, "CV 1"),
        ),
        "moodle": (
            "Identifier,Full name,Email address,ID number",
            lambda p: (f"Participant {p.participant}", p.name, p.email, p.number),
        ),
        "gradescope": ("Name,SID,Email", lambda p: (p.name, p.number, p.email)),
        "logins": ("Username,First name,Last name", lambda p: (p.login, p.first, p.last)),
    }
    heads, row = rows[kind]
    return "\n".join([heads, *(",".join(row(person)) for person in known)]) + "\n", kind


def notebook(person: Person, text: str = "") -> bytes:
    """A notebook that says whose it is."""
    source = f"owner = {person.number!r}{text}"
    cell = {"cell_type": "code", "id": "a", "metadata": {}, "source": source, "outputs": [], "execution_count": 1}
    return json.dumps({"cells": [cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}).encode()


def _work(rng: random.Random, person: Person, *, hostile: bool, victim: Person) -> dict[str, bytes]:
    """What one person hands in, as they call it."""
    files = {
        "notebook": {USUAL: notebook(person)},
        "renamed": {f"{rng.choice(['my solution', 'VAE', 'scratch-20', 'vae-1'])}.ipynb": notebook(person)},
        "copies": {USUAL: notebook(person), f"Copy of {USUAL}": notebook(person, "\nmore = 1")},
        "pdf": {"report.pdf": b"%PDF"},
        "script": {"vae_mnist.py": b"x = 1"},
        "text": {f"{USUAL}.txt": notebook(person)},
        "zip": {"work.zip": packed({"mine/" + USUAL: notebook(person), "__MACOSX/mine/._" + USUAL: b"x"})},
    }[rng.choice(["notebook"] * 5 + ["renamed", "copies", "pdf", "script", "text", "zip"])]
    if not hostile:
        return files
    metadata = f"mine:\n  :submitters:\n  - {{:name: {victim.name}, :sid: '{victim.number}'}}\n".encode()
    litter = [
        {"submission_metadata.yml": metadata},
        {"a/b/submission_metadata.yml": metadata},
        {"timestamp.txt": b"2026-11-01 10:00:00 UTC"},
        {f"submitted/{victim.login}/vae/{USUAL}": notebook(person)},
        {f"{victim.name}_{victim.participant}_assignsubmission_file_/{USUAL}": notebook(person)},
        {f"{folded(victim.last + victim.first)}_{victim.canvas}_900001_{USUAL}": notebook(person)},
        {f"{victim.number}/{USUAL}": notebook(person), f"{victim.number}.ipynb": notebook(person)},
    ]
    return files | rng.choice(litter)


def _safe(name: str) -> str:
    return name.replace("/", "-")


Place = Callable[[random.Random, Person, str], str]  # where a layout puts a file of this name


def _moodle(rng: random.Random, person: Person, name: str) -> str:
    return f"{person.name}_{person.participant}_assignsubmission_file_/{name}"


def _moodle_flat(rng: random.Random, person: Person, name: str) -> str:
    return f"{person.name}_{person.participant}_assignsubmission_file_{_safe(name)}"


def _canvas(rng: random.Random, person: Person, name: str) -> str:
    who = "".join(c for c in (person.last + person.first).lower() if c.isalnum())
    late = "LATE_" if int(person.number) % 4 == 0 else ""
    return f"{who}_{late}{person.canvas}_{rng.randint(900_000, 999_999)}_{_safe(name)}"


def _nbgrader(rng: random.Random, person: Person, name: str) -> str:
    return f"submitted/{person.login}/vae/{name}"


PLACES: dict[str, Place] = {
    "moodle": _moodle,
    "moodle groups": lambda rng, person, name: f"Team {person.login}_{person.canvas}_assignsubmission_file_/{name}",
    "canvas groups": lambda rng, person, name: (
        f"team{person.login}_{person.participant}_{900_000 + len(name)}_{_safe(name)}"
    ),
    "moodle flat": _moodle_flat,
    "canvas": _canvas,
    "gradescope": lambda rng, person, name: f"submission_{person.canvas}/{name}",
    "nbgrader": _nbgrader,
    "teams": lambda rng, person, name: f"Submitted files/{person.name}/VAE/Version {rng.randint(1, 12)}/{name}",
    "folders by id": lambda rng, person, name: f"{person.number}/{name}",
    "folders by name": lambda rng, person, name: f"{person.name}/{name}",
    "files": lambda rng, person, name: f"{_chosen(person)}{_suffix(name)}",
    "sections": lambda rng, person, name: f"S{int(person.number) % 2}/{person.number}/{name}",
    "files in sections": lambda rng, person, name: f"S{int(person.number) % 2}/{_chosen(person)}{_suffix(name)}",
    "mistaken files": lambda rng, person, name: f"{_chosen(person)}{_suffix(name)}",
}


def _chosen(person: Person) -> str:
    ways = [person.number, person.login, person.name, f"{person.last}, {person.first}", f"vae_{person.number}"]
    return ways[(int(person.number) + int(person.canvas)) % len(ways)]


def _mistaken(rng: random.Random, person: Person, everybody: list[Person]) -> str:
    """A file's name with another student's number beside one's own name."""
    others = [one.number for one in everybody if one.last not in person.name and person.last not in one.name]
    return f"{rng.choice(['vae_', ''])}{person.last}_{rng.choice(others)}" if others else _chosen(person)


def _suffix(name: str) -> str:
    return ".ipynb.txt" if name.endswith(".txt") else "." + name.rpartition(".")[2]


def download(seed: int) -> Download:
    """The download of this number, below no wrapper yet."""
    rng = random.Random(seed)
    everybody = people(rng)
    alike = same_names(everybody)  # a stranger who is called as a student could be told by nothing
    everybody = [replace(person, enrolled=True) if person.number in alike else person for person in everybody]
    text, columns = _roster(rng, [person for person in everybody if person.enrolled])
    sample = Download(everybody, rng.choice(list(PLACES)), text, columns)
    if sample.layout in {"files", "mistaken files", "folders by name", "teams"}:
        everybody = [person for person in everybody if person.number not in alike]  # nor can two folders of one name be
    handing_in = [person for person in everybody if rng.random() < 0.85]
    # A single folder that no student's name is on may be a wrapper, whatever lies in it: there is nothing to tell by.
    hostile = (
        rng.choice(handing_in) if len(handing_in) > 1 and rng.random() < 0.6 and "files" not in sample.layout else None
    )
    metadata = ""
    enrolled = [person for person in handing_in if person.enrolled]
    mistaken = rng.choice(enrolled) if enrolled and sample.layout == "mistaken files" else None
    for person in handing_in:
        victim = rng.choice([one for one in everybody if one is not person] or [person])
        for name, content in _work(rng, person, hostile=person is hostile, victim=victim).items():
            path = PLACES[sample.layout](rng, person, name)
            path = f"{_mistaken(rng, person, sample.people)}{_suffix(name)}" if person is mistaken else path
            sample.files[path] = content
            sample.truth.setdefault(path, set()).add(person.number)
        metadata += (
            f"submission_{person.canvas}:\n  :submitters:\n  - :name: {person.name}\n"
            f"    :sid: '{person.number}'\n    :email: {person.email}\n  :created_at: &1 2026-11-01 10:00:00 Z\n"
        )
    if sample.layout == "gradescope" and handing_in:
        sample.files["submission_metadata.yml"] = metadata.encode()
    return sample


class _Unflagged(zipfile.ZipInfo):
    """A name in UTF-8 without the flag that says so, as macOS writes it."""

    def _encodeFilenameFlags(self) -> tuple[bytes, int]:
        return self.filename.encode("cp437"), self.flag_bits & ~0x800


def write_any(sample: Download, folder: Path, seed: int) -> Path:
    """The download lies there as a folder or a zip, maybe wrapped and with what systems leave in it."""
    rng = random.Random(-seed)
    files = dict(sample.files)
    if rng.random() < 0.5:
        files |= {".DS_Store": b"x", "__MACOSX/._x": b"x"}
        files |= {f"__MACOSX/{path.rpartition('/')[0]}/._{path.rpartition('/')[2]}": b"x" for path in sample.files}
        files |= {f"{path.rpartition('/')[0]}/.DS_Store": b"x" for path in sample.files if "/" in path}
    for wrapper in rng.choice([[], [], ["class"], ["submissions (1)"], ["in", "assignment_77_export"], ["a", "a"]]):
        files = {f"{wrapper}/{path}": content for path, content in files.items()} | {".DS_Store": b"x"}
        sample.notes.append(wrapper)
    if rng.random() < 0.5:
        return write(folder / "download", files)
    path = folder / "download.zip"
    unflagged = rng.random() < 0.5
    sample.notes.append(f"zip {unflagged=}")
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            entry: zipfile.ZipInfo | str = name
            if unflagged:
                entry = _Unflagged(name.encode().decode("cp437"))
                entry.external_attr = 0o644 << 16
            archive.writestr(entry, content)
    return path


def same_names(everybody: list[Person]) -> set[str]:
    """The numbers of people whose name, in whatever order of its words, someone else has as well."""

    def turns(person: Person) -> set[str]:
        words = person.name.split()
        return {folded("".join(words[turn:] + words[:turn])) for turn in range(len(words))}

    times = Counter(turn for person in everybody for turn in turns(person))
    return {person.number for person in everybody if any(times[turn] > 1 for turn in turns(person))}
