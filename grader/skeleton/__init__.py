"""A second exercise to start from: `python -m grader new-exercise NAME` writes one that can be graded immediately.

It writes copies of `exercise/` and `course/` with the new name. They are ordinary files of this project, so lint, type
checks and tests apply to them.
"""
