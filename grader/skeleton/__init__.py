"""A second exercise to start from: `python -m grader new-exercise NAME` writes one that grades at once.

`exercise/` and `course/` are what is written, with the exercise's own name put in. They are files of this project like
any other, so lint, types and tests hold for what a newcomer is given.
"""
