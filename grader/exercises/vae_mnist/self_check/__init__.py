"""The notebook's self-checks, which a student can run as soon as a task is written. The notebook contains their text.

They need only torch and numpy, and know no points and no thresholds: they do not grade. Every name begins with an
underscore, except `self_check` itself, so that none of them hides a name of the student's.
"""
