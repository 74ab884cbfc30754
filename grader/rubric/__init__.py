"""Reads the rubric and binds it to the checks; wrong numbers and names are refused before anything runs.

The file is checked against the exercise that it names. Unknown checks, unknown or missing numbers, thresholds in the
wrong order and points that do not add up are refused.
"""

from grader.rubric.file import rubric_files
from grader.rubric.load import load_rubric

__all__ = ["load_rubric", "rubric_files"]
