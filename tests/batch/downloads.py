"""Downloads as the courses' systems write them, with toy notebooks inside."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path

from small_exercise import notebook

NOTEBOOK = json.dumps(notebook.submission())

MOODLE = {
    "Ada Lovelace_101_assignsubmission_file_/vae.ipynb": NOTEBOOK,
    "Ada Lovelace_101_assignsubmission_onlinetext_/onlinetext.html": "<p>see file</p>",
    "Jean-Luc O'Neil_102_assignsubmission_file_/vae.ipynb": NOTEBOOK,
    "Zoë Müller_103_assignsubmission_file_/report.pdf": "%PDF",
}
MOODLE_FLAT = {
    "Ada Lovelace_101_assignsubmission_file_vae.ipynb": NOTEBOOK,
    "Zoë Müller_103_assignsubmission_file_mine_2.ipynb": NOTEBOOK,
}
CANVAS = {
    "lovelaceada_4001_900001_vae.ipynb": NOTEBOOK,
    "lovelaceada_4001_900007_vae-1.ipynb": NOTEBOOK,
    "muellerzoe_LATE_4002_900002_vae.ipynb": NOTEBOOK,
}
GRADESCOPE = {
    "assignment_77_export/submission_metadata.yml": (
        "submission_5001:\n  :submitters:\n  - :name: Ada Lovelace\n    :sid: '101'\n    :email: ada@uni.example\n"
        "  :created_at: 2026-11-01 10:00:00.000000000 Z\n"
        "submission_5002:\n  :submitters:\n  - :name: Zoë Müller\n    :sid: '103'\n    :email: zoe@uni.example\n"
        "  - :name: Jean-Luc O'Neil\n    :sid: '102'\n    :email: jl@uni.example\n"
    ),
    "assignment_77_export/submission_5001/vae.ipynb": NOTEBOOK,
    "assignment_77_export/submission_5002/vae.ipynb": NOTEBOOK,
}
NBGRADER = {
    "submitted/ada/vae/vae.ipynb": NOTEBOOK,
    "submitted/ada/vae/timestamp.txt": "2026-11-01 10:00:00 UTC",
    "submitted/zoe/vae/vae.ipynb": NOTEBOOK,
    "submitted/zoe/vae/timestamp.txt": "2026-11-02 10:00:00 UTC",
}
FLAT = {"ada.ipynb": NOTEBOOK, "zoe_103.ipynb": NOTEBOOK, "notes.txt": "nothing"}
FOLDERS = {
    "ada/mine/vae.ipynb": NOTEBOOK,
    "ada/.ipynb_checkpoints/vae-checkpoint.ipynb": NOTEBOOK,
    "ada/__MACOSX/._vae.ipynb": "junk",
    "zoe/vae.ipynb": NOTEBOOK,
    "empty/report.pdf": "%PDF",
}
ROSTER = (
    "Student ID,First name,Last name,Email,Group\n"
    "101,Ada,Lovelace,ada@uni.example,A\n102,Jean-Luc,O'Neil,jl@uni.example,A\n103,Zoë,Müller,zoe@uni.example,B\n"
)


def write(folder: Path, files: Mapping[str, str | bytes]) -> Path:
    """The folder holds the files."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return folder


def packed(files: Mapping[str, str | bytes]) -> bytes:
    """A zip of the files."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return stream.getvalue()


def write_zip(path: Path, files: Mapping[str, str | bytes]) -> Path:
    """The file is a zip of the files."""
    path.write_bytes(packed(files))
    return path
