"""Reads the rubric and binds it to the checks; wrong numbers and names are refused before anything runs.

The file is checked against the exercise it names: checks that do not exist, numbers that a check does not take or
lacks, thresholds that stand the wrong way round and points that do not add up never reach a notebook.
"""

from grader.rubric.load import load_rubric

__all__ = ["load_rubric"]
