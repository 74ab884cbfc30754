"""One Jupyter kernel in the box: reached over `ipc`, runs one cell at a time, with bounded output."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
from client import FLOOD, LOST, REPLY_LOST, BoundedClient, UnreadableReply
from frames import CellRequest, CellStatus
from jupyter_client.manager import AsyncKernelManager
from nbclient.exceptions import DeadKernelError
from patience import is_over

STARTUP_S = 120
INTERRUPT_GRACE_S = 8
LOOK_S = 2.0  # between checks of the processor time of a cell whose wall time is over
MAX_ERROR = 400
REQUESTS = {
    "ask_exit": CellRequest.END,
    "reset": CellRequest.CLEAR,
}  # of a reply's payload: requests that the prelude has not carried out


@dataclass
class CellResult:
    """How one piece of code ended, and its request that was not carried out, if any."""

    status: CellStatus
    seconds: float
    error: str
    outputs: list[dict[str, Any]]
    asked: CellRequest = CellRequest.NOTHING


class Kernel:
    """A kernel that is started and stopped here; `alive` turns false when it dies or cannot be interrupted."""

    def __init__(self, max_output_bytes: int) -> None:
        self.alive = False
        self._max_output_bytes = max_output_bytes
        self._client: Any = None
        self._reply: dict[str, Any] = {}

    async def start(self, folder: str) -> None:
        """Starts a kernel in that folder, and waits until it is ready for its first cell."""
        os.chdir(folder)  # the paths of the sockets are relative to the working folders of runner and kernel
        log = logging.getLogger("kernel")
        log.setLevel(logging.CRITICAL)
        notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("")])
        manager = AsyncKernelManager(kernel_name="python3", transport="ipc", log=log)
        client = BoundedClient(
            notebook,
            km=manager,
            allow_errors=True,
            timeout=None,
            startup_timeout=STARTUP_S,
            store_widget_state=False,
            log=log,
        )
        client.max_bytes = self._max_output_bytes
        client.flooded = asyncio.Event()
        client.idle = asyncio.Event()
        client.on_cell_executed = self._replied
        client.extra_arguments = ["--HistoryManager.enabled=False"]
        await client.async_start_new_kernel(cwd=folder)
        await client.async_start_new_kernel_client()
        client.read_safely()
        self._client = client
        self.alive = True

    async def execute(self, source: str, timeout_s: float) -> CellResult:
        """Runs one cell; interrupts it after `timeout_s` or too much output, and ends the kernel if that fails.

        On a busy machine the cell may take longer than that: see `patience`.
        """
        cell = nbformat.v4.new_code_cell(source)
        client = self._client
        client.begin()
        self._reply = {}
        client.nb.cells[0] = cell
        started = time.monotonic()
        task = asyncio.ensure_future(client.async_execute_cell(cell, 0))
        flood = asyncio.ensure_future(client.flooded.wait())
        follow_up = asyncio.ensure_future(client.ask_after_reply())
        cpu_at_start, wall_s, cpu_s = self._processor_s(), 0.0, 0.0
        while not task.done() and not flood.done() and not is_over(wall_s, cpu_s, timeout_s):
            left = timeout_s - wall_s if wall_s < timeout_s else min(timeout_s - cpu_s, LOOK_S)
            await asyncio.wait({task, flood}, timeout=max(left, 0) + 0.05, return_when=asyncio.FIRST_COMPLETED)
            wall_s, cpu_s = time.monotonic() - started, self._processor_s() - cpu_at_start
        flood.cancel()
        timed_out = not task.done()
        ended_itself = timed_out and not await client.km.is_alive()
        if timed_out:
            await client.km.interrupt_kernel()
            finished, _ = await asyncio.wait({task}, timeout=INTERRUPT_GRACE_S)
            if not finished:
                await client.km.shutdown_kernel(now=True)
                await asyncio.wait({task}, timeout=INTERRUPT_GRACE_S)
                self.alive = False
        follow_up.cancel()
        seconds = time.monotonic() - started
        if not task.done():
            task.cancel()
        elif isinstance(fault := task.exception(), DeadKernelError):
            self.alive = False
        elif fault is not None and not timed_out and not isinstance(fault, UnreadableReply):
            raise fault
        outputs = [dict(output) for output in cell.outputs]
        if client.lost:
            outputs.append({"output_type": "stream", "name": "stderr", "text": LOST})
        if timed_out and not ended_itself:
            much = FLOOD * client.max_bytes / 1e6
            why = f"it had printed more than {much:.0f} MB" if client.flooded.is_set() else f"{wall_s:.0f} s"
            return CellResult(CellStatus.TIMEOUT, seconds, f"stopped after {why}", outputs)
        if not self.alive:
            return CellResult(CellStatus.DIED, seconds, "the Python process ended", outputs)
        return self._ended(seconds, outputs)

    def _processor_s(self) -> float:
        """The processor time that the kernel and the processes that it has waited for have used, in seconds."""
        try:
            fields = Path(f"/proc/{self._client.km.provisioner.pid}/stat").read_text().rpartition(")")[2].split()
        except (OSError, AttributeError):
            return 0.0  # it is gone: then the wall time counts
        return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")  # utime, stime, and both for its children

    def _ended(self, seconds: float, outputs: list[dict[str, Any]]) -> CellResult:
        """How a finished cell ended; if its reply was lost, the cell's outputs decide."""
        if self._reply.get("status") == REPLY_LOST:
            print("a cell has run, but the kernel's reply to it was lost", file=sys.stderr)
        request = _cell_request(self._reply.get("payload"))
        failed = self._reply if self._reply.get("status") == "error" else None  # also where no traceback was shown
        error = next((o for o in outputs if o.get("output_type") == "error"), failed)
        if error is not None:
            message = f"{error.get('ename')}: {error.get('evalue')}"[:MAX_ERROR]
            return CellResult(CellStatus.ERROR, seconds, message, outputs, request)
        return CellResult(CellStatus.OK, seconds, "", outputs, request)

    def _replied(self, *, execute_reply: dict[str, Any], **_: Any) -> None:
        self._reply = execute_reply["content"]

    def last_line(self) -> str:
        """The last line that the running cell has printed; empty if it has printed nothing yet."""
        return str(self._client.last_line())

    async def rest(self, seconds: float) -> None:
        """Waits without running a cell, then checks whether the kernel still answers."""
        await asyncio.sleep(seconds)
        if self.alive:  # a kernel that is shutting down may wait for the next message before it ends
            self.alive = (await self.execute("None", INTERRUPT_GRACE_S)).status is CellStatus.OK and self.alive

    async def stop(self) -> None:
        """Ends the kernel, whether it is still alive or not."""
        self.alive = False
        if self._client is not None:
            self._client.kc.stop_channels()
            await self._client.km.shutdown_kernel(now=True)


def _cell_request(payload: Any) -> CellRequest:
    """Returns the cell's request that the prelude has not carried out, if any."""
    for entry in payload if isinstance(payload, list) else ():
        source = entry.get("source") if isinstance(entry, dict) else None
        if isinstance(source, str) and source in REQUESTS:
            return REQUESTS[source]
    return CellRequest.NOTHING
