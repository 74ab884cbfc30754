"""The measurements of `make gpu-check`: the doctor, the reference on the GPU and on the CPU, and several boxes at once.

A step is started only if it is likely to end in time, and is stopped if it does not; the table lists all steps, also
those that were left out. The table is written after every step, so that a killed command loses only its current step.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
REFERENCE = ROOT / "reference" / "vae_mnist.ipynb"
SEED = "0123456789abcdef" * 2
AT_ONCE = (4, 8)
RESERVE_S = 25.0  # for stopping the current step, writing the table and removing the environment
BOX_GB = 3.0  # memory, without the GPU's, of a box that trains the reference
LOOK_S = 1.0
GUESSES = {"the doctor": 40.0, "the reference": 60.0, "the reference on the CPU": 75.0}
PROBE = """
import json, torch
told = {"torch": torch.__version__, "built for CUDA": torch.version.cuda or "none (a build for the CPU)"}
try:
    import torchvision
    told["torchvision"] = torchvision.__version__
except Exception as error:
    told["torchvision"] = f"does not load: {error}"
print(json.dumps(told))
"""
Line = tuple[float, str]


@dataclass
class Step:
    """One row of the table."""

    name: str
    state: str = "left out"  # "done", "failed", "ended": its time was over, or "left out"
    seconds: float = 0.0
    message: str = ""
    values: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class CommandResult:
    """How a command ended; `code` is None if it took too long."""

    code: int | None
    seconds: float
    lines: Sequence[Line]
    gpu_mib: float = 0.0  # peak, without the memory that was in use before

    def printed(self) -> dict[str, Any]:
        """The first JSON object that the command printed; empty if there is none."""
        text = "\n".join(text for _, text in self.lines)
        with contextlib.suppress(ValueError):
            value = json.JSONDecoder().raw_decode(text, text.index("{"))[0]
            return value if isinstance(value, dict) else {}
        return {}

    def last(self) -> str:
        """The last line of output that is not blank, up to 300 characters."""
        return next((text for _, text in reversed(self.lines) if text.strip()), "nothing was printed")[:300]


class Budget:
    """The time that is left for more steps; `now` is a clock in seconds."""

    def __init__(self, seconds: float, spent: float = 0.0, now: Callable[[], float] = time.monotonic) -> None:
        self._now, self._end = now, now() + seconds - spent

    def left(self) -> float:
        """Seconds left, without those reserved for the table; negative if the time is over."""
        return self._end - self._now() - RESERVE_S


class Check:
    """The steps in order, and their results so far."""

    def __init__(self, budget: Budget, out: Path, work: Path, machine: Mapping[str, Any], *, gpu: bool) -> None:
        self.budget, self.out, self.work, self.gpu = budget, out, work, gpu
        self.machine = dict(machine)
        self.steps: list[Step] = []

    def step(self, name: str, estimate_s: float, act: Callable[[float], Step]) -> Step:
        """Runs and records the step, or records it as left out; `act` gets the seconds that it may take."""
        left = self.budget.left()
        if estimate_s > left:
            done = Step(name, message=f"needs about {estimate_s:.0f} s, {max(left, 0):.0f} s are left")
        else:
            print(f"gpu-check: {name} ({left:.0f} s left) ...", flush=True)
            began = time.monotonic()
            done = act(left)
            done.seconds = round(time.monotonic() - began, 1)
        print(f"gpu-check: {name}: {done.state}: {done.message}", flush=True)
        self.steps.append(done)
        self.write()
        return done

    def done(self, name: str) -> Step | None:
        """The step of that name, if it was done."""
        return next((step for step in self.steps if step.name == name and step.state == "done"), None)

    def holds(self) -> bool:
        """Whether nothing failed and the reference was graded, on the GPU if there is one."""
        one = self.done("the reference")
        on_gpu = one is not None and one.values["device"].startswith("cuda")
        return one is not None and on_gpu >= self.gpu and not any(step.state == "failed" for step in self.steps)

    def write(self) -> None:
        """Writes the results so far to both files."""
        self.out.mkdir(parents=True, exist_ok=True)
        results = {"machine": self.machine, "steps": [asdict(step) for step in self.steps]}
        (self.out / "gpu-check.json").write_text(json.dumps(results, indent=1) + "\n")
        (self.out / "gpu-check.md").write_text(table(self.machine, self.steps))


def table(machine: Mapping[str, Any], steps: Sequence[Step]) -> str:
    """The results as Markdown."""
    lines = [f"{name}: {value}  " for name, value in machine.items()]
    lines += ["", "| step | | s | found |", "| --- | --- | ---: | --- |"]
    lines += [f"| {s.name} | {s.state} | {s.seconds:.0f} | {s.message.replace('|', '/')} |" for s in steps]
    return "\n".join(lines) + "\n"


def watched(command: Sequence[str], limit_s: float, environment: Mapping[str, str], log: Path) -> CommandResult:
    """Runs the command until it ends or its time is over; its lines are also written to the log."""
    began = time.monotonic()
    lines: list[Line] = []
    with _gpu_memory() as used, log.open("a", errors="replace") as stream:
        stream.write(f"$ {' '.join(command)}\n")
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        )

        def read() -> None:
            for text in process.stdout or ():
                lines.append((time.monotonic() - began, text.rstrip("\n")))
                stream.write(text)

        reader = threading.Thread(target=read, daemon=True)
        reader.start()
        code: int | None
        try:
            code = process.wait(max(limit_s, 0.0))
        except subprocess.TimeoutExpired:
            code = None
            _end(process)
        reader.join(timeout=5)
        if process.stdout is not None and not reader.is_alive():
            process.stdout.close()
    return CommandResult(code, time.monotonic() - began, lines, max(used) - used[0])


def _end(process: subprocess.Popen[str]) -> None:
    """Ends the command and the processes that it started."""
    for number in (signal.SIGINT, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(3.0)
            return


@contextmanager
def _gpu_memory() -> Iterator[list[float]]:
    """Samples the MiB in use on all usable GPUs while the block runs; the first sample is taken before it."""
    from grader.sandbox.gpu import gpus

    def look() -> float:
        return float(sum(card.total_mb - card.free_mb for card in gpus()))

    used, over = [look()], threading.Event()

    def again() -> None:
        while not over.wait(LOOK_S):
            used.append(look())

    looking = threading.Thread(target=again, daemon=True)
    if used[0]:
        looking.start()
    try:
        yield used
    finally:
        over.set()
        if looking.is_alive():
            looking.join()


def points_of(report: Path) -> dict[str, float]:
    """Item -> its points; empty if there is no report."""
    try:
        return {item["id"]: item["points"] for item in json.loads(report.read_text())["items"]}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def from_grade(name: str, result: CommandResult, report: Path) -> Step:
    """The row of a grade of one notebook."""
    points = points_of(report)
    if result.code is None:
        return Step(name, "ended", message="its time was over")
    if not points:
        return Step(name, "failed", message=result.last())
    content = json.loads(report.read_text())
    from benchmarks.phases import TRAINING, phases

    spent = {phase: round(seconds, 1) for phase, seconds in phases(result.lines, result.seconds).items()}
    values = {"points": points, "device": content["device"], "phases": spent, "GPU MiB": result.gpu_mib}
    values["remarks"] = [remark["message"] for remark in content["remarks"]]
    unused = [remark for remark in values["remarks"] if remark.startswith("This machine has a GPU")]
    words = [f"{sum(points.values()):g} points", f"on {content['device']}", f"training cells {spent[TRAINING]:.0f} s"]
    words += [f"{result.gpu_mib:.0f} MiB of GPU memory at most"] if result.gpu_mib else []
    return Step(name, "done", message="; ".join([", ".join(words), *unused]), values=values)


def from_class(name: str, result: CommandResult, folder: Path, size: int) -> Step:
    """The row of a class: submissions per hour, the different points, and GPU memory per box."""
    reports = sorted(folder.glob("submissions/*/report.json"))
    sums = sorted({sum(points_of(report).values()) for report in reports})
    if result.code is None:
        return Step(name, "ended", message=f"its time was over, {len(reports)} of {size} were graded")
    if len(reports) < size:
        return Step(name, "failed", message=f"{len(reports)} of {size} graded: {result.last()}")
    rate = size * 3600 / result.seconds
    values = {"an hour": round(rate), "GPU MiB": result.gpu_mib, "points": sums}
    words = [f"{rate:.0f} submissions an hour", f"points {', '.join(f'{points:g}' for points in sums)}"]
    words += [f"{result.gpu_mib / size:.0f} MiB of GPU memory a box"] if result.gpu_mib else []
    return Step(name, "done", message=", ".join(words), values=values)


def compared(one: Mapping[str, float], other: Mapping[str, float]) -> str:
    """The items whose points differ between GPU and CPU, in words."""
    differing = [
        f"{item} {one.get(item)} and {other.get(item)}" for item in {**one, **other} if one.get(item) != other.get(item)
    ]
    return (
        f"other points on the CPU: {', '.join(differing)}"
        if differing
        else "each item has the same points as on the CPU"
    )


def class_estimate(one_s: float, boxes: int, cores: int, *, gpu: bool) -> float:
    """The estimated seconds for this many notebooks at once, if one alone took `one_s` on all cores."""
    if gpu:
        return one_s * (1.2 + 0.1 * boxes)
    return one_s * max(1.2, 1.5 * boxes / max(cores, 2))


def most_boxes(boxes: int, one: Step, free_gb: float, gpu_free_mib: float) -> str:
    """Why this many boxes do not fit; empty if they do."""
    if boxes * BOX_GB > free_gb:
        return f"{boxes} boxes need {boxes * BOX_GB:.0f} GB of memory, {free_gb:.1f} GB are free"
    each = float(one.values.get("GPU MiB", 0.0))
    if each and boxes * each > gpu_free_mib:
        return f"{boxes} boxes need {boxes * each:.0f} MiB of GPU memory, {gpu_free_mib:.0f} MiB are free"
    return ""


def run(check: Check, environment: Mapping[str, str]) -> None:
    """Runs every step, or records it as left out."""
    grader, log = [sys.executable, "-m", "grader"], check.out / "gpu-check.log"

    def doctor(limit_s: float) -> Step:
        result = watched([*grader, "doctor", "--json"], limit_s, environment, log)
        diagnosis = result.printed()
        if result.code is None or not diagnosis:
            return Step("the doctor", "ended" if result.code is None else "failed", message=result.last())
        promises = {one["title"]: one for one in diagnosis["promises"]}
        bad = [
            f"{title}: {one['found']}" for title, one in promises.items() if one["state"] != "holds" and title != "GPU"
        ]
        gpu = f"GPU: {promises['GPU']['found']}" if "GPU" in promises else ""
        idle = check.gpu and promises.get("GPU", {}).get("state") != "holds"
        state = "done" if diagnosis["fit"] and not idle else "failed"
        return Step(
            "the doctor", state, message="; ".join(filter(None, [diagnosis["conclusion"], gpu, *bad])), values=diagnosis
        )

    def grade(name: str, on: Mapping[str, str]) -> Callable[[float], Step]:
        out = check.work / name.replace(" ", "-")
        command = [*grader, "grade", str(REFERENCE), "--out", str(out), "--seed", SEED]
        return lambda limit_s: from_grade(
            name, watched(command, limit_s, {**environment, **on}, log), out / "report.json"
        )

    check.step("the doctor", GUESSES["the doctor"], doctor)
    one = check.step("the reference", GUESSES["the reference"], grade("the reference", {}))
    _on_cpu(check, one, grade("the reference on the CPU", {"CUDA_VISIBLE_DEVICES": ""}))
    for boxes in AT_ONCE:
        _at_once(check, one, boxes, environment, log)


def _on_cpu(check: Check, one: Step, grade: Callable[[float], Step]) -> None:
    """Grades the reference on the CPU, unless the first grade was on the CPU."""
    name = "the reference on the CPU"
    if one.state != "done" or not one.values["device"].startswith("cuda"):
        why = "the reference was on the CPU already" if one.state == "done" else "the reference was not graded"
        check.step(name, float("-inf"), lambda _: Step(name, "left out", message=why))
        return

    def both(limit_s: float) -> Step:
        done = grade(limit_s)
        if done.state == "done":
            done.values["same"] = done.values["points"] == one.values["points"]
            done.message += f"; {compared(one.values['points'], done.values['points'])}"
            done.state = "done" if done.values["same"] else "failed"
        return done

    check.step(name, GUESSES[name], both)


def _at_once(check: Check, one: Step, boxes: int, environment: Mapping[str, str], log: Path) -> None:
    """Grades a class with as many copies of the reference as boxes at once."""
    import psutil

    from grader.sandbox.gpu import gpus

    name = f"{boxes} boxes at once"
    free_gb = psutil.virtual_memory().available / 1e9
    why = "the reference was not graded" if one.state != "done" else ""
    why = why or most_boxes(boxes, one, free_gb, sum(card.free_mb for card in gpus()))
    if why:
        check.step(name, float("-inf"), lambda _: Step(name, "left out", message=why))
        return

    def act(limit_s: float) -> Step:
        submissions, out = check.work / f"class-{boxes}", check.work / f"graded-{boxes}"
        copies(submissions, boxes)
        command = [sys.executable, "-m", "grader", "grade-class", str(submissions), "--rubric", "rubric.yaml"]
        command += ["--out", str(out), "--workers", str(boxes)]
        return from_class(name, watched(command, limit_s, environment, log), out, boxes)

    cores = len(os.sched_getaffinity(0))
    check.step(name, class_estimate(one.seconds, boxes, cores, gpu=check.gpu), act)


def copies(folder: Path, count: int) -> None:
    """Writes copies of the reference that differ only in a cell of text."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        notebook = json.loads(REFERENCE.read_text())
        cell = {"cell_type": "markdown", "id": f"copy{number}", "metadata": {}, "source": f"Copy {number}."}
        notebook["cells"].append(cell)
        (folder / f"student{number}.ipynb").write_text(json.dumps(notebook))


def machine_now(environment: Mapping[str, str]) -> tuple[dict[str, Any], bool]:
    """A description of this machine, and whether boxes get a GPU."""
    import psutil

    from grader.sandbox.gpu import boxes_get_gpu, gpus

    asked = subprocess.run([sys.executable, "-c", PROBE], env=dict(environment), capture_output=True, text=True)
    cards = [f"{card.name}, {card.total_mb} MiB, {card.free_mb} MiB free" for card in gpus()]
    has_gpu = boxes_get_gpu()
    unknown = "a driver, but nvidia-smi does not say what it drives" if has_gpu else "none: this is measured on the CPU"
    description: dict[str, Any] = {
        "taken": datetime.now(UTC).isoformat(timespec="seconds"),
        "GPU": "; ".join(cards) or unknown,
        "driver": _driver(),
        "python": platform.python_version(),
        "cores": len(os.sched_getaffinity(0)),
        "memory, GB": round(psutil.virtual_memory().total / 1e9),
    }
    try:
        description |= json.loads(asked.stdout)
    except ValueError:
        description["torch"] = f"does not load: {(asked.stderr.strip().splitlines() or [''])[-1][:200]}"
    return description, has_gpu


def _driver() -> str:
    from grader.sandbox.gpu import nvidia_smi

    if (tool := nvidia_smi()) is None:
        return "no nvidia-smi"
    try:
        line = [tool, "--query-gpu=driver_version", "--format=csv,noheader"]
        asked = subprocess.run(line, capture_output=True, text=True, timeout=20, errors="replace")
    except (OSError, subprocess.SubprocessError):
        return "nvidia-smi does not answer"
    return next(iter(asked.stdout.splitlines()), "nvidia-smi says nothing")[:60]


def main(arguments: Sequence[str]) -> int:
    """See `benchmarks.gpu_check`."""
    parser = argparse.ArgumentParser()
    for name in ("--wheels", "--out", "--work"):
        parser.add_argument(name, type=Path, required=True)
    parser.add_argument("--budget-s", type=float, required=True)
    parser.add_argument("--spent-s", type=float, default=0.0)
    asked = parser.parse_args(arguments)
    budget = Budget(asked.budget_s, asked.spent_s)
    asked.work.mkdir(parents=True, exist_ok=True)
    asked.out.mkdir(parents=True, exist_ok=True)
    (asked.out / "gpu-check.log").write_text("")
    environment = {**os.environ, "VAE_GRADER_CACHE": str(asked.work / "cache"), "PYTHONUNBUFFERED": "1"}
    carried = {**environment, "MNIST_ROOT": str(asked.wheels / "mnist")}
    mnist = watched(
        [sys.executable, "-m", "grader.exercises.vae_mnist.data"], budget.left(), carried, asked.out / "gpu-check.log"
    )
    if mnist.code != 0:
        print(f"gpu-check: {mnist.last()}", file=sys.stderr)
        return 2
    environment.pop("MNIST_ROOT", None)
    machine, gpu = machine_now(environment)
    check = Check(budget, asked.out, asked.work, machine, gpu=gpu)
    run(check, environment)
    print(table(check.machine, check.steps))
    print(f"gpu-check: {asked.out / 'gpu-check.md'}, gpu-check.json and gpu-check.log")
    return 0 if check.holds() else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
