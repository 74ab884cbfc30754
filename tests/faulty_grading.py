"""Grades a correct solution of the toy exercise as `make grade` does, for tests of grader faults."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from small_exercise import notebook, running

from grader.cli import main

WHOLE = {"one.function": 2, "one.training": 4, "two.function": 2, "two.training": 1}


@dataclass(frozen=True)
class GradingResult:
    """The output of the command, and the run's folder."""

    code: int
    lines: list[str]  # on standard error, without the progress
    folder: Path

    @property
    def items(self) -> dict[str, dict[str, Any]]:
        return {item["id"]: item for item in json.loads((self.folder / "report.json").read_bytes())["items"]}

    @property
    def points(self) -> dict[str, float]:
        return {name: item["points"] for name, item in self.items.items()}

    def is_looked_at(self, *undecided: str) -> None:
        """These items need manual review; every other item has full points."""
        assert self.code == 1
        assert self.lines == []
        for name, item in self.items.items():
            if name in undecided:
                assert item["outcome"] == "needs_review", item
                assert not {"failed", "partial"} & {check["outcome"] for check in item["checks"]}, item
            else:
                assert (item["outcome"], item["points"]) == ("passed", WHOLE[name]), item
        results = json.loads((self.folder / "results.json").read_bytes())
        assert "The course staff will review this submission" in results["output"]

    def is_refused(self, *phrases: str) -> None:
        """Nothing is graded, and one line gives the reason."""
        assert self.code == 2
        assert len(self.lines) == 1, self.lines
        assert self.lines[0].startswith("not graded: ")
        assert self.lines[0].isprintable()
        for words in phrases:
            assert words in self.lines[0]
        assert not (self.folder / "report.json").exists()


class Grade:
    """The command line in this process, with a folder for one run."""

    def __init__(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
        self.rubric = running.write_exercise(tmp_path)
        self.submission = tmp_path / "someone.ipynb"
        self.submission.write_text(json.dumps(notebook.submission()))
        self.folder = tmp_path / "run"
        self._monkeypatch, self._capfd = monkeypatch, capfd

    @property
    def arguments(self) -> list[str]:
        """The arguments that grade the solution."""
        return ["grade", str(self.submission), "--rubric", str(self.rubric), "--out", str(self.folder)]

    def __call__(self, *arguments: str) -> GradingResult:
        """The result of the command; without arguments, of grading the solution."""
        self._monkeypatch.setattr("sys.argv", ["grader", *(arguments or self.arguments)])
        self._capfd.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        lines = [line for line in self._capfd.readouterr().err.splitlines() if not line.startswith("[")]
        return GradingResult(int(ended.value.code or 0), lines, self.folder)


def contents(folder: Path) -> dict[str, bytes]:
    """Every file of the folder except the lock, which records its last holder and time."""
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name != ".lock"}
