"""An ordinary user grades: the box starts, the points are the same, and weaker layers are reported."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
USER = ["setpriv", "--reuid", "12345", "--regid", "12345", "--clear-groups"]
GRADE = """
import json, sys
from pathlib import Path
sys.path[:0] = ["tests", "."]
from grader.sandbox.layers import missing_here
from grader.grading.grade import grade
from small_exercise import notebook, running
home = Path(sys.argv[1])
submission = home / "someone.ipynb"
submission.write_text(json.dumps(notebook.submission()))
report, _ = grade(submission, running.write_exercise(home), home / "run", say=lambda _: None)
print(json.dumps([report.points_milli, report.status, report.isolation, list(missing_here())]))
"""


@pytest.fixture
def readable() -> Iterator[Path]:
    """A copy of what a toy grade needs that everybody may read."""
    if os.getuid() != 0 or not shutil.which("setpriv"):
        pytest.skip("only root can become somebody else; run the tests as an ordinary user instead")
    again = f"import numpy, subprocess; subprocess.run([{sys.executable!r}, '--version'], check=True)"
    if subprocess.run([*USER, sys.executable, "-c", again], capture_output=True, check=False).returncode:
        pytest.skip("this interpreter can be read by its owner only")
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder)
        copy.chmod(0o755)
        for name in ("grader", "tests/small_exercise"):
            ignored = shutil.ignore_patterns("weights", "__pycache__")
            shutil.copytree(ROOT / name, copy / name, ignore=ignored)
        home = copy / "home"
        home.mkdir()
        os.chown(home, 12345, 12345)
        yield copy


def test_an_ordinary_user_grades_and_sees_which_layers_are_weaker(readable: Path) -> None:
    home = readable / "home"
    environment = {"PATH": os.environ["PATH"], "HOME": str(home), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [*USER, sys.executable, "-c", GRADE, str(home)]
    done = subprocess.run(command, cwd=readable, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    points, status, isolation, missing = json.loads(done.stdout.splitlines()[-1])
    assert (points, status, isolation) == (9000, "ok", "bubblewrap")
    assert set(missing) <= {"cgroups"}
