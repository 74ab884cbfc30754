"""Where attacks are tried: grades in real boxes, and sees what is left on the machine afterwards."""

from __future__ import annotations

import contextlib
import ctypes
import os
import secrets
import socket
import tempfile
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager
from functools import cache
from pathlib import Path
from unittest import mock

import psutil
import pytest
import yaml
from attack_entries import Attack
from attack_files import handed_in, written
from attack_notebooks import base, built
from attack_verdicts import AttackResult
from python_for_all import AS_ROOT, boxes_for_all
from small_exercise import running

from grader.audit import corpus
from grader.errors import GraderError, SubmissionError
from grader.grading.grade import Options, grade
from grader.sandbox.bubblewrap import Bubblewrap
from grader.sandbox.control_groups import PREFIX
from grader.sandbox.control_groups import ROOT as CGROUPS

CHECKOUT = Path(__file__).parents[2]
SEED = secrets.token_hex(16)  # as fresh as a real run's, and the same with and without an attack
PR_SET_CHILD_SUBREAPER = 36
PATIENT = {"cell_s": 40, "wall_s": 240}  # a loaded machine is slow, and only some attacks are after time
PARTS = ("one", "vae", "cvae")
EXPECTED = {"report.html", "report.json", "results.json", "executed.ipynb", "evidence.safetensors", "execution.json"}
EXPECTED |= {
    "findings.json",
    "figures.json",
    "evidence.json",
    "strip.webp",
    "notebook.json",
    "feedback.html",
    "feedback.txt",
    ".source",
    ".lock",
}


class Arena:
    """One test process: what it grades, and how the machine was before."""

    def __init__(self, folder: Path) -> None:
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)  # whatever a box leaves behind becomes our child
        self.mark = "left" + secrets.token_hex(6)
        self.temporary = folder
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.callers: list[str] = []
        threading.Thread(target=self._accept, daemon=True).start()
        self.secret = folder / f"gradebook-{self.mark}.csv"
        self.secret.write_text(f"secret-{self.mark}\n")
        self.words = {
            "@MARK@": self.mark,
            "@PORT@": str(self.listener.getsockname()[1]),
            "@SECRET@": str(self.secret),
            "@CHECKOUT@": str(CHECKOUT),
        }

    def tried(self, attack: Attack, folder: Path) -> AttackResult:
        """The result of the attack."""
        path = handed_in(built(attack, self.words), folder, attack.file)
        for _ in range(attack.times):
            result = graded(path, folder, attack)
        return result

    def without(self, attack: Attack) -> AttackResult:
        """The result of the same notebook without it."""
        return _without(self.temporary, attack.exercise, attack.base, attack.train, attack.part, attack.follow)

    def left_behind(self) -> list[str]:
        """What the boxes so far have left on the machine: processes, control groups, files, callers, a changed file."""
        leftovers = [f"process {name}" for name in self._processes()]
        mine = f"{PREFIX}-{os.getpid()}-"
        folders = (path for path, _, _ in os.walk(CGROUPS))  # passes over what another process removes
        leftovers += [f"control group {path}" for path in folders if Path(path).name.startswith(mine)]
        leftovers += [f"file {path}" for path in self._files()]
        leftovers += [f"a call from {caller}" for caller in self.callers]
        if self.secret.read_text() != f"secret-{self.mark}\n":
            leftovers.append("the gradebook was changed")
        return leftovers

    def close(self) -> None:
        """The listener is gone."""
        self.listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, caller = self.listener.accept()
                connection.close()
                self.callers.append(str(caller))

    def _processes(self) -> Iterator[str]:
        children = psutil.Process().children(recursive=True)
        _, alive = psutil.wait_procs(children, timeout=1)
        for process in alive:
            with contextlib.suppress(psutil.Error):
                command = " ".join(process.cmdline())
                if "resource_tracker" not in command and "forkserver" not in command:
                    yield f"{process.pid}: {command[:120]}"
        for process in psutil.process_iter(["cmdline"]):
            if any(self.mark in argument for argument in process.info["cmdline"] or ()):
                yield f"{process.pid}: {' '.join(process.info['cmdline'])[:120]}"

    def _files(self) -> Iterator[Path]:
        """Files named by attacks: they put our mark into each name."""
        shallow = [Path("/tmp"), Path("/var/tmp"), Path("/dev/shm"), Path.home(), Path.cwd(), Path("/etc")]
        shallow += [Path(tempfile.gettempdir()), *(Path(p) for p in os.sys.path if p)]
        for folder in {path for path in shallow if path.is_dir()}:
            with contextlib.suppress(OSError):
                yield from (path for path in folder.iterdir() if self.mark in path.name)
        for top in (CHECKOUT / "grader", CHECKOUT / "tests", CHECKOUT / "reference", CHECKOUT / "student_template"):
            yield from top.rglob(f"*{self.mark}*")


def graded(path: Path, folder: Path, attack: Attack) -> AttackResult:
    """The file has been graded in a real box, or refused."""
    parts = ((attack.part,) if attack.part else None) if attack.train else ()
    options = Options(seed=SEED, parts=parts, isolation=attack.isolation)
    run = folder / "run"
    try:
        with _box_of(attack):
            report, run_folder = grade(path, _rubric(folder, attack), run, options, lambda _: None)
    except SubmissionError as error:
        return AttackResult(None, str(error), run)
    except GraderError as error:
        return AttackResult(None, str(error), run, ours=True)
    follows = attack.follow or attack.exercise == "vae"
    allowed = EXPECTED | ({"followed.json", *(f"followed-{part}.safetensors" for part in PARTS)} if follows else set())
    assert {entry.name for entry in run_folder.iterdir()} <= allowed
    return AttackResult(report, "", run_folder)


def _box_of(attack: Attack) -> AbstractContextManager[object]:
    """A box that the attack can do something in: as an ordinary user's, where a box of root's would stop it at once."""
    if attack.isolation == "user":
        if not AS_ROOT:
            pytest.skip("only root can give a box a user of its own")
        return boxes_for_all()
    if not attack.same_user:
        return contextlib.nullcontext()
    return mock.patch("grader.grading.run.backend_named", return_value=Bubblewrap(without={"another user"}))


def _rubric(folder: Path, attack: Attack) -> Path:
    if attack.exercise == "vae":
        return corpus.ROOT / "rubric.yaml"
    path = running.write_exercise(folder, follow=attack.follow)
    rubric = yaml.safe_load(path.read_text())
    rubric["limits"] |= PATIENT | attack.limits
    path.write_text(yaml.safe_dump(rubric, sort_keys=False))
    return path


@cache
def _without(temporary: Path, exercise: str, name: str, train: bool, part: str, follow: bool) -> AttackResult:
    folder = temporary / f"{exercise}-{name}-{train}-{part}-{follow}"
    folder.mkdir(exist_ok=True)
    plain = Attack("", "a", "", "", "scored", exercise=exercise, base=name, train=train, part=part, follow=follow)
    return graded(written(base(exercise, name), folder), folder, plain)
