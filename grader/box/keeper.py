"""The trusted side of a box: starts it, feeds it frames, reads what comes back, watches its limits, and ends it.

Nothing that comes out is believed: frames are bounded, JSON is checked, arrays stay bytes until `grader.evidence` reads
them. When `keep` returns, every process of the box is dead and has been seen to be dead.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, BinaryIO, cast

import psutil

from grader.box.backend import Backend, Contents
from grader.box.cgroups import Cgroups
from grader.box.inbox import Inbox
from grader.box.usage import usage
from grader.errors import BoxError
from grader.in_box.wire import WireError, read_frame, write_frame
from grader.records import Limits, Status

TICK_S = 0.1
LOG_BYTES = 20_000
START_GRACE_S = 120  # a machine under load may take long to import Jupyter
OPEN_FILES = 4096

Questioner = Callable[[str, "Inbox"], bytes | None]


class Keeper:
    """One run of one box."""

    def __init__(self, backend: Backend, contents: Contents, limits: Limits, *, gpu: bool) -> None:
        self._limits = limits
        self._cgroups = Cgroups(limits.memory_mb, limits.processes + 8)
        command, environment = backend.command(contents, limits, gpu=gpu)
        rlimits = {"CORE": 0, "NOFILE": OPEN_FILES, "FSIZE": limits.disk_mb * 1_000_000}
        request = {"cgroups": self._cgroups.join, "limits": rlimits, "command": command}
        launcher = str(Path(__file__).with_name("launch.py"))
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", launcher, json.dumps(request)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=environment,
                start_new_session=True,
            )
        except OSError as error:
            self._cgroups.remove()
            raise BoxError(f"the box could not be started: {error}") from None
        self.inbox = Inbox(limits)
        self._log = bytearray()
        self._end: tuple[Status, str] | None = None
        self._peak_mb, self._cpu_s = 0.0, 0.0

    def keep(self, plan: dict[str, Any], questions: Questioner, say: Callable[[dict[str, Any]], None]) -> Kept:
        """Runs the plan to its end or to a limit.

        `questions(stage, inbox)` gives a stage's questions when the box asks for them, or None to refuse;
        `say` hears what is running, for a progress display.
        """
        started = time.monotonic()
        pipes = (self._process.stdin, self._process.stdout, self._process.stderr)
        stdin, stdout, stderr = (cast(BinaryIO, pipe) for pipe in pipes)  # all three were asked for
        reader = threading.Thread(target=self._read_frames, args=(stdin, stdout, plan, questions, say), daemon=True)
        logger = threading.Thread(target=self._read_log, args=(stderr,), daemon=True)
        reader.start()
        logger.start()
        try:
            while self._process.poll() is None:
                time.sleep(TICK_S)
                if self._end is None:
                    self._end = self._over_limit(time.monotonic() - started)
                if self._end is not None or self.inbox.finished:
                    break
        finally:
            self._kill()
            reader.join(timeout=10)
            logger.join(timeout=10)
            for thread, streams in ((reader, (stdin, stdout)), (logger, (stderr,))):
                if not thread.is_alive():  # else the stream is locked by its reader
                    _close(streams)
            peak = max(self._peak_mb, self._cgroups.peak_memory_mb)
            killed_for_memory = self._cgroups.killed_for_memory
            self._cgroups.remove()
        status, event = self._end or self._natural_end(killed_for_memory)
        return Kept(
            inbox=self.inbox,
            status=status,
            event=event,
            exit_code=self._process.returncode,
            wall_s=time.monotonic() - started,
            cpu_s=self._cpu_s,
            peak_memory_mb=peak,
            log_tail=bytes(self._log).decode(errors="replace"),
        )

    def _natural_end(self, killed_for_memory: bool) -> tuple[Status, str]:
        if self.inbox.finished:
            if killed_for_memory:
                limit_mb = self._limits.memory_mb
                return Status.OK, f"a process of the notebook was ended: it used more than {limit_mb} MB of memory"
            return Status.OK, ""
        if killed_for_memory:
            return (
                Status.KILLED,
                f"the run was ended: it used more than {self._limits.memory_mb} MB of memory",
            )
        if self.inbox.started:
            return (
                Status.KILLED,
                "the run ended before its last cell: something in the notebook ended the process that runs it",
            )
        return Status.BOX_ERROR, "the box did not start"

    def _read_frames(
        self,
        stdin: BinaryIO,
        stdout: BinaryIO,
        plan: dict[str, Any],
        questions: Questioner,
        say: Callable[[dict[str, Any]], None],
    ) -> None:
        try:
            write_frame(stdin, "plan", json.dumps(plan).encode())
            while (frame := read_frame(stdout, self.inbox.room_bytes)) is not None:
                name, data = frame
                if name.startswith("want/"):
                    stage = name.removeprefix("want/")
                    asked = questions(stage, self.inbox)
                    write_frame(stdin, f"{'refused' if asked is None else 'questions'}/{stage}", asked or b"")
                elif (running := self.inbox.put(name, data)) is not None:
                    say(running)
        except WireError as error:
            if self._end is None:
                self._end = (
                    Status.KILLED,
                    f"the run was ended: it sent back more than it may, or nonsense ({error})",
                )
        except (OSError, ValueError):  # the pipe is closed: the box has ended
            return

    def _read_log(self, stderr: BinaryIO) -> None:
        while chunk := os.read(stderr.fileno(), 1 << 16):
            self._log += chunk
            del self._log[:-LOG_BYTES]

    def _over_limit(self, wall_s: float) -> tuple[Status, str] | None:
        limits = self._limits
        if wall_s > limits.wall_s:
            return Status.TIMEOUT, f"the run was ended: it took longer than {limits.wall_s:.0f} s"
        if not self.inbox.started and wall_s > START_GRACE_S:
            return Status.BOX_ERROR, f"the box did not start within {START_GRACE_S} s"
        used = usage(self._process.pid, limits.memory_mb)
        self._cpu_s = max(self._cpu_s, used.cpu_s)
        if not self._cgroups.limits_memory:
            self._peak_mb = max(self._peak_mb, used.memory_mb)
            if used.memory_mb > limits.memory_mb:
                return Status.KILLED, f"the run was ended: it used more than {limits.memory_mb} MB of memory"
        if used.processes > limits.processes + 4:
            return Status.KILLED, f"the run was ended: it started more than {limits.processes} processes"
        return None

    def _kill(self) -> None:
        """Every process of the box is dead: the namespace's first process is watched until it is gone."""
        family = []
        with contextlib.suppress(psutil.Error):
            family = psutil.Process(self._process.pid).children(recursive=True)
        if self.inbox.finished:  # an orderly end may take a moment
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(timeout=5)
        self._process.kill()
        for process in family:
            try:
                process.kill()
            except psutil.Error:
                continue
        self._process.wait()
        _, alive = psutil.wait_procs(family, timeout=20)
        if alive:
            raise BoxError(f"{len(alive)} processes of the box could not be ended; nothing of this run is used")


def _close(streams: Sequence[BinaryIO]) -> None:
    for stream in streams:
        with contextlib.suppress(OSError):  # what was still to be written has no reader any more
            stream.close()


class Kept:
    """What is left of a run: the frames, and what was measured from outside."""

    def __init__(
        self,
        *,
        inbox: Inbox,
        status: Status,
        event: str,
        exit_code: int | None,
        wall_s: float,
        cpu_s: float,
        peak_memory_mb: float,
        log_tail: str,
    ) -> None:
        self.inbox, self.status, self.event, self.exit_code = inbox, status, event, exit_code
        self.wall_s, self.cpu_s, self.peak_memory_mb, self.log_tail = wall_s, cpu_s, peak_memory_mb, log_tail
