"""Lets every test import the grader and `toy_exercise`, which lies outside the grader's package on purpose.

How hard properties are tried is said here, once: `everyday` the same examples each time, `long` others each time
(`pytest --hypothesis-profile long`).
"""

import sys
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1])]

# A loaded machine is no fault: no example has a deadline, and slow data is data.
ANY_MACHINE = settings(deadline=None, suppress_health_check=list(HealthCheck))
settings.register_profile("everyday", ANY_MACHINE, max_examples=60, derandomize=True, database=None)
settings.register_profile("long", ANY_MACHINE, max_examples=2000)
settings.load_profile("everyday")

LONGEST = ("test_whole_grades.py",)  # minutes each: begun last, one process would wait for them alone


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files come first, then the largest: in this order `make test` gives them to its processes."""
    size = Counter(item.path for item in items)
    items.sort(key=lambda item: (item.path.name not in LONGEST, -size[item.path]))
