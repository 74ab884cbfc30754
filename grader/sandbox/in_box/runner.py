"""Runs inside the box: drives a Jupyter kernel through the supervisor's plan and sends back what happened.

It shares the box with the student's code, so the supervisor does not trust it. It reads the plan, then
executes the plan's steps: notebook cells, and stages of the probe, whose questions it requests from the supervisor only
when their turn has come. If a kernel dies, a new one replays the quick cells, so that a fatal cell costs only the
results that depend on it. Of the fatal cell itself, only the definitions are replayed.

`frames.py` defines the frames that are sent and read. `Warm` may come before the plan: then a kernel is started and
modules are imported in advance.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import resource
import shutil
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

sys.path.insert(0, str(Path(__file__).parent))
from client import DROPPED, ERROR_BYTES
from frames import (
    LARGE,
    MAX_ESCAPED,
    RECORDED,
    At,
    Cell,
    CellStatus,
    CellStep,
    Done,
    Frame,
    Malformed,
    Plan,
    Printed,
    Replay,
    RunnerFault,
    Stage,
    StageEnd,
    StageQuestions,
    StageStatus,
    StageStep,
    Unanswered,
    Want,
    Warm,
    recorded,
    to_box,
)
from kernel import CellResult, Kernel
from wire import WireError, read_frame, write_frame

WORK = Path(os.environ["BOX_WORK"])
PROGRESS_S = 3  # between two messages about a running cell's progress
DEATH_S = 2  # until a kernel's death is noticed
REST_S = 1.5  # within this time, a kernel dies that a cell has asked to end soon


class Channel:
    """The two pipes to the supervisor, which processes that are started later do not inherit."""

    def __init__(self) -> None:
        self.incoming: BinaryIO = os.fdopen(os.dup(0), "rb")
        self.outgoing: BinaryIO = os.fdopen(os.dup(1), "wb")
        with open(os.devnull, "rb") as nothing:
            os.dup2(nothing.fileno(), 0)
        os.dup2(2, 1)  # whatever prints to descriptor 1 from now on goes to the log

    def send(self, frame: Frame) -> None:
        write_frame(self.outgoing, *frame.encode())

    def receive(self) -> Frame:
        frame = read_frame(self.incoming, LARGE)
        if frame is None:
            raise SystemExit("the supervisor has closed the channel")
        return to_box(*frame)


@dataclass
class EarlierCell:
    """A cell that has run: the code of it that a new kernel runs, and the report that was sent about it."""

    again: str
    definitions: str  # its imports, functions, classes and plain values
    frame: Cell  # without outputs


class Runner:
    """Executes a plan; see the module's docstring."""

    def __init__(self, channel: Channel) -> None:
        self.channel = channel
        self.plan: Plan
        self.cell_output_bytes = 0
        self.kernel: Kernel | None = None
        self.restarts_left = 0
        self.earlier_cells: list[EarlierCell] = []
        self.doubtful = False  # whether a cell has run that may still end the kernel later

    async def run(self) -> None:
        """Executes every step, or reports it as skipped."""
        frame = self.channel.receive()
        if isinstance(frame, Warm):
            self.cell_output_bytes = frame.cell_output_bytes
            if (kernel := await self.living_kernel()) is not None:
                for module in frame.imports:
                    await kernel.execute(f"__import__('importlib').import_module({module!r}) and None", 120)
            frame = self.channel.receive()
        if not isinstance(frame, Plan):
            raise SystemExit(f"expected the plan, got {frame.kind!r}")
        self.plan = frame
        self.cell_output_bytes, self.restarts_left = frame.cell_output_bytes, frame.kernel_restarts
        for step in frame.steps:
            await (self.run_cell(step) if isinstance(step, CellStep) else self.run_stage(step))
        self.channel.send(Done())
        if self.kernel is not None:
            await self.kernel.stop()

    async def living_kernel(self, *, careful: bool = False) -> Kernel | None:
        """Returns a kernel that has run the prelude and, after a death, the quick cells; None when no restart is left.

        If one of these cells ends the kernel, at once or a moment later, the next kernel waits after each cell to find
        out which one it is. Of that cell, only definitions are run again.
        """
        if self.kernel is not None and self.kernel.alive:
            return self.kernel
        if (kernel := await self.new_kernel()) is None:
            return None
        for cell in [cell for cell in self.earlier_cells if cell.again]:
            await kernel.execute(cell.again, self.plan.replay_timeout_s)
            if careful:
                await kernel.rest(REST_S)
            if not kernel.alive:
                if careful:
                    # A new kernel runs only the cell's definitions, or nothing if these ended a kernel, too.
                    cell.again = cell.definitions if cell.again != cell.definitions else ""
                    self.channel.send(replace(cell.frame, status=CellStatus.DIED))  # its outputs stay
                return await self.living_kernel(careful=not careful)
        return kernel

    async def new_kernel(self) -> Kernel | None:
        """Returns a new kernel that has run the prelude; None when no restart is left."""
        first = self.kernel is None
        if self.kernel is not None:
            if self.restarts_left == 0:
                return None
            self.restarts_left -= 1
            await self.kernel.stop()
        kernel = Kernel(self.cell_output_bytes)
        try:
            await kernel.start(os.environ["HOME"])
        except Exception:
            if first:
                raise
            self.restarts_left = 0  # the first kernel started, so the notebook has left something that prevents this
            return None
        self.kernel = kernel
        for folder in (os.environ["BOX_ENGINE"], os.environ["BOX_PROBE"]):
            prelude = Path(folder, "prelude.py")
            result = await kernel.execute(prelude.read_text() if prelude.exists() else "", 60)
            if result.status is not CellStatus.OK and first:
                self.channel.send(RunnerFault(f"the prelude of {folder} failed: {result.error}"))
        return kernel

    async def run_cell(self, step: CellStep) -> None:
        self.channel.send(At(cell=step.index))
        result = CellResult(CellStatus.SKIPPED, 0.0, "", [])
        while (kernel := await self.living_kernel()) is not None:
            result = await self.execute(kernel, step)
            if not await self.is_doubtful(result):
                self.earlier_cells.append(self.earlier_cell(step, result))
                self.doubtful = result.status is not CellStatus.DIED
                break
        outputs = json.dumps(result.outputs).encode()
        if len(outputs) > MAX_ESCAPED * self.cell_output_bytes + ERROR_BYTES:
            outputs = json.dumps([{"output_type": "stream", "name": "stderr", "text": DROPPED}]).encode()
        self.channel.send(replace(as_frame(step, result), outputs=outputs))

    async def execute(self, kernel: Kernel, step: CellStep) -> CellResult:
        """Runs the cell and returns how it ended; while it runs, its last line is sent every few seconds."""
        execution = asyncio.ensure_future(kernel.execute(step.source, step.timeout_s))
        try:
            while not (await asyncio.wait({execution}, timeout=PROGRESS_S))[0]:
                self.channel.send(Printed(kernel.last_line()))
        finally:
            result = await execution
        return result

    async def is_doubtful(self, result: CellResult) -> bool:
        """Whether an earlier cell may have ended the kernel under this cell, which must then run again.

        The new kernel waits after each earlier cell, so it has survived their delayed effects, or has shown which one
        is fatal. Only quick cells are run again, and once: a cell that dies again has ended the kernel itself.
        """
        if result.status is not CellStatus.DIED:
            return False  # `doubtful` stays: an earlier cell may still end the kernel later
        doubtful, self.doubtful = self.doubtful, False
        if not doubtful or result.seconds > self.plan.replay_max_s + DEATH_S:
            return False
        self.restarts_left += 1  # this test must not use up a restart
        if (kernel := await self.living_kernel()) is not None:
            await kernel.rest(REST_S)
            if not kernel.alive:
                await self.living_kernel(careful=True)
        return True

    def earlier_cell(self, step: CellStep, result: CellResult) -> EarlierCell:
        """Returns the code that a new kernel will run of the cell: all, its definitions, or nothing."""
        quick = step.replay == Replay.QUICK and result.seconds <= self.plan.replay_max_s
        definitions = step.definitions if step.replay != Replay.NEVER else ""
        whole = (quick or step.replay == Replay.ALWAYS) and result.status in {CellStatus.OK, CellStatus.ERROR}
        return EarlierCell(step.source if whole else definitions, definitions, as_frame(step, result))

    async def run_stage(self, step: StageStep) -> None:
        """Asks a stage's questions; a question that kills the kernel is left out, and the rest is asked again."""
        self.channel.send(At(stage=step.stage))
        self.channel.send(Want(step.stage))
        questions = self.channel.receive()
        if not isinstance(questions, StageQuestions) or questions.stage != step.stage:
            return
        try:
            status = await self.ask(step, questions)
        except (OSError, UnicodeError, Malformed, WireError):  # only the notebook can have changed the runner's files
            status = StageStatus.DAMAGED
        self.channel.send(StageEnd(step.stage, status))

    async def ask(self, step: StageStep, questions: StageQuestions) -> StageStatus:
        """Asks the stage, sends its answers, and returns how the stage ended."""
        folder = WORK / step.stage
        shutil.rmtree(folder, ignore_errors=True)
        (folder / "answers").mkdir(parents=True)
        (folder / "questions.safetensors").write_bytes(questions.tensors)
        done: set[str] = set()
        interrupted = 0
        while True:
            kernel = await self.living_kernel()
            if kernel is None:
                return StageStatus.SKIPPED
            request = {
                "stage": step.stage,
                "kind": step.stage.kind,
                "question_s": step.question_s,
                "folder": str(folder),
                "skip": sorted(done),
                "probe": os.environ["BOX_PROBE"],
                "interface": self.plan.interface,
                "given": self.plan.given if step.stage.kind in self.plan.given.get("stages", ()) else {},
                "in_box": str(Path(__file__).parent),
                "writable": [os.environ["HOME"], os.environ["TMPDIR"], "/content"],
            }
            execution = asyncio.ensure_future(kernel.execute(recorder_call(request), step.timeout_s))
            try:
                while not execution.done():
                    await asyncio.wait({execution}, timeout=0.5)
                    self.forward(step.stage, folder, done)
            finally:
                result = await execution
            if await self.is_doubtful(result):
                continue
            if kernel.alive:
                failed = result.status is CellStatus.ERROR
                if failed and result.error.startswith("Damaged:"):
                    return StageStatus.DAMAGED
                if failed and result.error.startswith(("KeyboardInterrupt", "OSError: [Errno 24]")):
                    interrupted += 1  # a late interrupt meant for a cell, or numpy's, which could not start its threads
                    if interrupted == 2:
                        return StageStatus.INTERRUPTED
                    continue
                if failed:  # the recorder catches errors of student code: this one is its own or the probe's
                    self.channel.send(RunnerFault(f"asking {step.stage} failed: {result.error}"))
                return StageStatus(result.status)
            current = folder / "asking"
            question = current.read_text() if current.exists() else ""
            what = "did not finish in time" if result.status is CellStatus.TIMEOUT else "ended the whole Python process"
            if not question or question in done:
                return StageStatus.DIED
            self.channel.send(Unanswered(step.stage.question(question), f"your code {what}"))
            done.add(question)

    def forward(self, stage: Stage, folder: Path, done: set[str]) -> None:
        """Sends the complete answers, and why others are missing; the recorder renames a file when it is complete."""
        most = self.plan.answer_bytes
        for path in sorted((folder / "answers").glob("[!.]*.*")):
            if not path.is_file() or path.suffix not in RECORDED:  # reading a pipe could block forever
                continue
            with contextlib.suppress(Malformed):  # a file that the notebook wrote: no question has this name
                if (size := path.stat().st_size) > most:  # as a frame, it would end the whole run
                    error = f"the answer has {size / 1e6:.0f} MB, more than the {most / 1e6:g} MB that are taken"
                    self.channel.send(Unanswered(stage.question(path.stem), error))
                else:
                    self.channel.send(recorded(stage, path.name, path.read_bytes()))
            done.add(path.stem)
            path.unlink()


def as_frame(step: CellStep, result: CellResult) -> Cell:
    """Returns the report on the cell, without its outputs."""
    return Cell(step.index, result.status, result.seconds, result.error, result.asked)


def recorder_call(request: dict[str, Any]) -> str:
    """Returns the code that asks a stage's questions in the student's kernel."""
    recorder = Path(__file__).with_name("recorder.py")
    builtins = "__import__('builtins')"  # a notebook may have a function `compile` or `open` of its own
    return (
        f"{builtins}.exec({builtins}.compile({builtins}.open({str(recorder)!r}).read(), {str(recorder)!r}, 'exec'),"
        f" {{'__name__': 'recorder', 'student': {builtins}.globals(), 'request': {request!r}}})"
    )


def main() -> None:
    """Reads the plan, runs it, and reports the runner's own errors as grader faults."""
    if tasks := int(os.environ.get("BOX_TASKS", 0)):  # set here, because inside the box only the box's tasks count
        resource.setrlimit(resource.RLIMIT_NPROC, (tasks, tasks))
    channel = Channel()
    started = time.monotonic()
    try:
        asyncio.run(Runner(channel).run())
    except Exception as error:
        channel.send(RunnerFault(f"runner: {type(error).__name__}: {error} after {time.monotonic() - started:.0f} s"))
        raise


if __name__ == "__main__":
    main()
