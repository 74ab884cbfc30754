"""A finished run replaces an earlier one completely or not at all, wherever the grader is killed."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from grader.grading.run_files import (
    EARLIER,
    READY,
    REPORT,
    RUN_FILES,
    files_of_run,
    finish_swap,
    new_run_folder,
    put_in_place,
)

OLD = {name: f"old {name}".encode() for name in (*RUN_FILES, "followed-one.safetensors", "followed-two.safetensors")}
NEW = {name: f"new {name}".encode() for name in RUN_FILES[:9]} | {"followed-two.safetensors": b"new"}
THEIRS = {"overrides.yaml": b"a person's", "notes.txt": b"likewise"}


def fill(folder: Path, files: dict[str, bytes]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder


def run_in(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in files_of_run(folder)}


def replace_run(folder: Path, keep_as: str = "") -> None:
    with new_run_folder(folder) as finished:
        fill(finished, NEW)
        put_in_place(folder, finished, keep_as)


def killed_at(step: int, work: Callable[[], object]) -> bool:
    """Does the work in a process that dies just before its so manieth change of a folder; False where it had fewer."""
    if not (child := os.fork()):
        left = step

        def dying(real: Callable[..., Any]) -> Callable[..., Any]:
            def change(*args: Any, **kwargs: Any) -> Any:
                nonlocal left
                left -= 1
                if left < 0:
                    os._exit(9)
                return real(*args, **kwargs)

            return change

        for owner, name in ((os, "rename"), (os, "replace"), (os, "unlink"), (os, "rmdir"), (os, "mkdir")):
            setattr(owner, name, dying(getattr(owner, name)))
        for name in ("rename", "replace", "unlink", "rmdir", "mkdir"):
            setattr(Path, name, dying(getattr(Path, name)))
        work()
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9


@pytest.mark.parametrize("keep_as", ["", "2026-11-23T10-15-00"])
def test_a_grader_killed_anywhere_leaves_the_old_run_or_the_new_one(
    keep_as: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "fsync", lambda handle: None)  # a killed process loses nothing that it has written
    start = fill(fill(tmp_path / "start", OLD), THEIRS)
    seen = []
    for step in range(500):
        folder = shutil.copytree(start, tmp_path / str(step))
        killed = killed_at(step, lambda folder=folder: replace_run(folder, keep_as))  # type: ignore[misc]
        if killed_at(step % 7, lambda folder=folder: finish_swap(folder)):  # type: ignore[misc]  # whoever takes it up, too
            seen.append(step)
        finish_swap(folder)
        assert run_in(folder) in (OLD, NEW), step
        kept = folder / EARLIER / keep_as
        if keep_as and run_in(folder) == NEW:
            assert run_in(kept) == OLD
        assert {name: (folder / name).read_bytes() for name in THEIRS} == THEIRS
        with new_run_folder(folder):
            pass
        assert not list(folder.glob(".*")), "what killed runs left is swept"
        shutil.rmtree(folder)
        if not killed:
            break
    assert not killed
    assert step > 15
    assert seen, "some were killed while they took up what another had begun"


def test_the_report_comes_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    moved = []
    real = Path.replace
    monkeypatch.setattr(Path, "replace", lambda path, to: (moved.append(Path(to).name), real(path, to))[1])
    replace_run(fill(tmp_path / "run", OLD))
    assert moved[-1] == REPORT


def test_a_run_that_fails_leaves_the_folder_as_it_was(tmp_path: Path) -> None:
    folder = fill(fill(tmp_path / "run", OLD), THEIRS)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}

    def full() -> None:
        with new_run_folder(folder) as finished:
            fill(finished, NEW)
            raise OSError("full")

    with pytest.raises(OSError, match="full"):
        full()
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


@pytest.mark.parametrize("broken", ["no list", "empty list", "no JSON", "a link"])
def test_an_unfinished_run_is_not_put_in_place(broken: str, tmp_path: Path) -> None:
    folder = fill(tmp_path / "run", OLD)
    ready = fill(tmp_path / "elsewhere" if broken == "a link" else folder / READY, NEW)
    if broken == "a link":
        (folder / READY).symlink_to(ready)
    elif broken != "no list":
        (ready / "files.json").write_text("{}" if broken == "empty list" else "?")
    finish_swap(folder)
    assert run_in(folder) == OLD


@pytest.mark.parametrize("trick", ["a name above", "a path of its own", "a link", "invalid names"])
def test_the_list_in_a_foreign_folder_moves_nothing_elsewhere(trick: str, tmp_path: Path) -> None:
    folder, outside = fill(tmp_path / "run", OLD), fill(tmp_path / "outside", {"report.json": b"another's"})
    ready = fill(folder / READY, NEW | {"x.txt": b"hostile"})
    files: list[Any] = [*NEW, "../../outside/report.json", str(outside / "report.json"), "x.txt"]
    keep_as = {"a name above": "..", "a path of its own": str(outside)}.get(trick, "2026")
    if trick == "a link":
        (folder / EARLIER).symlink_to(outside)
    if trick == "invalid names":
        files.append([1])
    (ready / "files.json").write_text(json.dumps({"files": files, "keep_as": keep_as}))
    finish_swap(folder)
    assert {path.name: path.read_bytes() for path in outside.iterdir()} == {"report.json": b"another's"}
    assert run_in(folder) == (OLD if trick == "invalid names" else NEW)
    assert not (folder / "x.txt").exists()
    assert not (folder / READY).exists()
