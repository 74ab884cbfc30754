"""Runs inside the box: drives a Jupyter kernel through the keeper's plan and sends back what happened.

It shares the box with the student's code, so the keeper believes none of it. It reads one frame, `plan`, then
executes the plan's steps: notebook cells, and stages of the probe, whose questions it asks the keeper for only when
their turn has come. A kernel that dies is started again and the quick cells are replayed, so that one fatal cell
costs only what depends on it; of the fatal one itself, only what it defines is replayed.

Frames sent: `at` (what is running), `cell/<index>`, `answer/<stage>/<question>`, `note/<stage>/<question>`,
`stage/<stage>`, `want/<stage>`, `event` and `done`. Frames read: `plan`, `questions/<stage>`, `refused/<stage>`; and
before the plan perhaps `warm`, upon which a kernel is started and modules are imported, while nothing is known yet.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import shutil
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

sys.path.insert(0, str(Path(__file__).parent))
from client import DROPPED, ERROR_BYTES
from kernel import Kernel, Ran
from wire import WireError, read_frame, write_frame

WORK = Path(os.environ.get("TMPDIR", "/tmp")) / ".box"
MAX_QUESTIONS_BYTES = 1 << 28
MAX_ESCAPED = 6  # bytes that JSON may take for one character
DEATH_S = 2  # until a kernel's death is noticed
REST_S = 1.5  # in which a kernel dies that a cell has told to end soon


class Channel:
    """The two pipes to the keeper, taken away from everything that is started later."""

    def __init__(self) -> None:
        self.incoming: BinaryIO = os.fdopen(os.dup(0), "rb")
        self.outgoing: BinaryIO = os.fdopen(os.dup(1), "wb")
        with open(os.devnull, "rb") as nothing:  # a descriptor is wanted
            os.dup2(nothing.fileno(), 0)
        os.dup2(2, 1)  # whatever prints to descriptor 1 from now on goes to the log

    def send(self, name: str, data: bytes | dict[str, Any] = b"") -> None:
        write_frame(self.outgoing, name, data if isinstance(data, bytes) else json.dumps(data).encode())

    def receive(self) -> tuple[str, bytes]:
        frame: tuple[str, bytes] | None = read_frame(self.incoming, MAX_QUESTIONS_BYTES)
        if frame is None:
            raise SystemExit("the keeper has closed the channel")
        return frame


@dataclass
class Done:
    """A cell that has run: what a new kernel runs of it, and what was told of it."""

    index: int
    again: str
    definitions: str  # its imports, functions, classes and plain values
    told: dict[str, Any]

    def distrust(self) -> None:
        """It ends kernels: a new one runs only what it defines; nothing where that ended one."""
        self.again = self.definitions if self.again != self.definitions else ""


class Runner:
    """Executes a plan; see the module's text."""

    def __init__(self, channel: Channel) -> None:
        self.channel = channel
        self.plan: dict[str, Any] = {}
        self.kernel: Kernel | None = None
        self.restarts_left = 0
        self.done: list[Done] = []
        self.doubtful = False  # whether a cell has run of which nothing shows yet that it ends no kernel later

    async def run(self) -> None:
        """Every step has been executed or reported as skipped."""
        name, data = self.channel.receive()
        if name == "warm":
            self.plan = json.loads(data)
            if (kernel := await self.living_kernel()) is not None:
                for module in self.plan["imports"]:
                    await kernel.execute(f"__import__('importlib').import_module({module!r}) and None", 120)
            name, data = self.channel.receive()
        if name != "plan":
            raise SystemExit(f"expected the plan, got {name!r}")
        self.plan = json.loads(data)
        self.restarts_left = self.plan["kernel_restarts"]
        for step in self.plan["steps"]:
            if step["kind"] == "cell":
                await self.run_cell(step)
            else:
                await self.run_stage(step)
        self.channel.send("done")
        if self.kernel is not None:
            await self.kernel.stop()

    async def living_kernel(self, *, careful: bool = False) -> Kernel | None:
        """A kernel that has seen the prelude and, after a death, the quick cells again; None when none is left.

        Where one of these ends the kernel, at once or a moment later, a careful kernel finds which: it rests after
        each. That cell is never run again, but for what it defines.
        """
        if self.kernel is not None and self.kernel.alive:
            return self.kernel
        if (kernel := await self.started()) is None:
            return None
        for done in [done for done in self.done if done.again]:
            await kernel.execute(done.again, self.plan["replay_timeout_s"])
            if careful:
                await kernel.rest(REST_S)
            if not kernel.alive:
                if careful:
                    done.distrust()
                    self.channel.send(f"cell/{done.index}", {**done.told, "status": "died"})  # its outputs stay
                return await self.living_kernel(careful=not careful)
        return kernel

    async def started(self) -> Kernel | None:
        """A new kernel that has seen the prelude; None where none is left."""
        first = self.kernel is None
        if self.kernel is not None:
            if self.restarts_left == 0:
                return None
            self.restarts_left -= 1
            await self.kernel.stop()
        kernel = Kernel(self.plan["cell_output_bytes"])
        try:
            await kernel.start(os.environ["HOME"])
        except Exception:
            if first:
                raise
            self.restarts_left = 0  # the first one started: what keeps this one from it, the notebook left here
            return None
        self.kernel = kernel
        for folder in (os.environ["BOX_ENGINE"], os.environ["BOX_PROBE"]):
            prelude = Path(folder, "prelude.py")
            ran = await kernel.execute(prelude.read_text() if prelude.exists() else "", 60)
            if ran.status != "ok" and first:
                self.channel.send("event", {"ours": f"the prelude of {folder} failed: {ran.error}"})
        return kernel

    async def run_cell(self, step: dict[str, Any]) -> None:
        index = step["index"]
        self.channel.send("at", {"cell": index})
        ran = Ran("skipped", 0.0, "", [])
        while (kernel := await self.living_kernel()) is not None:
            ran = await kernel.execute(step["source"], step["timeout_s"])
            if not await self.is_doubtful(ran):
                self.done.append(self.as_done(step, ran))
                self.doubtful = ran.status != "died"
                break
        content = ran.as_json()
        if len(json.dumps(content)) > MAX_ESCAPED * self.plan["cell_output_bytes"] + ERROR_BYTES:
            content["outputs"] = [{"output_type": "stream", "name": "stderr", "text": DROPPED}]
        self.channel.send(f"cell/{index}", content)

    async def is_doubtful(self, ran: Ran) -> bool:
        """Whether a cell before may have ended the kernel under this, which is then to run once more.

        The new kernel has rested after those cells: what they do a moment later, it has survived, or they have been
        found. Only for what is quick, and once: whatever dies again has ended the kernel itself.
        """
        doubtful, self.doubtful = self.doubtful, False
        if not doubtful or ran.status != "died" or ran.seconds > self.plan["replay_max_s"] + DEATH_S:
            return False
        self.restarts_left += 1  # finding out costs none
        if (kernel := await self.living_kernel()) is not None:
            await kernel.rest(REST_S)
            if not kernel.alive:
                await self.living_kernel(careful=True)
        return True

    def as_done(self, step: dict[str, Any], ran: Ran) -> Done:
        """What a new kernel will run of the cell: all, what it defines, or nothing."""
        quick = step["replay"] == "always" or (step["replay"] == "quick" and ran.seconds <= self.plan["replay_max_s"])
        definitions = step["definitions"] if step["replay"] != "never" else ""
        again = step["source"] if quick and ran.status in {"ok", "error"} else definitions
        return Done(step["index"], again, definitions, ran.as_json(outputs=False))

    async def run_stage(self, step: dict[str, Any]) -> None:
        """Asks a stage's questions; one that kills the kernel is left out and the rest asked again."""
        stage = step["stage"]
        self.channel.send("at", {"stage": stage})
        self.channel.send(f"want/{stage}")
        name, questions = self.channel.receive()
        if name != f"questions/{stage}":
            return
        try:
            status = await self.ask(step, stage, questions)
        except (OSError, UnicodeError, WireError):  # nobody but the notebook shares the box's disk with us
            status = {"status": "spoilt"}
        self.channel.send(f"stage/{stage}", status)

    async def ask(self, step: dict[str, Any], stage: str, questions: bytes) -> dict[str, str]:
        """How the stage ended, once what it answers has been sent."""
        folder = WORK / stage
        shutil.rmtree(folder, ignore_errors=True)
        (folder / "answers").mkdir(parents=True)
        (folder / "questions.safetensors").write_bytes(questions)
        done: set[str] = set()
        interrupted = 0
        while True:
            kernel = await self.living_kernel()
            if kernel is None:
                return {"status": "skipped"}
            request = {
                **step,
                "folder": str(folder),
                "skip": sorted(done),
                "probe": os.environ["BOX_PROBE"],
                "interface": self.plan["interface"],
            }
            asking = asyncio.ensure_future(kernel.execute(recorder_call(request), step["timeout_s"]))
            try:
                while not asking.done():
                    await asyncio.wait({asking}, timeout=0.5)
                    self.forward(stage, folder, done)
            finally:
                ran = await asking
            if await self.is_doubtful(ran):
                continue
            if kernel.alive:
                if ran.status == "error" and ran.error.startswith("Spoilt:"):
                    return {"status": "spoilt"}
                if ran.status == "error" and ran.error.startswith(("KeyboardInterrupt", "OSError: [Errno 24]")):
                    interrupted += 1  # a late one, meant for a cell; or numpy's, which finds no room for its threads
                    if interrupted == 2:
                        return {"status": "interrupted"}
                    continue
                if ran.status == "error":  # the recorder catches what student code raises: this is its or the probe's
                    self.channel.send("event", {"ours": f"asking {stage} failed: {ran.error}"})
                return {"status": ran.status, "error": ran.error}
            current = folder / "asking"
            question = current.read_text() if current.exists() else ""
            what = "did not finish in time" if ran.status == "timeout" else "ended the whole Python process"
            if not question or question in done:
                return {"status": "died"}
            self.channel.send(f"note/{stage}/{question}", {"error": f"your code {what}"})
            done.add(question)

    def forward(self, stage: str, folder: Path, done: set[str]) -> None:
        """Sends the answers and notes that are complete; the recorder renames a file when it is."""
        most = self.plan["answer_bytes"]
        for path in sorted((folder / "answers").glob("[!.]*.*")):
            question, kind = path.stem, path.suffix
            if not path.is_file():  # a pipe would have us wait for ever
                continue
            if path.stat().st_size > most:  # would end the whole run
                error = (
                    f"the answer has {path.stat().st_size / 1e6:.0f} MB, more than the {most / 1e6:g} MB that are taken"
                )
                self.channel.send(f"note/{stage}/{question}", {"error": error})
            elif kind == ".safetensors":
                self.channel.send(f"answer/{stage}/{question}", path.read_bytes())
            elif kind == ".json":
                self.channel.send(f"note/{stage}/{question}", path.read_bytes())
            else:
                continue
            done.add(question)
            path.unlink()


def recorder_call(request: dict[str, Any]) -> str:
    """The code that asks a stage's questions in the student's kernel."""
    recorder = Path(__file__).with_name("recorder.py")
    own = "__import__('builtins')"  # a notebook may have a function `compile` or `open` of its own
    return (
        f"{own}.exec({own}.compile({own}.open({str(recorder)!r}).read(), {str(recorder)!r}, 'exec'),"
        f" {{'__name__': 'recorder', 'student': {own}.globals(), 'request': {request!r}}})"
    )


def main() -> None:
    """Reads the plan, runs it, and reports the runner's own faults as such."""
    if tasks := int(os.environ.get("BOX_TASKS", 0)):  # here, for inside it counts the box's own tasks alone
        resource.setrlimit(resource.RLIMIT_NPROC, (tasks, tasks))
    channel = Channel()
    started = time.monotonic()
    try:
        asyncio.run(Runner(channel).run())
    except Exception as error:
        channel.send(
            "event",
            {"ours": f"runner: {type(error).__name__}: {error} after {time.monotonic() - started:.0f} s"},
        )
        raise


if __name__ == "__main__":
    main()
