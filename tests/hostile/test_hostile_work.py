"""Small files that make much work are read, matched, compared and drawn within a few seconds and little memory."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import hostile_reader
import pytest
from hostile_cases import CODE, PAGES, READ
from hostile_forms import SEED

ROOT = Path(__file__).parents[2]
MOST_MB = 300  # of all notebooks that one process reads, beyond what Python and the libraries take
MOST_S = 10.0  # of processor time for one notebook
MOST_PAGES_MB = 40
SOME = 40  # made-up notebooks for every day
MANY, AT_ONCE = 5000, 250


@dataclass(frozen=True)
class Read:
    """The resources that one notebook took, and its result."""

    seconds: float
    peak_mb: float
    name: str
    became: str

    def check(self) -> None:
        assert self.seconds < MOST_S, self
        assert self.peak_mb < MOST_MB, self
        if self.became.startswith("read"):
            assert int(self.became.split()[1]) <= MOST_PAGES_MB, self


@cache
def reader(*arguments: object) -> Sequence[Read]:
    """What the reader says of each notebook that it came to."""
    ended = subprocess.run(
        [sys.executable, hostile_reader.__file__, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}"},
    )
    lines = [line.split("\t") for line in ended.stdout.splitlines()]
    if ended.returncode:
        lines.append(["inf", "inf", "the next one", ended.stderr[-1500:]])
    return [Read(float(seconds), float(peak), name, became) for seconds, peak, name, became in lines]


@pytest.mark.parametrize(
    ("family", "name"),
    [(family, name) for family, cases in enumerate((CODE, PAGES)) for name in cases],
    ids=[*CODE, *PAGES],
)
def test_a_small_file_makes_little_work(family: int, name: str) -> None:
    cases = (CODE, PAGES)[family]
    reads_by_name = {read.name: read for read in reader(*cases)}
    read = reads_by_name.get(name) or reads_by_name["the next one"]
    read.check()
    if cases[name][1] == READ:
        assert read.became.startswith("read")
    else:
        assert f"x.ipynb: too much code to read: expected at most {cases[name][1]}, got" in read.became
        assert "; remove " in read.became


def check_seeds(first: int, count: int) -> None:
    reads = reader(first, count)
    for read in reads:
        read.check()
    slowest, refused = max(reads, key=lambda read: read.seconds), [read for read in reads if read.became[:4] != "read"]
    print(f"\n{len(reads)} read, {len(refused)} refused, slowest {slowest}, at most {reads[-1].peak_mb:.0f} MB")
    assert len(reads) == count


def test_some_made_up_notebooks_make_little_work() -> None:
    check_seeds(0, SOME)


@pytest.mark.long
@pytest.mark.parametrize("part", range(MANY // AT_ONCE))
def test_thousands_of_made_up_notebooks_make_little_work(part: int) -> None:
    check_seeds(SEED + part * AT_ONCE, AT_ONCE)
