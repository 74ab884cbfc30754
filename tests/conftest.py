"""Lets every test import the grader and `toy_exercise`, which lies outside the grader's package on purpose.

How hard properties are tried is said here, once: `everyday` the same examples each time, `long` others each time
(`pytest --hypothesis-profile long`).
"""

import sys
from pathlib import Path

from hypothesis import HealthCheck, settings

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1])]

# A loaded machine is no fault: no example has a deadline, and slow data is data.
ANY_MACHINE = settings(deadline=None, suppress_health_check=list(HealthCheck))
settings.register_profile("everyday", ANY_MACHINE, max_examples=60, derandomize=True, database=None)
settings.register_profile("long", ANY_MACHINE, max_examples=2000)
settings.load_profile("everyday")
