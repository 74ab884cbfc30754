"""A file that is not a notebook gives one clear line on standard error and exit code 2, never a traceback."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from grader.cli import main

ROOT = Path(__file__).parents[1]


def _notebook(**other: object) -> bytes:
    return json.dumps({"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5} | other).encode()


def _large(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(200_000_000)  # sparse: uses no disk space


MARKDOWN = {"cell_type": "markdown", "metadata": {}, "source": "# Title"}
FILES: dict[str, tuple[Callable[[Path], object], str]] = {
    "missing": (lambda path: None, "no such file"),
    "empty": (lambda path: path.write_bytes(b""), "is empty"),
    "folder": (lambda path: path.mkdir(), "is a folder"),
    "not-json": (lambda path: path.write_bytes(b"import torch\n"), "is not JSON"),
    "json-list": (lambda path: path.write_bytes(b"[1, 2]"), "not a notebook"),
    "format-3": (lambda path: path.write_bytes(_notebook(nbformat=3, worksheets=[])), "notebook format 3"),
    "no-code": (lambda path: path.write_bytes(_notebook(cells=[MARKDOWN])), "no code cell"),
    "no-cells": (lambda path: path.write_bytes(_notebook(cells=None)), "no list of cells"),
    "not-utf8": (lambda path: path.write_bytes(b'{"cells": "\xff\xfe"}'), "not UTF-8"),
    "large": (_large, "200.0 MB"),
}


@pytest.mark.parametrize("name", FILES)
def test_invalid_input_prints_a_single_line_and_exits_with_2(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    make, message = FILES[name]
    path = tmp_path / f"{name}.ipynb"
    make(path)
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr("sys.argv", ["grader", "grade", str(path), "--out", str(tmp_path / "run")])
    with pytest.raises(SystemExit) as ended:
        main()
    out, err = capfd.readouterr()
    assert ended.value.code == 2
    assert len(err.splitlines()) == 1, err
    assert err.startswith("not graded: ")
    assert message in err
    assert out == ""
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere.ipynb"], "nowhere.ipynb: no such file"),
        (["grader"], "grader: is a folder"),
        (["reference/vae_mnist.ipynb", "--rubric", "nowhere.yaml"], "nowhere.yaml"),
        (["reference/vae_mnist.ipynb", "--isolation", "prayer"], "'prayer': unknown; expected one of bubblewrap, con"),
    ],
)
def test_the_installed_command_prints_a_single_line_and_exits_with_2(
    arguments: list[str], message: str, tmp_path: Path
) -> None:
    command = [sys.executable, "-m", "grader", "grade", *arguments, "--out", str(tmp_path / "run")]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    lines = [line for line in ended.stderr.splitlines() if not line.startswith("[")]  # without the progress
    assert ended.returncode == 2
    assert len(lines) == 1, ended.stderr
    assert lines[0].startswith("not graded: ")
    assert message in lines[0]
    assert "Traceback" not in ended.stdout + ended.stderr
