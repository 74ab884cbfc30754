"""What `--version` says: what must be the same for two grades to be comparable."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

from grader.cli.completion import extended
from grader.versions import grader_checksum, versions

RUBRIC = Path("rubric.yaml")


def version_lines() -> Iterator[str]:
    """A line a version, then the checksums as a report has them."""
    told = {**versions(), "grader's files": grader_checksum(), RUBRIC.name: _rubric_checksum(RUBRIC)}
    width = max(map(len, told))
    for name, value in told.items():
        yield f"{name:{width}}  {value}"


def _rubric_checksum(path: Path) -> str:
    """SHA-256 over the rubric and the one that it extends, as `grader.rubric` counts it, without its imports."""
    try:
        data = path.read_bytes()
        other = extended(path)
        return hashlib.sha256(data + b"\0" + other.read_bytes() if other else data).hexdigest()
    except OSError as error:
        return f"cannot be read here ({error.strerror})"
