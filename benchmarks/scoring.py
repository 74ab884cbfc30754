"""Scores a stored run again from its evidence, without pictures or pages: `python -m benchmarks.scoring FOLDER`."""

from __future__ import annotations

import sys
from pathlib import Path

from grader.grading.regrade import verdicts
from grader.grading.run_files import FINDINGS
from grader.rubric import load_rubric

ROOT = Path(__file__).parents[1]


def main(folder: Path) -> None:
    """Prints the points; removes the stored findings first, so that everything is scored again."""
    rubric, exercise = load_rubric(ROOT / "rubric.yaml")
    (folder / FINDINGS).unlink(missing_ok=True)
    items = verdicts(folder, rubric, exercise)
    print(sum(item.points_milli for item in items) / 1000)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
