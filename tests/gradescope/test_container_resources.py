"""Container and assignment are compared with the rubric, and staff are told what to set."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from small_exercise import running

from grader.gradescope.container_resources import Resources, other_points, resources_here, risks
from grader.gradescope.on_platform import shown_when

LIMITS = running.rubric(memory_mb=8000, disk_mb=2000).limits


def group(folder: Path, files: dict[str, str]) -> Path:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)
    return folder


VERSION_2 = {"memory.max": "805306368\n", "cpu.max": "50000 100000\n"}
VERSION_1 = {
    "memory/memory.limit_in_bytes": "805306368\n",
    "cpu/cpu.cfs_quota_us": "50000\n",
    "cpu/cpu.cfs_period_us": "100000\n",
}
INSIDE_2 = {"memory.max": "max\n", "cpu.max": "max 100000\n", "a/memory.max": "805306368\n"}
INSIDE_2 |= {"a/cpu.max": "50000 100000\n", "a/b/memory.max": "max\n", "a/b/cpu.max": "max 100000\n"}


@pytest.mark.parametrize(
    ("files", "own"),
    [(VERSION_2, "0::/\n"), (VERSION_1, "4:memory:/\n3:cpu,cpuacct:/docker/not-seen\n"), (INSIDE_2, "0::/a/b\n")],
    ids=["version 2", "version 1", "the group above"],
)
def test_memory_and_cores_come_from_the_control_group(files: dict[str, str], own: str, tmp_path: Path) -> None:
    (tmp_path / "own").write_text(own)
    resources = resources_here(tmp_path, group(tmp_path / "groups", files), tmp_path / "own")
    assert resources.memory_mb == pytest.approx(805.3, abs=0.1)
    assert resources.cores == 0.5


@pytest.mark.parametrize(
    "files",
    [
        {"memory.max": "max\n", "cpu.max": "max 100000\n"},
        {"memory/memory.limit_in_bytes": "9223372036854771712\n", "cpu/cpu.cfs_quota_us": "-1\n"},
        {},
    ],
)
def test_without_a_limit_the_resources_are_the_machines(files: dict[str, str], tmp_path: Path) -> None:
    resources = resources_here(tmp_path, group(tmp_path / "groups", files), tmp_path / "nothing")
    assert resources.memory_mb > 1000
    assert resources.cores >= 1


@pytest.mark.parametrize(
    ("resources", "says"),
    [
        (
            Resources(805, 2, 9000),
            ["memory: 805 MB is too little to train and grade; choose a container with at least 3000"],
        ),
        (Resources(6442, 4, 9000), ["set limits.memory_mb to 5442 in the rubric"]),
        (Resources(16000, 0.5, 9000), ["cores: 0.5; training may take longer than the time-out"]),
        (Resources(16000, 2, 500), ["disk: 500 MB are free"]),
        (Resources(16000, 2, 9000), []),
    ],
)
def test_a_risk_is_reported_with_what_to_set(resources: Resources, says: list[str]) -> None:
    messages = risks(resources, LIMITS)
    assert len(messages) == len(says)
    assert all(text in line for text, line in zip(says, messages, strict=True))


@pytest.mark.parametrize(
    ("content", "difference"),
    [
        (json.dumps({"assignment": {"total_points": "50.0"}}), "worth 50.0 points, the rubric 100; "),
        (json.dumps({"assignment": {"total_points": 120}}), "worth 120 points, the rubric 100; "),
        (json.dumps({"assignment": {"total_points": "100.0"}}), ""),
        (json.dumps({"assignment": {"total_points": None}}), ""),
        (json.dumps({"assignment": {"total_points": "1e999"}}), ""),
        (json.dumps({"assignment": "x"}), ""),
        ("[]", ""),
        ("{", ""),
    ],
)
def test_an_assignment_with_different_points_is_reported(content: str, difference: str, tmp_path: Path) -> None:
    (tmp_path / "submission_metadata.json").write_text(content)
    messages = other_points(tmp_path / "submission_metadata.json", 100_000)
    assert difference in "".join(messages)
    assert bool(difference) == bool(messages)
    assert other_points(tmp_path / "missing.json", 100_000) == []


def test_the_visibility_applies_to_the_whole_and_to_each_test() -> None:
    results = {"output": "x", "visibility": "visible", "tests": [{"name": "a", "visibility": "visible"}]}
    shown = shown_when(results, "after_due_date")
    assert shown == {
        "output": "x",
        "visibility": "after_due_date",
        "tests": [{"name": "a", "visibility": "after_due_date"}],
    }
    assert results["visibility"] == "visible"
