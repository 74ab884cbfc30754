"""Receives a kernel's messages about one cell: limits the output, and leaves out messages that cannot be read.

A notebook may print and show anything, and write anything to the kernel's own sockets. At worst its output is lost; the
cell and the run go on.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Awaitable, Callable
from queue import Empty
from typing import Any

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionComplete
from zmq import ZMQError

MAX_DEPTH = 100  # of nesting in an output, as JSON
MAX_LINE = 4000  # characters of one entry of a traceback, which is a whole frame
MAX_LINES = 20  # entries kept at either end of a traceback
ERROR_BYTES = 200_000
FLOOD = 64  # a cell is stopped after so many times the output that is kept
DROPPED = "\n[the rest of this cell's output was dropped: it printed or showed too much]\n"
LOST = "\n[an output of this cell was left out: it could not be read]\n"
REPLY_GRACE_S = 1  # the kernel sends its reply before the message that it is idle, but on another socket
TAIL = 2000  # characters of a cell's last output, for the progress line
REPLY_LOST = "lost"  # the status of a cell's reply that never came
_COLOURS = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]")
SHOWN = frozenset({"display_data", "error", "execute_result", "stream", "update_display_data"})

Message = dict[str, Any]


class UnreadableReply(Exception):
    """The kernel's reply at the end of the cell is malformed."""


class BoundedClient(NotebookClient):
    """Drops a cell's output beyond a number of bytes, so that it cannot fill the memory.

    `flooded` is set if a cell prints without end, so that the cell can be stopped before its time limit.
    """

    max_bytes = 1 << 22
    kept_bytes = 0
    output_bytes = 0  # including dropped output
    tail = ""  # the end of the text that this cell has printed, including dropped text
    lost = False  # whether an output was left out because it could not be read
    flooded: asyncio.Event
    idle: asyncio.Event  # whether the kernel says that this cell has ended
    cell_id = ""  # of the request to run the cell, known once idle
    question_id = ""  # of the request that is sent after it

    def begin(self) -> None:
        """Prepares for the next cell, without output; outputs of the cells before it can no longer be updated."""
        self.reset_execution_trackers()
        self.kept_bytes = self.output_bytes = 0
        self.tail = ""
        self.lost = False
        self.flooded.clear()
        self.idle.clear()
        self.question_id = ""

    async def ask_after_reply(self) -> None:
        """Once the kernel is idle and no reply has come, sends it a request that it answers after the cell.

        A kernel that fails to write its reply sends none. The message that it is idle does not suffice, because the
        cell can forge it. A forged message gains nothing: a kernel answers requests in order, so a busy one answers
        this request only after the cell has ended and replied, and the cell's time limit still applies.
        """
        await self.idle.wait()
        await asyncio.sleep(REPLY_GRACE_S)
        assert self.kc is not None
        self.question_id = self.kc.kernel_info()

    def read_safely(self) -> None:
        """Skips invalid messages from now on, whatever caused them."""
        assert self.kc is not None
        iopub, shell = self.kc.iopub_channel, self.kc.shell_channel
        iopub.get_msg = _next_readable(iopub, self._lose)
        receive_reply = _next_readable(shell, _refuse_reply)

        async def get_reply(timeout: float | None = None) -> Message:
            message = await receive_reply(timeout=timeout)
            if not self.question_id or message["parent_header"].get("msg_id") != self.question_id:
                return message
            content = {"status": REPLY_LOST}  # the later request is answered: the cell's own reply will not come
            return {**message, "parent_header": {"msg_id": self.cell_id}, "content": content}

        shell.get_msg = get_reply

    def process_message(self, msg: Message, cell: Any, cell_index: int) -> Any:
        """Processes the message; one whose content raises an error is left out."""
        try:
            if not too_deep(msg["content"]):
                return super().process_message(msg, cell, cell_index)
        except CellExecutionComplete:
            self.cell_id = msg["parent_header"]["msg_id"]
            self.idle.set()
            raise
        except Exception:  # caused by the message's content; the reply says how the cell ended
            pass
        if msg["msg_type"] in SHOWN:
            self._lose()
        return None

    def output(self, outs: list[Any], msg: Message, display_id: str | None, cell_index: int) -> Any:
        """Appends the message's output and merges streams; drops the output if the cell has printed too much."""
        kind, content = msg["msg_type"], msg["content"]
        if self.clear_before_next_output:
            self.clear_before_next_output = False
            outs.clear()
            self.clear_display_id_mapping(cell_index)
            self.kept_bytes = 0
        if kind == "error":
            content = shortened(content)
        size = len(content.get("text", "")) if kind == "stream" else len(json.dumps(content))
        if kind == "stream":
            self.tail = (self.tail + content["text"][-TAIL:])[-TAIL:]
        self.output_bytes += size
        if self.output_bytes > FLOOD * self.max_bytes:
            self.flooded.set()
        room = self.max_bytes - self.kept_bytes
        if room + (ERROR_BYTES if kind == "error" else 0) <= 0:  # an error has room of its own
            return None
        self.kept_bytes += size + 64
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
        if room > 0 >= self.max_bytes - self.kept_bytes:
            outs.append(nbformat.v4.new_output("stream", name="stderr", text=DROPPED))
        return out

    def clear_output(self, outs: list[Any], msg: Message, cell_index: int) -> None:
        """Clears what the cell has shown, now or before its next output."""
        super().clear_output(outs, msg, cell_index)
        if not outs:
            self.kept_bytes = 0

    def handle_comm_msg(self, outs: list[Any], msg: Message, cell_index: int) -> None:
        """Ignores the messages of widgets: nothing here shows widgets, or takes outputs for them."""

    def last_line(self) -> str:
        """The last line that this cell has printed and that is not blank, as a terminal would show it."""
        lines = re.split(r"[\r\n]", _COLOURS.sub("", self.tail))
        return next((line.strip() for line in reversed(lines) if line.strip()), "")

    def _lose(self) -> None:
        self.lost = True


def _next_readable(channel: Any, refuse: Callable[[], None]) -> Callable[..., Awaitable[Message]]:
    """Returns the channel's `get_msg`, which calls `refuse` for an invalid message and waits for the next one."""
    receive = channel.get_msg

    async def get_msg(timeout: float | None = None) -> Message:
        while channel.is_alive():
            try:
                message: Message = await receive(timeout=timeout)
            except (Empty, ZMQError):
                raise
            except Exception:  # no signature, no JSON, no header, nested too deeply, and so on
                message = {}
            if _is_message(message):
                return message
            refuse()
            await asyncio.sleep(0)  # lets other tasks run, however many invalid messages there are
        raise Empty

    return get_msg


def _is_message(message: Message) -> bool:
    """Whether this has the parts of every Jupyter message and, if it is a reply, says how the cell ended."""
    parts = all(isinstance(message.get(part), dict) for part in ("header", "parent_header", "content"))
    if not parts or not isinstance(message.get("msg_type"), str):
        return False
    return message["msg_type"] != "execute_reply" or isinstance(message["content"].get("status"), str)


def _refuse_reply() -> None:
    """Ends the waiting, because no other reply will come.

    Raises:
        UnreadableReply: always.
    """
    raise UnreadableReply


def too_deep(content: Any) -> bool:
    """Whether JSON content is nested too deeply to be passed on; deep content overflows the stack of its readers."""
    level = [content]
    for _ in range(MAX_DEPTH):
        level = [child for value in level if isinstance(value, dict | list) for child in _children(value)]
        if not level:
            return False
    return True


def _children(value: dict[str, Any] | list[Any]) -> list[Any]:
    return list(value.values()) if isinstance(value, dict) else value


def shortened(error: dict[str, Any]) -> dict[str, Any]:
    """Returns the error message's content, cut to a readable length."""
    traceback = [str(line)[:MAX_LINE] for line in error.get("traceback", [])]
    if len(traceback) > 2 * MAX_LINES:
        traceback = [*traceback[:MAX_LINES], "...", *traceback[-MAX_LINES:]]
    return {
        "ename": str(error.get("ename"))[:100],
        "evalue": str(error.get("evalue"))[:MAX_LINE],
        "traceback": traceback,
    }


def without_overwritten(text: str) -> str:
    """Returns the text as a terminal shows a progress bar: in the last line, carriage returns overwrite text."""
    head, newline, tail = text.rpartition("\n")
    if "\r" in tail[:-1]:
        tail = tail[tail.rstrip("\r").rfind("\r") + 1 :]
    return head + newline + tail
