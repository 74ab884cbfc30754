"""The largest inputs are read or refused within bounded memory and processor time, each in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import hostile_child
import pytest

ROOT = Path(__file__).parents[2]
SAID = {
    "a thousand pictures": "1 cells",
    "a thousand pictures in lines": "1 cells",
    "90 MB of printed lines": "1 cells",
    "a million cells": "900001 cells, expected at most 1000",
    "twelve million objects": "too many lists, objects and numbers",
    "thirty million lists": "too many lists, objects and numbers",
    "a million names": "no list of cells",
    "quotes without end": "is not JSON",
    "backslashes without end": "is not JSON",
    "pictures that never end": "too many lists, objects and numbers",
    "a sparse file": "only blanks or zero bytes",
    "a sparse file of a terabyte": "1000000.0 MB, expected at most 100 MB",
    "objects in one cell": "40 cells, 0 with outputs",
    "objects in every cell": "40 cells, 1 with outputs",
    "text in every cell": "40 cells, 22 with outputs",
    "lists without end": "40 cells, 0 with outputs",
    "too many arrays": "the answer holds too many arrays, or names that are too long",
    "half a million dimensions": "the answer is not a tensor file",
    "a wide header": "the answer is not a tensor file",
    "a deep header": "the answer is not a tensor file",
    "as much as is taken": "1 arrays",
}


@pytest.mark.parametrize("name", SAID)
def test_a_large_input_takes_bounded_memory_and_time(name: str, tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, hostile_child.__file__, name, str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
        env={"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)},
    )
    assert ended.returncode == 0, ended.stderr[-800:]
    assert SAID[name] in ended.stdout
    assert len(ended.stdout.splitlines()) == 1
