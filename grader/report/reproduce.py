"""The commands with which anybody sees a verdict again."""

from __future__ import annotations

import shlex

from grader.records import GradeReport
from grader.report.words import is_complete, isolated, trained_parts


def commands(report: GradeReport) -> tuple[tuple[str, str], ...]:
    """What each does, and the command as it is typed in the project's folder: seconds first, then a whole run."""
    trained = sorted(trained_parts(report))
    verb = "grade" if trained else "check"
    name = shlex.quote(f"{report.submission}.ipynb")
    options = f"--seed {report.seed}" + ("" if isolated(report.isolation) else " --isolation none")
    if trained and not is_complete(report):
        options += "".join(f" --parts {part}" for part in trained)
    return (
        ("Judge what this run answered again, under the rubric as it is now", "python -m grader regrade <this folder>"),
        ("Run the notebook again with the same questions", f'make {verb} SUBMISSION={name} OPTIONS="{options}"'),
    )
