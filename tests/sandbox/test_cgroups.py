"""The places of a box's control groups, on a simulated machine."""

from __future__ import annotations

from pathlib import Path

import pytest

from grader.sandbox import control_groups
from grader.sandbox.control_groups import Cgroups


@pytest.fixture
def unified(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine with groups of version 2, and us in a group two below the root."""
    own = tmp_path / "user" / "session"
    own.mkdir(parents=True)
    (tmp_path / "cgroup.controllers").touch()
    for folder in (tmp_path, tmp_path / "user", own):
        (folder / "cgroup.procs").touch()
    monkeypatch.setattr(control_groups, "ROOT", tmp_path)
    monkeypatch.setattr(control_groups, "_current_group", lambda *_: own)
    return own


def test_a_group_is_created_in_our_own_group_if_allowed(unified: Path) -> None:
    (folder,) = Cgroups(100, 20).folders
    assert folder.parent == unified
    assert (folder / "memory.max").read_text() == str(100 << 20)
    assert (folder / "pids.max").read_text() == "20"


def test_a_group_is_created_in_a_parent_if_our_own_does_not_delegate_its_controllers(
    unified: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[Path] = []

    def refuses(_: Cgroups, folder: Path, settings: dict[str, int]) -> bool:
        tried.append(folder.parent)
        return False

    monkeypatch.setattr(Cgroups, "_make", refuses)
    assert Cgroups(100, 20).folders == []
    assert tried == [unified, unified.parent, unified.parents[1]]


def test_a_group_whose_processes_we_may_not_move_is_skipped(unified: Path) -> None:
    (unified / "cgroup.procs").unlink()
    (folder,) = Cgroups(100, 20).folders
    assert folder.parent == unified.parent


def test_each_box_has_its_share_of_the_cores_with_groups_of_version_1(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for controller in ("memory", "pids", "cpu"):
        (tmp_path / controller).mkdir()
    monkeypatch.setattr(control_groups, "ROOT", tmp_path)
    monkeypatch.setattr(control_groups, "_current_group", lambda _, root: root)
    groups = Cgroups(100, 20)
    assert [folder.parent.name for folder in groups.folders] == ["memory", "pids", "cpu"]
    assert (groups.folders[2] / "cpu.shares").read_text() == "1024"
    assert len(groups.procs_files) == 3


def test_no_group_is_created_if_groups_are_disabled(unified: Path) -> None:
    assert Cgroups(100, 20, enabled=False).folders == []
    assert [path.name for path in unified.iterdir()] == ["cgroup.procs"]
