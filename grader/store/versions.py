"""Versions of packages and checksums of the grader's own files; grades are comparable if these are equal.

Nothing heavy is imported, so that the command line is fast.
"""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Collection, Iterable
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import grader

PACKAGES = ("torch", "torchvision", "numpy", "ipykernel", "nbclient", "onnxruntime", "safetensors", "scikit-learn")
_ABSENT = "not installed"
ROOT = Path(__file__).parents[1]
SUFFIXES = {".py", ".j2", ".css", ".json", ".onnx"}


@cache
def versions() -> dict[str, str]:
    """The versions that matter for a grade."""
    version_of = {"grader": grader.__version__, "python": platform.python_version()}
    return version_of | {package: _installed(package) for package in PACKAGES}


@cache
def grader_checksum() -> str:
    """SHA-256 over the grader's own files, so that a changed grader is visible in a report."""
    return files_checksum(ROOT, (path for path in ROOT.rglob("*") if path.suffix in SUFFIXES))


def files_checksum(root: Path, paths: Iterable[Path]) -> str:
    """SHA-256 over the files' paths below `root` and their bytes, independent of the order of `paths`."""
    total = hashlib.sha256()
    for path in sorted(paths):
        total.update(path.relative_to(root).as_posix().encode() + b"\0")
        total.update(hashlib.sha256(path.read_bytes()).digest())
    return total.hexdigest()


def missing_packages(promised: Collection[str]) -> str:
    """Returns how to install packages that students may use and that are missing here; empty if none are missing.

    Notebooks run in this environment as well.
    """
    if not (missing := [package for package in promised if _installed(package) == _ABSENT]):
        return ""
    return (
        f"packages that the rubric allows are not installed: {', '.join(missing)}; run `make setup`, or, for packages "
        f"that you added, `.venv/bin/python -m pip install {' '.join(missing)}`"
    )


def _installed(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return _ABSENT
