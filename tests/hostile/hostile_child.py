"""One of the largest inputs, read by a process that has little memory and time: `hostile_child.py <name> <folder>`."""

from __future__ import annotations

import os
import resource
import struct
import sys
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

from grader.errors import GraderError
from grader.evidence import Rejected, read_tensors
from grader.notebook.read import read_submission
from grader.records import Limits
from grader.sandbox.received_frames import Inbox

ROOM_BYTES = 600_000_000  # beside what Python and NumPy take, for 100 MB of input
CPU_S = 60  # far more than is needed, and processor time is not a matter of load


def limit() -> None:
    """From here on there is so much memory and time and no more."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + ROOM_BYTES,) * 2)
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_S, CPU_S + 5))


def fill(before: bytes, again: bytes, times: int, after: bytes) -> Callable[[Path], None]:
    def make(path: Path) -> None:
        with path.open("wb") as file:
            file.write(before)
            for _ in range(100):
                file.write(again * (times // 100))
            file.write(after)

    return make


def outputs(output: bytes) -> Callable[[Path], None]:
    begin = b'{"nbformat": 4, "cells": [{"cell_type": "code", "source": "x = 1", "outputs": ['
    return fill(begin, output + b",", 1000, output + b"]}]}")


def sparse(size: int) -> Callable[[Path], None]:
    def make(path: Path) -> None:
        path.touch()
        os.truncate(path, size)

    return make


PNG = b'{"output_type": "display_data", "data": {"image/png": %b}}'
NOTEBOOKS = {
    "a thousand pictures": outputs(PNG % (b'"%b"' % (b"A" * 97_000))),
    "a thousand pictures in lines": outputs(PNG % (b"[" + (b'"' + b"A" * 76 + b'\\n",') * 1200 + b'""]')),
    "90 MB of printed lines": outputs(
        b'{"output_type": "stream", "name": "stdout", "text": "%b"}' % (b"loss 1.25, " * 8000)
    ),
    "a million cells": fill(b'{"cells": [', b"{},", 900_000, b"{}]}"),
    "twelve million objects": fill(b"[", b'{"a":1},', 12_000_000, b"0]"),
    "thirty million lists": fill(b"[", b"[],", 30_000_000, b"0]"),
    "a million names": fill(b'{"cells": {', b'"abcdef": [],', 900_000, b'"a": 0}}'),
    "quotes without end": fill(b'["', b'\\"', 49_000_000, b""),
    "backslashes without end": fill(b'["', b"\\", 99_000_000, b""),
    "pictures that never end": fill(b"", b'"image/png": ["A",', 5_000_000, b""),
    "a sparse file": sparse(99_000_000),
    "a sparse file of a terabyte": sparse(10**12),
}
FRAMES = {
    "objects in one cell": b"[" + b'{"a":1},' * 5_000_000 + b"0]",
    "objects in every cell": b"[" + b'{"a":1},' * 900_000 + b"0]",
    "text in every cell": b'["' + b"a, " * 900_000 + b'"]',
    "lists without end": b"[" * 900_000,
}
EMPTY = b'{"dtype":"F32","shape":[0],"data_offsets":[0,0]}'
HEADERS = {
    "too many arrays": (b"{" + b",".join(b'"%d":%b' % (n, EMPTY) for n in range(16_000)) + b"}", 0),
    "half a million dimensions": (b'{"x":{"dtype":"F32","shape":[' + b"1," * 500_000 + b'1],"data_offsets":[0,4]}}', 4),
    "a wide header": (b'{"x":' + b"[]," * 300_000, 0),
    "a deep header": (b'{"x":' * 200_000, 0),
    "as much as is taken": (b'{"x":{"dtype":"F32","shape":[30000000],"data_offsets":[0,120000000]}}', 120_000_000),
}


def read_notebook(path: Path) -> str:
    limit()
    try:
        return f"{len(read_submission(path, max_mb=100, max_cells=1000).notebook['cells'])} cells"
    except GraderError as error:
        return str(error)


def put_frames(outputs: bytes) -> str:
    data = b'{"status": "ok", "seconds": 1, "error": "", "outputs": ' + outputs + b"}"
    limit()
    sizes = {"output_mb": 60, "cell_output_mb": 8, "evidence_mb": 120, "notebook_mb": 1, "cells": 1000}
    limits = Limits(**{limit.name: 1e9 for limit in fields(Limits)} | sizes)
    inbox = Inbox(limits)
    for index in range(40):
        inbox.put(f"cell/{index}", data)
    return f"{len(inbox.cells)} cells, {len(inbox.outputs)} with outputs"


def read_answer(header: bytes, size: int) -> str:
    data = struct.pack("<Q", len(header)) + header + bytes(size)
    limit()
    try:
        return f"{len(read_tensors(data))} arrays"
    except Rejected as rejected:
        return str(rejected)


def main(name: str, folder: str) -> str:
    if name in NOTEBOOKS:
        NOTEBOOKS[name](Path(folder, "x.ipynb"))
        return read_notebook(Path(folder, "x.ipynb"))
    return put_frames(FRAMES[name]) if name in FRAMES else read_answer(*HEADERS[name])


if __name__ == "__main__":
    print(main(*sys.argv[1:]))
