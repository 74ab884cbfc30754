"""The bundle on a simulated platform whose containers allow no namespaces: a box with a user of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from python_for_all import AS_ROOT, Python, python_for_all
from small_exercise import notebook, running

from grader.gradescope.bundle import write_bundle

pytestmark = pytest.mark.skipif(not AS_ROOT, reason="the platform runs an autograder as root")
FORBIDDEN = str(Path(__file__).parents[1] / "sandbox" / "no_namespaces.py")
HOSTILE = """
import os
reads = (lambda: open(path).close(), lambda: os.listdir(path))
writes = (lambda: open(path, "a").close(), lambda: open(path + "/new", "w").close())
for path in PATHS:
    for act in ((*reads, *writes) if "/results" not in path else writes):  # which so far holds only a message
        try:
            act()
            print("got " + "it", path)
        except OSError:
            pass
print("looked")
"""
for_all = pytest.fixture(scope="module", name="for_all")(python_for_all)


@pytest.fixture(scope="module")
def platform(for_all: Python) -> Iterator[Path]:
    """The platform's folders after the build of the image, open to all as the platform's are."""
    with TemporaryDirectory(dir="/tmp") as name:
        Path(name).chmod(0o755)
        yield built(Path(name), for_all)


def built(folder: Path, for_all: Python) -> Path:
    (folder / "exercise").mkdir()
    exercise = running.write_exercise(folder / "exercise")
    bundle = write_bundle(exercise, folder / "autograder.zip", isolation="user")
    root = folder / "autograder"
    with zipfile.ZipFile(bundle.path) as archive:
        archive.extractall(root / "source")
    for name in ("submission", "results"):
        (root / name).mkdir()
    (root / "submission_metadata.json").write_text("{}")
    python = folder / "python"  # with the folders of the Python that every user may run
    module = (
        "import runpy, sys; sys.path.insert(0, ''); sys.argv[1:3] = []; runpy.run_module(NAME, run_name='__main__')"
    )
    module = module.replace("NAME", "'grader.gradescope.on_platform'")
    python.write_text(f'#!/bin/bash\nexec {for_all.program} -c "{for_all.taken.replace(chr(34), "")}; {module}" "$@"\n')
    python.chmod(0o755)
    line = ["bash", root / "source" / "setup.sh"]
    done = subprocess.run(line, env=environment(root, sys.executable), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return root


def environment(root: Path, python: object) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return kept | {"AUTOGRADER_ROOT": str(root), "AUTOGRADER_PYTHON": str(python)}


@pytest.mark.parametrize("more", [[], ["--no-landlock"]], ids=["Landlock", "no Landlock"])
def test_a_submission_gets_its_points_and_reads_no_other_files(platform: Path, more: list[str]) -> None:
    secret = ("source", "source/course/rubric.yaml", "results", "results/results.json", "run", "submission")
    paths = [str(platform / name) for name in (*secret, "submission_metadata.json", "submission/x.ipynb")]
    hostile = notebook.submission([HOSTILE.replace("PATHS", repr(paths))])
    (platform / "submission" / "x.ipynb").write_text(json.dumps(hostile))
    line = [sys.executable, FORBIDDEN, *more, "bash", str(platform / "source" / "run_autograder")]
    python = platform.parent / "python"
    completed = subprocess.run(line, env=environment(platform, python), capture_output=True, text=True, timeout=200)
    assert completed.returncode == 0, completed.stderr
    results: dict[str, Any] = json.loads((platform / "results" / "results.json").read_text())
    assert results.get("score") == 9, completed.stderr
    assert results["extra_data"]["isolated"] is True
    executed = (platform / "run" / "graded" / "executed.ipynb").read_text()
    assert "looked" in executed
    assert '"got it' not in executed
