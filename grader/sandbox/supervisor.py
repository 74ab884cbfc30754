"""The trusted side of a box: starts it, sends it frames, reads its answers, watches its limits, and ends it.

Nothing that the box sends is trusted: frames are bounded, JSON is checked, arrays stay bytes until `grader.evidence`
reads them. Before `supervise` returns, it checks that every process of the box is dead.

A pool has boxes of one kind, each used once; some are started before their submission is known. A waiting box imports
the modules that every solution imports. It contains nothing of a submission until it is taken and gets its plan.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO, cast

import psutil

from grader.errors import BoxError
from grader.records import Limits, Status
from grader.sandbox.backend import SPARE_TASKS, Backend, Contents
from grader.sandbox.control_groups import Cgroups
from grader.sandbox.gpu import boxes_get_gpu
from grader.sandbox.in_box.frames import At, Plan, Printed, Refused, Stage, StageQuestions, Want, Warm
from grader.sandbox.in_box.wire import WireError, read_frame, write_frame
from grader.sandbox.received_frames import Inbox
from grader.sandbox.resource_limits import rlimits
from grader.sandbox.resource_monitor import End, ResourceMonitor

TICK_S = 0.1
COUNTED_TICK_S = 0.3  # if the kernel enforces the limits: each look takes CPU time from the notebook
LOG_BYTES = 20_000
ENDED_ITSELF = "the run ended before its last cell: something in the notebook ended the process that runs it"
END_S = 60.0  # until killed processes must be gone

GiveQuestions = Callable[[Stage, Inbox], bytes | None]


class Supervisor:
    """One run of one box.

    Raises:
        BoxError: the box could not be started.
    """

    def __init__(self, backend: Backend, contents: Contents, limits: Limits, *, gpu: bool) -> None:
        self._limits = limits
        self._command = backend.command(contents, limits, gpu=gpu)
        self._cgroups = Cgroups(
            limits.memory_mb, limits.processes + SPARE_TASKS, enabled="cgroups" not in backend.without
        )
        request = {
            "supervisor": os.getpid(),
            "cgroups": self._cgroups.procs_files,
            "limits": {} if "rlimits" in backend.without else rlimits(limits),
            "descriptors": {number: content.hex() for number, content in self._command.descriptors.items()},
            "command": list(self._command.arguments),
            "user": None if self._command.user is None else asdict(self._command.user),
            "confinement": None if self._command.confinement is None else asdict(self._command.confinement),
        }
        launcher = str(Path(__file__).with_name("launch.py"))
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", launcher, json.dumps(request)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=dict(self._command.environment),
                start_new_session=True,
                close_fds="descriptors" not in backend.without,
            )
        except OSError as error:
            self._cgroups.remove()
            self._command.end()
            raise BoxError(f"the sandbox could not be started: {error}") from None
        pipes = (self._process.stdin, self._process.stdout, self._process.stderr)
        self._pipes = [cast(BinaryIO, pipe) for pipe in pipes]  # all three are pipes
        counted = self._cgroups.limits_memory
        self._monitor = ResourceMonitor(
            self._process.pid, limits, self._command, counted=counted, enforces_limits="monitor" not in backend.without
        )
        self.inbox = Inbox(limits)
        self._log = bytearray()
        self._tick_s = COUNTED_TICK_S if counted else TICK_S
        self._end: End | None = None
        self._over = threading.Event()  # set when the reader knows why this run is over

    def warm(self, imports: Sequence[str], limits: Limits) -> None:
        """Lets the box start a kernel and import modules while it waits for its plan; `supervise` or `end` must follow.

        The box contains nothing of a submission yet, so it is not monitored, and the time does not count.
        """
        warm = Warm(tuple(imports), int(limits.cell_output_mb * 1e6))
        with contextlib.suppress(OSError):  # if the box has ended, `supervise` reports it
            write_frame(self._pipes[0], *warm.encode())

    def end(self) -> None:
        """Ends the box without having used it.

        Raises:
            BoxError: some of its processes could not be ended.
        """
        try:
            alive = self._kill()
            _close(self._pipes)
        finally:
            self._cgroups.remove()
            self._command.end()
        if alive:
            raise BoxError(f"{alive} processes of an unused sandbox could not be ended; end them by hand")

    def supervise(self, plan: Plan, questions: GiveQuestions, say: Callable[[At | Printed], None]) -> SandboxResult:
        """Runs the plan to its end or to a limit.

        `questions(stage, inbox)` returns a stage's questions when the box requests them, or None to refuse. `say` is
        called in another thread, for a progress display, with what is running and with its last printed line.

        Raises:
            BoxError: some processes of the box could not be ended; the run must not be used.
        """
        started = time.monotonic()
        stdin, stdout, stderr = self._pipes
        reader = threading.Thread(target=self._read_frames, args=(stdin, stdout, plan, questions, say), daemon=True)
        logger = threading.Thread(target=self._read_log, args=(stderr,), daemon=True)
        reader.start()
        logger.start()
        try:
            while self._process.poll() is None:
                self._over.wait(self._tick_s)
                at, begun = self.inbox.running, self.inbox.started
                end = self._monitor.exceeded_limit(time.monotonic() - started, at, started=begun)
                self._end = self._end or end  # the reader may have set it in the meantime
                if self._end is not None or self.inbox.finished:
                    break
        finally:
            alive, peak_mb, killed_for_memory = self._end_box(reader, logger)
        if alive:
            raise BoxError(
                f"{alive} processes of the sandbox could not be ended; this run is not used; end them by hand"
            )
        end = self._end or self._natural_end(killed_for_memory)
        is_crowded = end.status is Status.OK and bool(self._monitor.crowded_at)
        return SandboxResult(
            inbox=self.inbox,
            status=end.status,
            event=end.event,
            ended_itself=end.ended_itself,
            at=self._monitor.crowded_at if is_crowded else self.inbox.running,
            exit_code=self._process.returncode,
            wall_s=time.monotonic() - started,
            cpu_s=self._monitor.cpu_s,
            peak_memory_mb=peak_mb,
            log_tail=bytes(self._log).decode(errors="replace"),
        )

    def _end_box(self, reader: threading.Thread, logger: threading.Thread) -> tuple[int, float, bool]:
        """Kills the box, closes its pipes, and removes what it has left.

        Returns the number of processes that are still alive, the largest memory use in MB, and whether a process was
        killed because of its memory.
        """
        stdin, stdout, stderr = self._pipes
        alive = self._kill()
        reader.join(timeout=10)
        logger.join(timeout=10)
        for thread, streams in ((reader, (stdin, stdout)), (logger, (stderr,))):
            if not thread.is_alive():  # otherwise the thread still holds the stream
                _close(streams)
        peak_mb = max(self._monitor.peak_mb, self._cgroups.peak_memory_mb)
        killed_for_memory = self._cgroups.killed_for_memory or self._monitor.kills_for_memory > 0
        self._cgroups.remove()
        self._command.end()
        return alive, peak_mb, killed_for_memory

    def _natural_end(self, killed_for_memory: bool) -> End:
        too_much = f"it used more than {self._limits.memory_mb} MB of memory"
        if self.inbox.finished:
            if self._monitor.mass_kills:
                too_many = f"there were more than {self._limits.processes} processes"
                return End(Status.OK, f"all processes of the notebook were ended: {too_many}")
            return End(Status.OK, f"a process of the notebook was ended: {too_much}" if killed_for_memory else "")
        if killed_for_memory:
            return End(Status.KILLED, f"the run was ended: {too_much}")
        if self.inbox.started:
            return End(Status.KILLED, ENDED_ITSELF, ended_itself=True)
        return End(Status.BOX_ERROR, "the sandbox did not start")

    def _read_frames(
        self,
        stdin: BinaryIO,
        stdout: BinaryIO,
        plan: Plan,
        questions: GiveQuestions,
        say: Callable[[At | Printed], None],
    ) -> None:
        try:
            write_frame(stdin, *plan.encode())
            while (frame := read_frame(stdout, self.inbox.room_bytes)) is not None:
                match self.inbox.put(*frame):
                    case Want(stage):
                        tensors = questions(stage, self.inbox)
                        reply = Refused(stage) if tensors is None else StageQuestions(stage, tensors)
                        write_frame(stdin, *reply.encode())
                    case At() | Printed() as progress:
                        with contextlib.suppress(OSError):  # the output is closed, or the disk of a log is full
                            say(progress)
                    case None if self.inbox.finished:
                        self._over.set()
        except WireError as error:
            if self._end is None:
                self._end = End(
                    Status.KILLED,
                    f"the run was ended: it sent back too much data, or data of the wrong form ({error})",
                )
                self._over.set()
        except OSError:  # the pipe is closed: the box has ended
            return
        except Exception as error:  # a grader fault: without an end, the box would wait until its time limit
            if self._process.poll() is None:
                failure = f"the supervisor failed ({type(error).__name__}: {error})"
                self._end = self._end or End(Status.BOX_ERROR, failure)
                self._over.set()

    def _read_log(self, stderr: BinaryIO) -> None:
        while chunk := os.read(stderr.fileno(), 1 << 16):
            self._log += chunk
            del self._log[:-LOG_BYTES]

    def _kill(self) -> int:
        """Kills every process of the box, and checks that each is dead; returns how many are still alive.

        The namespace's first process ends all others with it. Known processes and those in the control groups are also
        killed, so that a box without a process namespace ends as well.
        """
        processes = self._monitor.processes_seen()
        if self.inbox.finished:  # an orderly end may take a moment
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(timeout=5)
        if self._command.confinement is not None:  # its guard ends the processes, also those not seen here
            self._process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(timeout=END_S)
        self._process.kill()
        for process in processes:
            with contextlib.suppress(psutil.Error):
                process.kill()
        self._process.wait()
        emptied = self._cgroups.kill()
        deadline = time.monotonic() + END_S
        while alive := [process for process in processes if _is_alive(process)]:
            if time.monotonic() > deadline:
                break
            time.sleep(0.01)
        return len(alive) or int(not emptied)


def _is_alive(process: psutil.Process) -> bool:
    """Whether the process runs; a zombie, which only waits for its parent, does not."""
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return False


def _close(streams: Sequence[BinaryIO]) -> None:
    for stream in streams:
        with contextlib.suppress(OSError):  # unwritten data has no reader any more
            stream.close()


@dataclass(frozen=True, slots=True)
class SandboxResult:
    """The result of a run: the frames, and what was measured from outside."""

    inbox: Inbox
    status: Status
    event: str
    ended_itself: bool  # something in the notebook ended the runner, before the last cell
    at: At  # what was running at the event, according to the box
    exit_code: int | None
    wall_s: float
    cpu_s: float
    peak_memory_mb: float
    log_tail: str


class BoxPool:
    """Provides boxes; as a context manager, it ends those that were not taken."""

    def __init__(self, backend: Backend, contents: Contents, limits: Limits, imports: Collection[str] = ()) -> None:
        self.isolation = backend.name
        self.has_gpu = boxes_get_gpu()
        self._new = partial(Supervisor, backend, contents, limits, gpu=self.has_gpu)
        self._imports, self._limits = tuple(imports), limits
        self._waiting: list[Supervisor] = []

    def ensure_waiting(self, count: int) -> None:
        """Starts boxes until at least `count` of them are waiting, each importing modules meanwhile.

        Raises:
            BoxError: no box could be built on this machine.
        """
        while len(self._waiting) < count:
            supervisor = self._new()
            self._waiting.append(supervisor)
            supervisor.warm(self._imports, self._limits)

    def take(self) -> Supervisor:
        """Returns the box that has waited longest, or a new one.

        Raises:
            BoxError: no box could be built on this machine.
        """
        return self._waiting.pop(0) if self._waiting else self._new()

    def end(self) -> None:
        """Ends all waiting boxes.

        Raises:
            BoxError: some processes could not be ended.
        """
        while self._waiting:
            self._waiting.pop().end()

    def __enter__(self) -> BoxPool:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()
