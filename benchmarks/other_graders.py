"""Otter-Grader and nbgrader in their own environments, and the commands that grade the reference with them.

Their environments see this project and its PyTorch through a `.pth` file, so that nothing is installed again.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.public_tests import with_nbgrader_tests, write_otter_tests

ROOT = Path(__file__).parents[1]
ENVIRONMENTS = Path("build/bench")
PACKAGES = {"otter": "otter-grader", "nbgrader": "nbgrader"}
CELL_S = 1200


@dataclass(frozen=True)
class Contender:
    """A way to run the reference notebook: a command, its folder, and how to see that it worked."""

    name: str
    command: list[str]
    folder: Path
    done: Path  # a file that the command writes
    tests: Mapping[str, str]
    version: str


def environment(name: str) -> Path:
    """The environment's folder of programs; creates the environment if it is missing."""
    home = ENVIRONMENTS / name
    programs = (home / "bin").resolve()
    if not (programs / name).exists():
        subprocess.run([sys.executable, "-m", "venv", str(home)], check=True)
        subprocess.run([str(programs / "pip"), "install", "-q", PACKAGES[name]], check=True)
        (site_packages,) = home.glob("lib/python*/site-packages")
        (site_packages / "zz_project.pth").write_text(f"{sysconfig.get_paths()['purelib']}\n{ROOT}\n")
    return programs


def otter(notebook: dict[str, Any], tests: Mapping[str, str], folder: Path) -> Contender:
    """`otter run`, without a container, which is fastest."""
    programs = environment("otter")
    write_otter_tests(tests, folder / "tests")
    (folder / "config.json").write_text("{}")
    (folder / "out").mkdir()
    submission = folder / "submission.ipynb"
    submission.write_text(json.dumps(notebook))
    generate = [str(programs / "otter"), "generate", "-t", "tests", "-c", "config.json", "-o", "autograder.zip"]
    subprocess.run([*generate, "--no-requirements", "--no-environment"], cwd=folder, check=True, capture_output=True)
    line = [str(programs / "otter"), "run", "--no-logo", "-a", "autograder.zip", "-o", "out", submission.name]
    done = folder / "out" / "results.json"
    return Contender("Otter-Grader", line, folder, done, tests, _version(programs, "otter-grader"))


def nbgrader(notebook: dict[str, Any], tests: Mapping[str, str], folder: Path) -> Contender:
    """`nbgrader autograde` of one student."""
    programs = environment("nbgrader")
    content = json.dumps(with_nbgrader_tests(tests, notebook))
    for path in (folder / "source" / "lab", folder / "submitted" / "ada" / "lab"):
        path.mkdir(parents=True)
        (path / "lab.ipynb").write_text(content)
    program = str(programs / "nbgrader")
    settings = {"Execute": {"timeout": CELL_S}, "ExecutePreprocessor": {"timeout": CELL_S}}
    (folder / "nbgrader_config.json").write_text(json.dumps({**settings, "CourseDirectory": {"course_id": "bench"}}))
    release = [program, "generate_assignment", "lab", "--create", "--force"]
    subprocess.run(release, cwd=folder, check=True, capture_output=True, env=_own(programs))
    line = [program, "autograde", "lab", "--force"]
    done = folder / "autograded" / "ada" / "lab" / "lab.ipynb"
    return Contender("nbgrader", line, folder, done, tests, _version(programs, "nbgrader"))


def passed(contender: Contender) -> int:
    """The number of public tests that passed in the last run."""
    results = json.loads(contender.done.read_text())
    if contender.name == "Otter-Grader":
        return sum(test.get("score", 0) == 1 for test in results["tests"] if test["name"] in contender.tests)
    graded = [cell for cell in results["cells"] if cell["metadata"].get("nbgrader", {}).get("grade")]
    return sum(not any(o["output_type"] == "error" for o in cell["outputs"]) for cell in graded)


def _own(programs: Path) -> dict[str, str]:
    return {**os.environ, "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}"}


def _version(programs: Path, package: str) -> str:
    asked = f"from importlib.metadata import version; print(version({package!r}))"
    return subprocess.run(
        [str(programs / "python"), "-c", asked], capture_output=True, text=True, check=True
    ).stdout.strip()
