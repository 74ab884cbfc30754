"""How long it takes to start a box, a kernel in it, and alternatives to a kernel.

`python -m benchmarks.starts` prints what `make bench PARTS=starts` writes down.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from grader.exercise import Exercise
from grader.grading.plan import plan_frame
from grader.grading.run import IN_BOX_FOLDER
from grader.records import Rubric
from grader.rubric import load_rubric
from grader.sandbox.backend import IN_BOX, PROBE, Contents
from grader.sandbox.bubblewrap import Bubblewrap
from grader.sandbox.in_box.frames import CellStep
from grader.sandbox.supervisor import Supervisor

ROOT = Path(__file__).parents[1]
ROUNDS = 7
NOTHING = """
import sys
sys.path.insert(0, "/box/engine")
from frames import Done
from wire import write_frame
write_frame(sys.stdout.buffer, *Done().encode())
"""
IMPORTS = "import torch, torchvision, matplotlib.pyplot"
SHELL = "from IPython.core.interactiveshell import InteractiveShell as S; S.instance().run_cell('pass')"
FORKS = f"""
import os, time
{IMPORTS}
began = time.perf_counter()
for _ in range(20):
    if not (child := os.fork()):
        exec("pass")
        os._exit(0)
    os.waitpid(child, 0)
print((time.perf_counter() - began) / 20)
"""


def measure(say: Callable[[str], object] = print) -> dict[str, list[float]]:
    """What is started -> the seconds of each round; each round measures all of them in turn."""
    rubric, exercise = load_rubric(ROOT / "rubric.yaml")
    works: dict[str, Callable[[], float]] = {
        "an interpreter that does nothing": lambda: _command("pass"),
        "a box with such an interpreter": lambda: _box(rubric, exercise, kernel=False),
        "a box with a Jupyter kernel and an empty cell": lambda: _box(rubric, exercise, kernel=True),
        "an IPython shell in an interpreter": lambda: _command(SHELL),
        "an interpreter with the notebook's imports": lambda: _command(IMPORTS),
        "a fork of that interpreter": _fork,
    }
    rounds: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(ROUNDS):
        for name, work in works.items():
            rounds[name].append(work())
    for name, seconds in rounds.items():
        say(f"{name}: {sorted(seconds)[ROUNDS // 2]:.3f} s")
    return rounds


def _command(source: str) -> float:
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", source], check=True)
    return time.perf_counter() - began


def _fork() -> float:
    completed = subprocess.run([sys.executable, "-c", FORKS], check=True, capture_output=True, text=True)
    return float(completed.stdout)


def _box(rubric: Rubric, exercise: Exercise, *, kernel: bool) -> float:
    step = CellStep(0, "pass", 20)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        folder.chmod(0o755)
        (folder / "runner.py").write_text(NOTHING)
        for name in ("frames.py", "wire.py"):
            (folder / name).write_text((IN_BOX_FOLDER / name).read_text())
        began = time.perf_counter()
        contents = Contents({IN_BOX: IN_BOX_FOLDER if kernel else folder, PROBE: exercise.in_box})
        supervisor = Supervisor(Bubblewrap(), contents, rubric.limits, gpu=False)
        kept = supervisor.supervise(
            plan_frame([step], rubric.interface, rubric.limits), lambda *_: None, lambda _: None
        )
        seconds = time.perf_counter() - began
    if not kept.inbox.finished:
        raise SystemExit(f"the box did not do its work: {kept.event} {kept.log_tail[-300:]}")
    return seconds


if __name__ == "__main__":
    measure()
