"""Checksums that say whether two runs were graded alike."""

from __future__ import annotations

import hashlib
from pathlib import Path

from grader.exercise import Questions

SUFFIXES = {".py", ".j2", ".css", ".safetensors"}


def grader_checksum() -> str:
    """SHA-256 over the grader's own files, so that a changed grader is visible in a report."""
    root = Path(__file__).parent
    total = hashlib.sha256()
    for path in sorted(p for p in root.rglob("*") if p.suffix in SUFFIXES):
        total.update(path.relative_to(root).as_posix().encode() + b"\0")
        total.update(hashlib.sha256(path.read_bytes()).digest())
    return total.hexdigest()


def questions_checksum(questions: Questions) -> str:
    """SHA-256 over the questions' names and numbers."""
    total = hashlib.sha256()
    for stage in sorted(questions):
        for name in sorted(questions[stage]):
            total.update(f"{stage}/{name}\0".encode())
            total.update(questions[stage][name].tobytes())
    return total.hexdigest()
