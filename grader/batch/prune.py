"""Takes away the evidence of graded runs, the most of what a class takes on the disk; points and pages stay."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from grader.batch.manifest import folders, read_manifest
from grader.errors import GraderError
from grader.grading.regrade import verdicts
from grader.grading.run_files import EARLIER
from grader.grading.run_folder import has_report, prune, stored_report
from grader.report.plain import plain
from grader.rubric import load_rubric
from grader.store.lock import locked

Say = Callable[[str], None]


@dataclass(frozen=True)
class PrunedClass:
    """What came of it."""

    count: int
    freed_bytes: int
    left: tuple[str, ...]  # which stay as they are, and why


def prune_class(out: Path, say: Say) -> PrunedClass:
    """No run of the class has evidence any more, but what checks found on it under the rubric as it is now.

    Judged again under the same checks, with other points or thresholds, it comes to the same as before; what would have
    to look at the evidence says so instead.

    Raises:
        GraderError: no class was graded there, or another grader is at work.
    """
    manifest = read_manifest(out)
    rubric, exercise = load_rubric(manifest.rubric)
    count = freed = 0
    left = []
    with locked(out):
        graded = [(one.key, folder) for one, folder in folders(out, manifest) if has_report(folder)]
        for number, (key, folder) in enumerate(graded, 1):
            say(f"{number} of {len(graded)}: {plain(key, 60)}")
            try:
                verdicts(folder, rubric.for_template(stored_report(folder).template), exercise, keep=True)
                here = prune(folder) + sum(map(_pruned, sorted((folder / EARLIER).glob("*"))))
                freed, count = freed + here, count + (here > 0)
            except (GraderError, OSError) as error:
                left.append(f"{plain(key, 60)}: {plain(str(error), 200)}")
    return PrunedClass(count, freed, tuple(left))


def _pruned(folder: Path) -> int:
    """Of a run that was kept of an earlier notebook, which is not judged again."""
    try:
        return prune(folder) if folder.is_dir() and not folder.is_symlink() else 0
    except GraderError:
        return 0
