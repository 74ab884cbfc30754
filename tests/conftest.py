"""Lets every test import the grader and the helpers beside this file.

This file sets how many examples property tests use: `everyday` uses the same examples each time, `long` new ones
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

# Tests must not fail on a busy machine: no example has a deadline, and slow data is allowed.
ANY_MACHINE = settings(deadline=None, suppress_health_check=list(HealthCheck))
settings.register_profile("everyday", ANY_MACHINE, max_examples=60, derandomize=True, database=None)
settings.register_profile("long", ANY_MACHINE, max_examples=2000)
settings.load_profile("everyday")

# Each of pytest's processes uses one core: trainings that share cores wait for each other at every step. An
# epoch of the reference takes 5 s alone on two cores, 17 to 22 s there beside one busy process, and 9 s on one core.
CORES = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set()
if CORES and (process := os.environ.get("PYTEST_XDIST_WORKER", "")).startswith("gw"):
    os.sched_setaffinity(0, {sorted(CORES)[int(process[2:]) % len(CORES)]})

LONGEST = (
    "test_whole_grades.py",
)  # minutes each: started last, one process would run them while the others have finished


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Sorts the longest files first, then the largest: `make test` gives them to its processes in this order."""
    size = Counter(item.path for item in items)
    items.sort(key=lambda item: (item.path.name not in LONGEST, -size[item.path]))


@pytest.fixture
def all_cores() -> Iterator[set[int]]:
    """The cores of the machine that this process was given, and may use for one test."""
    kept = os.sched_getaffinity(0)
    os.sched_setaffinity(0, CORES)
    yield CORES
    os.sched_setaffinity(0, kept)
