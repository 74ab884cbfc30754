"""A second exercise to start from: `python -m grader new-exercise NAME` writes one that can be graded immediately.

It writes copies of `exercise/` and `course/` with the new name. They are ordinary files of this project, so lint and
type checks apply to them. The tests of the engine run on this exercise, so everything that they test works in it.
"""
