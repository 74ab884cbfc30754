"""The exit codes of every command; `grader.cli.app` explains them in the help."""

from __future__ import annotations

GRADED, LOOK, NOT_GRADED = 0, 1, 2
