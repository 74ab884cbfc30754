"""`rubric.yaml` read and bound to the checks: every number an instructor may change, refused early where it is wrong.

The file is checked against the exercise it names: checks that do not exist, numbers that a check does not take or
lacks, thresholds that stand the wrong way round and points that do not add up never reach a notebook.
"""

from grader.rubric.load import load_rubric

__all__ = ["load_rubric"]
