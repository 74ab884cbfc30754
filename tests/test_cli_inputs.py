"""A file that is no notebook gives one clear line on standard error and exit code 2, never a traceback."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def _notebook(**other: object) -> bytes:
    return json.dumps({"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5} | other).encode()


def _large(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(200_000_000)  # sparse: takes no room


MARKDOWN = {"cell_type": "markdown", "metadata": {}, "source": "# Title"}
FILES: dict[str, tuple[Callable[[Path], object], str]] = {
    "missing": (lambda path: None, "no such file"),
    "empty": (lambda path: path.write_bytes(b""), "is empty"),
    "folder": (lambda path: path.mkdir(), "is a folder"),
    "not-json": (lambda path: path.write_bytes(b"import torch\n"), "is not JSON"),
    "json-list": (lambda path: path.write_bytes(b"[1, 2]"), "no notebook"),
    "format-3": (lambda path: path.write_bytes(_notebook(nbformat=3, worksheets=[])), "notebook format 3"),
    "no-code": (lambda path: path.write_bytes(_notebook(cells=[MARKDOWN])), "no code cell"),
    "no-cells": (lambda path: path.write_bytes(_notebook(cells=None)), "no list of cells"),
    "not-utf8": (lambda path: path.write_bytes(b'{"cells": "\xff\xfe"}'), "not UTF-8"),
    "large": (_large, "200.0 MB"),
}


@pytest.mark.parametrize("name", FILES)
def test_bad_input_gives_one_line_and_exit_code_2(name: str, tmp_path: Path) -> None:
    make, said = FILES[name]
    path = tmp_path / f"{name}.ipynb"
    make(path)
    ended = _grade(str(path), "--out", str(tmp_path / "run"))
    assert ended.returncode == 2
    assert len(ended.stderr.splitlines()) == 1, ended.stderr
    assert ended.stderr.startswith("not graded: ")
    assert said in ended.stderr
    assert "Traceback" not in ended.stdout + ended.stderr
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--rubric", "nowhere.yaml"], "nowhere.yaml"),
        (["--seed", "17"], "--seed: expected the 32 hexadecimal digits"),
        (["--isolation", "prayer"], "prayer"),
    ],
)
def test_bad_options_give_one_line_and_exit_code_2(arguments: list[str], said: str, tmp_path: Path) -> None:
    ended = _grade("reference/vae_mnist.ipynb", "--out", str(tmp_path / "run"), *arguments)
    assert ended.returncode == 2
    assert said in ended.stderr
    assert len(ended.stderr.splitlines()) == 1, ended.stderr
    assert "Traceback" not in ended.stdout + ended.stderr


def _grade(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "grader", "grade", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
