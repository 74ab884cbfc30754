"""Checksums that say whether two runs were graded alike, and whether they would have been run alike."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection
from dataclasses import asdict
from functools import cache
from pathlib import Path

from grader.exercise import Exercise, Questions
from grader.notebook.format import dump_notebook
from grader.records import Notebook, Rubric
from grader.versions import ROOT, files_checksum, grader_checksum

RUNNING = ("in_box", "box", "notebook", "evidence.py", "gathering.py", "planning.py", "running.py", "following.py")
JUDGING = ("checks", "figures")  # modules of an exercise that decide nothing about what a box is asked


def run_checksum(
    rubric: Rubric, exercise: Exercise, template: Notebook, parts: Collection[str] | None, isolation: str
) -> str:
    """SHA-256 over what decides how a notebook is run and what it is asked, beside the notebook and the seed.

    Points, thresholds and checks are not part of it: where only they differ, stored evidence is judged again.
    """
    decides = {
        "exercise": rubric.exercise,
        "limits": asdict(rubric.limits),
        "interface": asdict(rubric.interface),
        "sizes": dict(rubric.sizes),
        "follow_through": rubric.follow_through.enabled,
        "parts": None if parts is None else sorted(parts),
        "isolation": isolation,
        "code": _code(exercise.in_box.parent),
    }
    told = json.dumps(decides, sort_keys=True, default=str) + dump_notebook(template)
    return hashlib.sha256(told.encode()).hexdigest()


@cache
def judging_checksum(wing: Path) -> str:
    """SHA-256 over everything that decides what is found on evidence: the grader, and the exercise at this folder."""
    return hashlib.sha256((grader_checksum() + files_checksum(wing, wing.rglob("*.py"))).encode()).hexdigest()


@cache
def _code(wing: Path) -> str:
    """SHA-256 over the files of the grader and of an exercise that run a notebook."""
    own = [path for name in RUNNING for path in (ROOT / name, *(ROOT / name).rglob("*")) if path.suffix == ".py"]
    asked = [path for path in wing.rglob("*.py") if path.relative_to(wing).with_suffix("").parts[0] not in JUDGING]
    return files_checksum(ROOT, own) + files_checksum(wing, asked)


def questions_checksum(questions: Questions) -> str:
    """SHA-256 over the questions' names and numbers."""
    total = hashlib.sha256()
    for stage in sorted(questions):
        for name in sorted(questions[stage]):
            total.update(f"{stage}/{name}\0".encode())
            total.update(questions[stage][name].tobytes())
    return total.hexdigest()
