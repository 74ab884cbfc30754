"""On a GPU: one grade by phase, and a class with more and more boxes at once, with the memory that they take.

Where there is no GPU, it says so and measures nothing.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import isnan

import psutil

from benchmarks.phases import medians, phases
from benchmarks.timing import Measured, Run, alternate
from grader.box.gpu import gpu

NONE = "no GPU on this machine: the part `gpu` was not measured"
BOX_GB = 3.0  # of the machine's own memory, for a box that trains the reference on a GPU
LOOK_S = 0.2
Rows = list[tuple[str, Measured, str]]


def measure(grade: Run, of_class: Callable[[int], Run], size: int, say: Callable[[str], object] = print) -> Rows:
    """One grade, and classes of `size` submissions with 1, 2, 4, ... boxes at once; empty where there is no GPU."""
    if gpu() is None:
        say(NONE)
        return []
    with _gpu_memory() as used:
        (one,) = alternate({"one grade": grade}, 1).values()
    alone_mb = max(used) - used[0]
    rows: Rows = [("one grade", one, f"{alone_mb:.0f} MB of GPU memory at most")]
    found = medians([phases(*told) for told in one.told])
    rows += [(f"of it {name}", Measured([seconds]), "") for name, seconds in found.items()]
    for boxes in _counts(alone_mb, size):
        with _gpu_memory() as used:
            (took,) = alternate({f"{boxes} at once": of_class(boxes)}, 1).values()
        rate = size * 3600 / took.median
        each_mb = (max(used) - used[0]) / boxes
        note = f"{rate:.0f} submissions an hour, {each_mb:.0f} MB of GPU memory a box"
        rows.append((f"a class of {size}, {boxes} at once", took, note))
    return rows


def _counts(alone_mb: float, size: int) -> Iterator[int]:
    """1, 2, 4, ... as far as GPU memory, cores and memory go."""
    card = gpu()
    most = min(
        size,
        len(os.sched_getaffinity(0)),
        int(psutil.virtual_memory().available / 1e9 / BOX_GB),
        int((card.free_mb if card else 0) / max(alone_mb, 1)),
    )
    boxes = 1
    while boxes <= max(most, 1):
        yield boxes
        boxes *= 2


@contextmanager
def _gpu_memory() -> Iterator[list[float]]:
    """MB in use on the first GPU, again and again while the block runs; the first is from before it."""
    used = [_used_mb()]
    over = threading.Event()

    def look() -> None:
        while not over.wait(LOOK_S):
            if not isnan(found := _used_mb()):
                used.append(found)

    looking = threading.Thread(target=look, daemon=True)
    looking.start()
    try:
        yield used
    finally:
        over.set()
        looking.join()


def _used_mb() -> float:
    card = gpu()
    return float("nan") if card is None else (card.total_mb - card.free_mb) * 1.048576  # MiB
