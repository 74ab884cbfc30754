"""Near-identical work in a class, found once for the notebooks as they are and kept beside them."""

from __future__ import annotations

import hashlib
from pathlib import Path

from pydantic import TypeAdapter

from grader.batch.manifest import Manifest
from grader.batch.similar import Alike, alike_sources, asked_source
from grader.errors import GraderError
from grader.exercise import Exercise, asked_names
from grader.notebook.format import load_notebook
from grader.notebook.read import read_submission
from grader.own_json import keep, kept
from grader.records import Rubric

NAME = "similar.json"
MAX_BYTES = 50_000_000
_FOUND: TypeAdapter[list[Alike]] = TypeAdapter(list[Alike])


def similar_work(out: Path, manifest: Manifest, rubric: Rubric, exercise: Exercise) -> list[Alike]:
    """The pairs of submissions that a person should look at; notebooks that cannot be read are left out."""
    of = hashlib.sha256(Path(__file__).with_name("similar.py").read_bytes())
    for one in manifest.handed_in:
        try:
            status = one.path.stat()
        except OSError:
            continue
        of.update(f"{one.key}\0{status.st_size}\0{status.st_mtime_ns}\0".encode("utf-8", "surrogateescape"))
    made_of = {"submissions": of.hexdigest()}
    if (known := kept(out / NAME, _FOUND, made_of)) is not None:
        return known
    names = {
        item: [".".join(rubric.interface.names.get(piece, piece) for piece in name.split(".")) for name in asked]
        for item, asked in asked_names(exercise).items()
    }
    sources: dict[str, dict[str, str]] = {}  # all that is kept of a notebook
    limits = rubric.limits
    for one in manifest.handed_in:
        try:
            if not one.refused:
                read = read_submission(one.path, max_mb=limits.notebook_mb, max_cells=limits.cells)
                sources[one.key] = asked_source(read.notebook, names)
        except GraderError:
            continue
    template = load_notebook(manifest.rubric.parent / rubric.template)
    found = alike_sources(sources, asked_source(template, names))
    keep(out / NAME, _FOUND, found, made_of)
    return found
