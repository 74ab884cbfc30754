"""The lock files: each pin has hashes, no two locks disagree, and every Python and processor finds its packages."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from install.locks import CUDA, LOCKS, blocks

ROOT = Path(__file__).parents[2]
PYTHONS = ("3.11.0", "3.11.9", "3.12", "3.13", "3.14")
PROCESSORS = ("x86_64-manylinux_2_28", "aarch64-manylinux_2_28")
FOR_DEVELOPERS = {"hypothesis", "mypy", "pytest", "ruff", "vulture"}


def pins(name: str) -> dict[str, str]:
    return blocks((ROOT / name).read_text())


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.file)
def test_every_pin_has_hashes(lock: object) -> None:
    for package, text in pins(lock.file).items():  # type: ignore[attr-defined]
        for pin in re.split(rf"(?m)^(?={re.escape(package)}==)", text)[1:]:
            assert "--hash=sha256:" in pin, package


def test_no_two_locks_pin_a_package_differently() -> None:
    seen: dict[str, str] = {}
    for lock in LOCKS:
        for package, text in pins(lock.file).items():
            assert seen.setdefault(package, text) == text


def test_grading_installs_no_developer_tools_and_re_grading_no_pytorch() -> None:
    grading, regrading = pins("requirements.lock"), pins("requirements-regrade.lock")
    student, develop = pins("requirements-student.lock"), pins("requirements-develop.lock")
    assert not FOR_DEVELOPERS & (grading.keys() | student.keys())
    assert develop.keys() >= FOR_DEVELOPERS
    assert not {"torch", "torchvision", "ipykernel"} & regrading.keys()
    assert not any(CUDA.fullmatch(name) for name in [*regrading, *pins("requirements-cpu.lock")])
    assert len(regrading) <= (len(grading) + len(student)) / 2


def test_the_locks_contain_the_packages_that_the_project_names() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    plain = {name.replace("_", "-").lower() for name in project["dependencies"]}
    assert plain <= pins("requirements-regrade.lock").keys()
    extras = {
        name: {p.replace("_", "-").lower() for p in packages}
        for name, packages in project["optional-dependencies"].items()
    }
    assert plain | extras["grade"] <= pins("requirements.lock").keys()
    assert extras["student"] <= pins("requirements-student.lock").keys() | pins("requirements.lock").keys()


@pytest.mark.whole
@pytest.mark.parametrize("python", PYTHONS)
@pytest.mark.parametrize("processor", PROCESSORS)
@pytest.mark.parametrize("lock", [lock.file for lock in LOCKS])
def test_every_python_and_processor_finds_its_packages(lock: str, processor: str, python: str, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "uv", "pip", "install", "--dry-run", "--target", str(tmp_path), "--no-deps"]
    command += [
        "--python-version",
        python,
        "--python-platform",
        processor,
        "--only-binary",
        ":all:",
        "--require-hashes",
    ]
    answer = subprocess.run(
        [*command, "-r", lock], cwd=ROOT, env=dict(os.environ), capture_output=True, text=True, check=False
    )
    assert answer.returncode == 0, answer.stderr
