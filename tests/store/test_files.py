"""A file is written completely, or stays as it was before."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from grader.store.files import sweep, write_atomically


def test_a_file_is_written_and_replaced(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    for data in (b"one", b"two"):
        write_atomically(path, data)
        assert path.read_bytes() == data
    assert [p.name for p in tmp_path.iterdir()] == ["report.json"]


def test_a_failure_leaves_the_old_file_and_no_litter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "report.json"
    write_atomically(path, b"old")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["report.json"]


def test_a_link_is_replaced_not_followed(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(b"kept")
    path = tmp_path / "report.json"
    path.symlink_to(secret)
    write_atomically(path, b"new")
    assert secret.read_bytes() == b"kept"
    assert path.read_bytes() == b"new"
    assert not path.is_symlink()


def test_only_files_left_by_killed_writers_are_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    below = tmp_path / "submissions" / "ada"
    below.mkdir(parents=True)

    def killed(*_: object) -> None:
        raise SystemExit

    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", killed)
        patched.setattr(Path, "unlink", lambda *_, **__: None)
        with pytest.raises(SystemExit):
            write_atomically(below / "report.json", b"half")
    others = {below / ".notes.tmp", below / "0123456789abcdef.tmp", tmp_path / "report.json"}
    for other in others:
        other.write_bytes(b"kept")
    assert len(list(below.glob(".*.tmp"))) == 2
    sweep(tmp_path)
    assert {path for path in tmp_path.rglob("*") if path.is_file()} == others
