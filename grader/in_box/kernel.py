"""One Jupyter kernel in the box: started over `ipc`, fed one cell at a time, its output bounded."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import time
from dataclasses import dataclass
from typing import Any

import nbformat
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient
from nbclient.exceptions import DeadKernelError

STARTUP_S = 120
INTERRUPT_GRACE_S = 8
MAX_ERROR = 400
MAX_DEPTH = 100  # of what a cell shows, as JSON
MAX_LINE = 4000  # characters of one entry of a traceback, which is a whole frame
MAX_LINES = 20  # entries kept at either end of a traceback
ERROR_BYTES = 200_000
FLOOD = 64  # times what is kept of a cell's output: then the cell is stopped
DROPPED = "\n[the rest of this cell's output was dropped: it printed or showed too much]\n"


@dataclass
class Ran:
    """How one piece of code ended: `ok`, `error`, `timeout`, `died` or `skipped`."""

    status: str
    seconds: float
    error: str
    outputs: list[dict[str, Any]]

    def as_json(self) -> dict[str, Any]:
        """The frame's content."""
        return {
            "status": self.status,
            "seconds": round(self.seconds, 3),
            "error": self.error,
            "outputs": self.outputs,
        }


class BoundedClient(NotebookClient):
    """Drops what a cell prints or shows beyond a number of bytes, so that a flood fills no memory.

    `flooded` is set where a cell goes on and on: what it does besides is not worth twenty minutes of printing.
    """

    max_bytes = 1 << 22
    used = 0
    said = 0  # with what was dropped
    flooded: asyncio.Event

    def output(self, outs: list[Any], msg: dict[str, Any], display_id: str | None, cell_index: int) -> Any:
        """Appends the message's output, merges streams, or drops it when the cell has said enough."""
        kind, content = msg["msg_type"], msg["content"]
        if kind == "error":
            content = shortened(content)
        if too_deep(content):
            size = self.max_bytes
        else:
            size = len(content.get("text", "")) if kind == "stream" else len(json.dumps(content))
        self.said += size
        if self.said > FLOOD * self.max_bytes:
            self.flooded.set()
        room = self.max_bytes - self.used
        if room + (ERROR_BYTES if kind == "error" else 0) <= 0:  # how a cell ended is kept in any case
            return None
        self.used += size + 64
        out = None
        if kind == "stream":
            text = content["text"][:room]
            if outs and outs[-1]["output_type"] == "stream" and outs[-1]["name"] == content["name"]:
                out = outs[-1]
                out["text"] = without_overwritten(out["text"] + text)
            else:
                content = {**content, "text": without_overwritten(text)}
                out = super().output(outs, {**msg, "content": content}, display_id, cell_index)
        elif size <= room or kind == "error":
            out = super().output(outs, {**msg, "content": content}, display_id, cell_index)
        if room > 0 >= self.max_bytes - self.used:
            outs.append(nbformat.v4.new_output("stream", name="stderr", text=DROPPED))
        return out


def too_deep(content: Any) -> bool:
    """Whether JSON content is nested deeper than is passed on; deeper content overflows whoever walks it."""
    level = [content]
    for _ in range(MAX_DEPTH):
        level = [child for value in level if isinstance(value, dict | list) for child in _children(value)]
        if not level:
            return False
    return True


def _children(value: dict[str, Any] | list[Any]) -> list[Any]:
    return list(value.values()) if isinstance(value, dict) else value


def shortened(error: dict[str, Any]) -> dict[str, Any]:
    """The error message's content with what a person would read of it."""
    traceback = [str(line)[:MAX_LINE] for line in error.get("traceback", [])]
    if len(traceback) > 2 * MAX_LINES:
        traceback = [*traceback[:MAX_LINES], "...", *traceback[-MAX_LINES:]]
    return {
        "ename": str(error.get("ename"))[:100],
        "evalue": str(error.get("evalue"))[:MAX_LINE],
        "traceback": traceback,
    }


def without_overwritten(text: str) -> str:
    """Keeps of a progress bar's lines only what a terminal would still show; only the tail can change."""
    head, newline, tail = text.rpartition("\n")
    if "\r" in tail[:-1]:
        tail = tail[tail.rstrip("\r").rfind("\r") + 1 :]
    return head + newline + tail


class Kernel:
    """A kernel with a beginning and an end; `alive` turns false when it dies or cannot be interrupted."""

    def __init__(self, max_output_bytes: int) -> None:
        self.alive = False
        self._max_output_bytes = max_output_bytes
        self._client: Any = None
        self._reply: dict[str, Any] = {}

    async def start(self, folder: str) -> None:
        """A kernel is ready for its first cell, in that folder."""
        os.chdir(folder)  # the names of the sockets between us are relative to where each of us stands
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
        client.on_cell_executed = self._replied
        client.extra_arguments = ["--HistoryManager.enabled=False"]
        await client.async_start_new_kernel(cwd=folder)
        await client.async_start_new_kernel_client()
        self._client = client
        self.alive = True

    async def execute(self, source: str, timeout_s: float) -> Ran:
        """Runs one cell; interrupts it after `timeout_s` or in a flood, gives the kernel up if that does not help."""
        cell = nbformat.v4.new_code_cell(source)
        client = self._client
        client.used = client.said = 0
        client.flooded.clear()
        self._reply = {}
        client.nb.cells[0] = cell
        started = time.monotonic()
        task = asyncio.ensure_future(client.async_execute_cell(cell, 0))
        flood = asyncio.ensure_future(client.flooded.wait())
        await asyncio.wait({task, flood}, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
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
        seconds = time.monotonic() - started
        if not task.done():
            task.cancel()
        elif isinstance(task.exception(), DeadKernelError):
            self.alive = False
        elif isinstance(task.exception(), RecursionError):  # a message nested too deep to be read at all
            return Ran("error", seconds, "RecursionError: what the cell showed is nested too deep", [])
        elif (fault := task.exception()) is not None and not timed_out:
            raise fault
        outputs = [dict(output) for output in cell.outputs]
        if timed_out and not ended_itself:
            much = FLOOD * client.max_bytes / 1e6
            why = f"it had printed more than {much:.0f} MB" if client.flooded.is_set() else f"{timeout_s:.0f} s"
            return Ran("timeout", seconds, f"stopped after {why}", outputs)
        if not self.alive:
            return Ran("died", seconds, "the Python process ended", outputs)
        failed = self._reply if self._reply.get("status") == "error" else None  # also where no traceback was shown
        error = next((o for o in outputs if o.get("output_type") == "error"), failed)
        if error is not None:
            return Ran("error", seconds, f"{error.get('ename')}: {error.get('evalue')}"[:MAX_ERROR], outputs)
        return Ran("ok", seconds, "", outputs)

    def _replied(self, *, execute_reply: dict[str, Any], **_: Any) -> None:
        self._reply = execute_reply["content"]

    async def stop(self) -> None:
        """The kernel is gone, dead or alive before."""
        self.alive = False
        if self._client is not None:
            self._client.kc.stop_channels()
            await self._client.km.shutdown_kernel(now=True)
