"""Compares the container and the assignment with the rubric: each difference is a line for staff.

The platform's documentation (https://gradescope-autograders.readthedocs.io/en/latest/) states the defaults: 768 MB,
half a processor and 10 minutes; at most 40 minutes can be set. A run cannot find out which time-out is set.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from pydantic import TypeAdapter

from grader.records import Limits
from grader.report.text import plain, points_text
from grader.store.bounded import Unreadable
from grader.store.json_files import read_json

GRADER_MB = 1000  # for the grader's own process and the system; see docs/capacity.md
BOX_MB = 2000  # for a box that trains, with some reserve
CORES = 2
TO_SET = (
    "time-out: set 40 minutes in the assignment's Autograder Settings; the default is 10 minutes, and the grader "
    "cannot read this setting",
)
MOST_BYTES = 1_000_000
_METADATA: TypeAdapter[dict[str, Any]] = TypeAdapter(dict[str, Any])


@dataclass(frozen=True)
class Resources:
    """The resources of a container."""

    memory_mb: float
    cores: float
    disk_mb: float  # free

    @property
    def words(self) -> str:
        """All resources in one line."""
        return (
            f"this container has {self.memory_mb:.0f} MB of memory, {self.cores:g} cores and {self.disk_mb:.0f} MB free"
        )


def resources_here(
    folder: Path, groups: Path = Path("/sys/fs/cgroup"), own: Path = Path("/proc/self/cgroup")
) -> Resources:
    """The resources of this process: those of the machine, limited by its control groups of version 2 or 1."""
    memory = [psutil.virtual_memory().total]
    cores = [float(len(os.sched_getaffinity(0)))]
    for group in _above(groups, _path(own, "")):
        memory += _numbers(group / "memory.max")[:1]
        cores += _share(_numbers(group / "cpu.max"))
    for group in _above(groups / "memory", _path(own, "memory")):
        memory += _numbers(group / "memory.limit_in_bytes")
    for group in _above(groups / "cpu", _path(own, "cpu")):
        cores += _share(_numbers(group / "cpu.cfs_quota_us") + _numbers(group / "cpu.cfs_period_us"))
    return Resources(min(memory) / 1e6, round(min(cores), 2), shutil.disk_usage(folder).free / 1e6)


def risks(resources: Resources, limits: Limits) -> list[str]:
    """The risks for grading, each with what to set."""
    messages: list[str] = []
    room = int(resources.memory_mb) - GRADER_MB
    if room < BOX_MB:
        messages.append(
            f"memory: {resources.memory_mb:.0f} MB is too little to train and grade; choose a container with at "
            f"least {GRADER_MB + BOX_MB} MB in Autograder Settings"
        )
    elif room < limits.memory_mb:
        messages.append(
            f"memory: the container has {resources.memory_mb:.0f} MB, but the grader needs {GRADER_MB} MB and a "
            f"notebook may use limits.memory_mb = {limits.memory_mb} MB; a notebook that uses too much ends the whole "
            f"run; set limits.memory_mb to {room} in the rubric and make the bundle again, or choose a larger container"
        )
    if resources.cores < CORES:
        messages.append(
            f"cores: {resources.cores:g}; training may take longer than the time-out; choose at least {CORES} cores"
        )
    if resources.disk_mb < limits.disk_mb:
        messages.append(
            f"disk: {resources.disk_mb:.0f} MB are free, but a notebook may write limits.disk_mb = {limits.disk_mb} "
            "MB; lower that limit"
        )
    return messages


def other_points(metadata: Path, points_milli: int) -> list[str]:
    """A line if the assignment's points differ from the rubric's; points are not changed."""
    try:
        assignment = read_json(metadata, _METADATA, MOST_BYTES).get("assignment")
    except Unreadable:
        return []  # written by the platform; missing in tests
    total = assignment.get("total_points") if isinstance(assignment, dict) else None
    try:
        worth_milli = round(float(str(total)) * 1000)
    except (ValueError, OverflowError):
        return []
    if worth_milli == points_milli:
        return []
    ours = points_text(points_milli)
    return [
        f"points: the assignment is worth {plain(str(total), 20)} points, the rubric {ours}; points are never scaled: "
        f"set the assignment's autograder points to {ours}, unless the rest is graded by hand"
    ]


def _path(own: Path, controller: str) -> str:
    """The control group of this process, as the kernel names it; "" is the controller of version 2."""
    try:
        lines = own.read_text().splitlines()
    except OSError:
        return "/"
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controller in controllers.split(","):
            return path
    return "/"


def _above(root: Path, path: str) -> Iterator[Path]:
    """The group and its parents up to the root; a container may see its own group as the root."""
    group = root / path.lstrip("/")
    while group != root and root in group.parents:
        yield group
        group = group.parent
    yield root


def _numbers(file: Path) -> list[int]:
    """The numbers in a control group's file; "max" gives no number."""
    try:
        return [int(word) for word in file.read_text().split() if word.lstrip("-").isdigit()]
    except OSError:
        return []


def _share(quota_and_period: list[int]) -> list[float]:
    """The number of processors that a quota allows; empty without a quota."""
    if len(quota_and_period) != 2 or min(quota_and_period) <= 0:
        return []
    return [quota_and_period[0] / quota_and_period[1]]
