"""Sound parts of the reference, put in the place of a student's when a part is trained once more.

The box is told their source alone, never the rest of the reference. What was trained with them is stale where they
have changed: `replacement_key` says so.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from grader.exercise import Exercise
from grader.notebook.definitions import definitions, needed
from grader.notebook.format import load_notebook
from grader.records import Array, Rubric


def sound_source(rubric_path: Path, rubric: Rubric) -> str:
    """What sound parts are taken from: the reference's definitions; nothing where follow-through is switched off.

    Raises:
        GraderError: where the reference cannot be read.
    """
    if not rubric.follow_through.enabled:
        return ""
    return definitions(load_notebook(rubric_path.parent / rubric.reference))


def replaced_names(items: Iterable[str], exercise: Exercise, names: Mapping[str, str]) -> list[str]:
    """The notebook's names of what the items ask for, `Class.method` for a method."""
    wanted = [name for item in items for name in exercise.items[item].asks_for]
    return [".".join(names.get(part, part) for part in name.split(".")) for name in wanted]


def replacement_questions(
    items: Iterable[str], exercise: Exercise, names: Mapping[str, str], source: str
) -> dict[str, Array]:
    """What a box is told: the sound parts' source, the names to take from it, and the names of the whole interface."""
    told = _told(items, exercise, names, source)
    return {key: np.frombuffer(text.encode(), dtype=np.uint8).copy() for key, text in told.items()}


def replacement_key(items: Iterable[str], exercise: Exercise, names: Mapping[str, str], source: str) -> str:
    """SHA-256 over what a box is told: what was trained under another key may be another's sound parts."""
    return hashlib.sha256(json.dumps(_told(items, exercise, names, source)).encode()).hexdigest()


def _told(items: Iterable[str], exercise: Exercise, names: Mapping[str, str], source: str) -> dict[str, str]:
    replaced = replaced_names(items, exercise, names)
    interface = [names.get(name, name) for name in exercise.interface.names]
    owners = {name.partition(".")[0] for name in replaced}
    return {
        "source": needed(source, owners, set(interface) - owners),
        "replaced": json.dumps(replaced),
        "interface": json.dumps(interface),
    }
