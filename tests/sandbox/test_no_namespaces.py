"""Without namespaces, bubblewrap is refused, a box with a user of its own works, and points are the same."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from python_for_all import AS_ROOT, STRANGER, Python

from grader.records import AS_GRADER
from grader.sandbox import landlock, own_user

ROOT = Path(__file__).parents[2]
# What docker leaves to root in a container: https://docs.docker.com/engine/security/#linux-kernel-capabilities
POWERS = ("audit_write", "chown", "dac_override", "fowner", "fsetid", "kill", "mknod", "net_bind_service", "net_raw")
POWERS += ("setfcap", "setgid", "setpcap", "setuid", "sys_chroot")
CONTAINER = ["setpriv", "--bounding-set=-all," + ",".join(f"+{power}" for power in POWERS)]
FORBIDDEN = str(Path(__file__).with_name("no_namespaces.py"))
GRADE = """
import json, sys
from pathlib import Path
sys.path[:0] = ["tests", "."]
TAKEN
from grader.errors import GraderError
from grader.grading.grade import Options, grade
from grader.report.words import isolation_remark, isolation_warning
from small_exercise import notebook, running
home, isolation = Path(sys.argv[1]), sys.argv[2]
submission = home / "someone.ipynb"
submission.write_text(json.dumps(notebook.submission([HOSTILE])))
try:
    options = Options(isolation=isolation)
    report, _ = grade(submission, running.write_exercise(home), home / "run", options, lambda _: None)
except GraderError as error:
    print(json.dumps({"error": str(error)}))
else:
    values = {"points": report.points_milli, "status": report.status, "isolation": report.isolation}
    values |= {"person": report.needs_person, "warning": isolation_warning(report), "note": isolation_remark(report)}
    print(json.dumps(values | {"executed": (home / "run" / "executed.ipynb").read_text()}))
"""
HOSTILE = """
import os
home = HOME
for act in (lambda: open(home + '/rubric.yaml').read(), lambda: open(home + '/reference.ipynb').read(),
            lambda: open(home + '/someone.ipynb').read(), lambda: os.listdir(home + '/run'), lambda: os.listdir(home),
            lambda: open(home + '/rubric.yaml', 'a').write('points: 100'), lambda: os.rename(home, home + '2')):
    try:
        act()
        print("got " + "it")
    except OSError:
        pass
"""


@pytest.fixture
def readable() -> Iterator[Path]:
    """A copy of what a toy grade needs that everybody may read, with a home that the grader's account owns."""
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        copy = Path(folder)
        copy.chmod(0o755)
        for name in ("grader", "tests/small_exercise"):
            ignored = shutil.ignore_patterns("weights", "__pycache__")
            shutil.copytree(ROOT / name, copy / name, ignore=ignored)
        (copy / "home").mkdir()
        yield copy


def graded(readable: Path, python: Python, isolation: str, *, wrapped: Sequence[str] = (), more: str = "") -> Any:
    """The result of a toy's grade by a program that may make no namespaces."""
    home = readable / "home"
    script = GRADE.replace("TAKEN", python.taken).replace("HOSTILE", repr(HOSTILE.replace("HOME", repr(str(home)))))
    line = [sys.executable, FORBIDDEN, *([more] if more else []), *wrapped, python.program, "-c", script]
    environment = {"PATH": os.environ["PATH"], "HOME": str(home), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [*line, str(home), isolation], cwd=readable, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.splitlines()[-1])


def test_bubblewrap_is_refused_without_namespaces(readable: Path, for_all: Python) -> None:
    assert "the sandbox did not start" in graded(readable, for_all, "bubblewrap")["error"]


@pytest.mark.skipif(not AS_ROOT, reason="only root can give a box a user of its own")
@pytest.mark.parametrize("wrapped", [[], CONTAINER], ids=["all powers", "a container's powers"])
def test_root_grades_and_the_report_names_the_weaker_layers(
    readable: Path, for_all: Python, wrapped: list[str]
) -> None:
    result = graded(readable, for_all, "user", wrapped=wrapped)
    assert (result["points"], result["status"], result["person"], result["warning"]) == (9000, "ok", False, "")
    assert result["isolation"] == f"user: Landlock {landlock.version()}"
    assert "Graded without namespaces, as a separate user" in result["note"]
    assert '"got it' not in result["executed"]


@pytest.mark.skipif(not AS_ROOT, reason="only root has powers to lack")
def test_root_without_a_capability_is_refused_with_its_name(readable: Path, for_all: Python) -> None:
    error = graded(readable, for_all, "user", wrapped=["setpriv", "--bounding-set=-setuid,-kill"])["error"]
    assert "lacks CAP_KILL, CAP_SETUID; start the container with these" in error


@pytest.mark.skipif(not AS_ROOT, reason="only root can become somebody else")
@pytest.mark.skipif(landlock.version() < own_user.LEAST_LANDLOCK, reason="this kernel's Landlock is too old, or off")
def test_an_ordinary_account_grades_and_the_result_needs_review(readable: Path, for_all: Python) -> None:
    os.chown(readable / "home", 12345, 12345)
    result = graded(readable, for_all, "user", wrapped=STRANGER)
    assert (result["points"], result["status"], result["person"]) == (9000, "ok", True)
    assert result["isolation"].startswith(AS_GRADER)
    assert result["warning"].startswith("Graded with little isolation: the submission ran as the grader's own account.")
    assert '"got it' not in result["executed"]


@pytest.mark.skipif(not AS_ROOT, reason="only root can become somebody else")
def test_an_ordinary_account_without_landlock_is_refused(readable: Path, for_all: Python) -> None:
    os.chown(readable / "home", 12345, 12345)
    error = graded(readable, for_all, "user", wrapped=STRANGER, more="--no-landlock")["error"]
    assert "the grader is not root, so Landlock alone would keep your files" in error


@pytest.mark.skipif(not AS_ROOT, reason="only root can give a box a user of its own")
def test_without_landlock_root_grades_what_is_closed_to_others(readable: Path, for_all: Python) -> None:
    error = graded(readable, for_all, "user", more="--no-landlock")["error"]
    assert "expected that no other user may read it" in error
    named = error.partition("chmod go-rwx ")[2].rstrip("`").split()
    assert {str(readable / "grader"), str(readable / "home")} <= set(named)
    for path in named:
        Path(path).chmod(0o700)
    result = graded(readable, for_all, "user", more="--no-landlock")
    assert (result["points"], result["status"], result["isolation"]) == (9000, "ok", "user: no Landlock")
    assert "only file permissions protected files" in result["note"]
    assert '"got it' not in result["executed"]
