"""Who handed in which file, told from where it lies: the layouts that courses' systems write, and those people make.

Sources: Moodle's "Download all submissions" names folders (or files) `Full name_12345_assignsubmission_file_`; Canvas's
"Download Submissions" names files `lastfirst_LATE_userid_fileid_name-1.ipynb`; Gradescope's "Export Submissions" writes
`submission_12345/` and one `submission_metadata.yml`; nbgrader's exchange has `submitted/<student>/<assignment>/`
with a `timestamp.txt` (nbgrader.readthedocs.io, "The exchange directory").
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import yaml

from grader.batch.archives import File
from grader.bounded import Unreadable, file_bytes
from grader.notebook.format import one_line

METADATA = "submission_metadata.yml"
MAX_METADATA = 20_000_000
MAX_TEAM = 20
MAX_TEXT = 200
_MOODLE = re.compile(r"(?P<name>.+)_(?P<id>\d+)_assignsubmission_(?P<kind>[a-z]+)_?(?P<rest>.*)")
_CANVAS = re.compile(r"(?P<name>[^_]+)_(?P<late>LATE_)?(?P<id>\d+)_(?P<file>\d+)_(?P<rest>.+)")
_CANVAS_AGAIN = re.compile(r"-(?P<again>\d{1,3})\.ipynb$", re.IGNORECASE)
_GRADESCOPE = re.compile(r"submission_(\d+)")
CHECKPOINTS = {".ipynb_checkpoints", "__MACOSX", ".git", "__pycache__", ".Trash"}


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose a file is: a name that is the same in every run, and what a roster may know them by."""

    id: str  # stable; the key is made of it
    clues: tuple[str, ...]
    again: int = 0  # the how manieth time this was handed in, where the layout says so
    late: bool = False
    name: str = ""  # as the layout writes it


def ignored(file: File) -> bool:
    """Whether no person made the file: checkpoints, what an archiver or an editor leaves."""
    inside = any(part in CHECKPOINTS for part in file.parts[:-1])
    name = file.name
    return inside or name.startswith(("._", "~$")) or name in {".DS_Store", "Thumbs.db"} or "-checkpoint." in name


def owners(files: Sequence[File]) -> tuple[str, Callable[[File], tuple[Owner, ...]]]:
    """The layout in words, and the function that says whose a file is; nobody's for what is none."""
    exported = next((file for file in files if file.name == METADATA and file.path is not None), None)
    if exported is not None:
        return "Gradescope's export", _gradescope(_metadata(exported), len(exported.parts) - 1)
    if any(file.name == "timestamp.txt" for file in files) or any("submitted" in file.parts[:-3] for file in files):
        return "nbgrader's folder of submissions", _nbgrader
    if any(_moodle(part) for file in files for part in file.parts):
        return "Moodle's download", _moodle_owner
    flat = [file for file in files if len(file.parts) == 1]
    if flat and sum(_CANVAS.fullmatch(file.name) is not None for file in flat) * 2 > len(flat):
        return "Canvas's download", _canvas_owner
    nested = any(len(file.parts) > 1 for file in files)
    return ("a folder a student" if nested else "a file a student"), _plain_owner


def _plain_owner(file: File) -> tuple[Owner, ...]:
    name = file.parts[0] if len(file.parts) > 1 else _stem(file.name)
    return (Owner(name, _clues(name), name=name),)


def _stem(name: str) -> str:
    return re.sub(r"(\.tar)?\.[A-Za-z0-9]{1,6}$", "", name) or name


def _clues(name: str) -> tuple[str, ...]:
    """The whole name, and its pieces: `vae_mueller_12345` names the student 12345 as well."""
    pieces = [piece for piece in re.split(r"[_\s,;()\[\]]+", name) if len(piece) > 2]
    return (name, *sorted(pieces, key=lambda piece: not piece.isdigit()))


def _moodle(part: str) -> re.Match[str] | None:
    return _MOODLE.fullmatch(part)


def _moodle_owner(file: File) -> tuple[Owner, ...]:
    for part in file.parts:
        if (found := _moodle(part)) is not None:
            if found["kind"] != "file":  # the text a student typed beside the file
                return ()
            owner = f"{found['name']}_{found['id']}"
            return (Owner(owner, (found["name"], found["id"]), name=found["name"]),)
    return _plain_owner(file)


def _canvas_owner(file: File) -> tuple[Owner, ...]:
    found = _CANVAS.fullmatch(file.parts[0])
    if found is None:
        return _plain_owner(file)
    again = _CANVAS_AGAIN.search(found["rest"])
    count = int(again["again"]) if again else 0
    clues = (found["id"], found["name"])
    return (Owner(f"{found['name']}_{found['id']}", clues, count, bool(found["late"]), found["name"]),)


def _nbgrader(file: File) -> tuple[Owner, ...]:
    parts = file.parts[:-1]
    if "submitted" in parts:
        parts = parts[parts.index("submitted") + 1 :]
    if not parts:
        return _plain_owner(file)
    return (Owner(parts[0], (parts[0],), name=parts[0]),)


def _gradescope(known: Mapping[str, tuple[Owner, ...]], depth: int) -> Callable[[File], tuple[Owner, ...]]:
    def owner(file: File) -> tuple[Owner, ...]:
        if len(file.parts) < depth + 2:
            return ()
        folder = file.parts[depth]
        return known.get(folder, (Owner(folder, (), name=folder),) if _GRADESCOPE.fullmatch(folder) else ())

    return owner


def _metadata(file: File) -> dict[str, tuple[Owner, ...]]:
    """Each folder's submitters, as far as the export says; a file that cannot be read names nobody."""
    try:
        data = file_bytes(file.path, MAX_METADATA) if file.path else b""
        values = yaml.safe_load(data.decode("utf-8", errors="replace"))
    except (Unreadable, yaml.YAMLError, RecursionError, ValueError):
        return {}
    found: dict[str, tuple[Owner, ...]] = {}
    for folder, entry in values.items() if isinstance(values, dict) else ():
        listed = _get(entry, "submitters")
        people = [_person(one) for one in listed[:MAX_TEAM]] if isinstance(listed, list) else []
        found[str(folder)] = tuple(
            Owner(identity or name, tuple(filter(None, (identity, email, name))), name=name)
            for identity, email, name in people
            if identity or name
        )
    return {folder: people for folder, people in found.items() if people}


def _get(entry: object, key: str) -> object:
    """A value of a mapping; the export's keys begin with a colon."""
    return entry.get(f":{key}", entry.get(key)) if isinstance(entry, dict) else None


def _person(entry: object) -> tuple[str, str, str]:
    texts = [_get(entry, key) for key in ("sid", "email", "name")]
    sid, email, name = (one_line(str(text).strip(), MAX_TEXT) if text is not None else "" for text in texts)
    return sid or email, email, name
