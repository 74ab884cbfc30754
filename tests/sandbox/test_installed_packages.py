"""An installed grader, and a course beside it, lie among Python's packages; a box sees those packages and not these."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pathspec
import pluggy
import pytest
from python_for_all import boxes_for_all
from small_box import run_script

import grader
from grader.sandbox import landlock
from grader.sandbox.backend import Backend
from grader.sandbox.box_contents import private_in_sight
from grader.sandbox.bubblewrap import Bubblewrap
from grader.sandbox.in_box.frames import Address
from grader.sandbox.own_user import OwnUser

# Two packages that no notebook needs stand for the grader and for a course's own.
INSTALLED, COURSE = (Path(package.__file__).resolve().parent for package in (pathspec, pluggy))
BACKENDS: dict[str, Callable[[], Backend]] = {
    "bubblewrap": lambda: Bubblewrap(private=[COURSE]),
    "user": lambda: OwnUser(private=[COURSE]),
}
LOOK = f"""
import importlib.util
sys.path[:0] = [{str(INSTALLED.parent)!r}]
def read(path):
    with open(path) as file:
        return file.read(10)
tell({{
    "installed": tried(lambda: read({str(INSTALLED / "__init__.py")!r})),
    "course": tried(lambda: read({str(COURSE / "__init__.py")!r})),
    "written": tried(lambda: open({str(COURSE / "new.py")!r}, "w").close()),
    "others": importlib.util.find_spec("numpy") is not None and __import__("numpy").arange(3).sum().item(),
    "another": tried(lambda: read({str(INSTALLED.parent / "psutil" / "__init__.py")!r})),
}})
"""


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The grader is where an installed package is."""
    monkeypatch.setattr(grader, "__file__", str(INSTALLED / "__init__.py"))


def looked(backend: Backend) -> Any:
    run = run_script(LOOK, backend=backend, memory_mb=500)
    answer = run.inbox.answers.get(Address("small.box/value"))
    assert answer is not None, f"{run.event}: {run.log_tail[-400:]}"
    return json.loads(answer)


@pytest.mark.parametrize("name", BACKENDS)
def test_a_box_reads_neither_an_installed_grader_nor_a_course_beside_it(name: str, installed: None) -> None:
    if name == "user" and not landlock.version():
        pytest.skip("this kernel has no Landlock: --isolation user refuses packages that strangers can read")
    with boxes_for_all() if name == "user" else nullcontext():
        answers = looked(BACKENDS[name]())
    assert (answers["others"], answers["another"][0]) == (3, "through")
    assert {answers[what][0] for what in ("installed", "course", "written")} == {"refused"}


def test_without_being_hidden_the_same_files_are_read() -> None:
    answers = looked(Bubblewrap())
    assert {answers[what][0] for what in ("installed", "course")} == {"through"}


def test_only_what_a_box_would_see_is_hidden_and_the_outermost_folder_of_it(tmp_path: Path, installed: None) -> None:
    inside = INSTALLED / "patterns"
    assert private_in_sight([tmp_path, Path(os.sep), inside, COURSE]) == sorted([INSTALLED.resolve(), COURSE.resolve()])
