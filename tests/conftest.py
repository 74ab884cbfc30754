"""Lets every test import the grader and `toy_exercise`, which lies outside the grader's package on purpose.

How hard properties are tried is said here, once: `everyday` the same examples each time, `long` others each time
(`pytest --hypothesis-profile long`).
"""

import os
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1])]

# A loaded machine is no fault: no example has a deadline, and slow data is data.
ANY_MACHINE = settings(deadline=None, suppress_health_check=list(HealthCheck))
settings.register_profile("everyday", ANY_MACHINE, max_examples=60, derandomize=True, database=None)
settings.register_profile("long", ANY_MACHINE, max_examples=2000)
settings.load_profile("everyday")

# Each of pytest's processes keeps to one core: trainings that share cores wait for each other at every step. An
# epoch of the reference takes 5 s alone on two cores, 17 to 22 s there beside one busy process, and 9 s on one core.
CORES = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set()
if CORES and (process := os.environ.get("PYTEST_XDIST_WORKER", "")).startswith("gw"):
    os.sched_setaffinity(0, {sorted(CORES)[int(process[2:]) % len(CORES)]})

LONGEST = ("test_whole_grades.py",)  # minutes each: begun last, one process would wait for them alone


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files come first, then the largest: in this order `make test` gives them to its processes."""
    size = Counter(item.path for item in items)
    items.sort(key=lambda item: (item.path.name not in LONGEST, -size[item.path]))


@pytest.fixture
def all_cores() -> Iterator[set[int]]:
    """The cores of the machine that this process was given, and may use for one test."""
    kept = os.sched_getaffinity(0)
    os.sched_setaffinity(0, CORES)
    yield CORES
    os.sched_setaffinity(0, kept)
