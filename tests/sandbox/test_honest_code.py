"""Ordinary notebook code works in the box, with every layer in place."""

from __future__ import annotations

import pytest
from small_exercise import running

from grader.records import Status

CELLS = [
    """
import torch
class Squares(torch.utils.data.Dataset):
    def __len__(self): return 40
    def __getitem__(self, n): return torch.full((64, 64), float(n * n))
loader = torch.utils.data.DataLoader(Squares(), batch_size=8, num_workers=2, persistent_workers=True)
print([int(batch.max()) for _ in range(2) for batch in loader])
""",
    """
import multiprocessing
with multiprocessing.get_context("fork").Pool(2) as pool:
    print(pool.map(abs, [-1, -2]))
shared = torch.zeros(3).share_memory_()
process = multiprocessing.get_context("fork").Process(target=shared.add_, args=(1,))
process.start()
process.join()
print(shared.tolist())
""",
    """
import concurrent.futures, subprocess
print(subprocess.run(["uname"], capture_output=True, text=True).stdout.strip())
with concurrent.futures.ThreadPoolExecutor(4) as pool:
    print(sum(pool.map(lambda n: n * n, range(100))))
!echo from a shell
""",
    """
import asyncio, socket, tempfile
async def main():
    process = await asyncio.create_subprocess_exec("true")
    return await process.wait()
print(await main())
left, right = socket.socketpair()
left.send(b"both ways")
print(right.recv(99), socket.gethostname())
with tempfile.TemporaryFile() as stream:
    print(stream.write(b"file"))
""",
    """
import os
from math import sqrt
import numpy as np
from joblib import Parallel, delayed
os.sched_setaffinity(0, os.sched_getaffinity(0))
torch.set_num_threads(2)
print(Parallel(n_jobs=2)(delayed(sqrt)(n * n) for n in range(3)))
print(float((torch.ones(200, 50) @ torch.ones(50, 200)).sum()), float((np.ones((200, 50)) @ np.ones((50, 200))).sum()))
""",
]


@pytest.mark.usefixtures("all_cores")
def test_workers_shared_memory_threads_shells_and_sockets_work() -> None:
    run = running.run(CELLS, train=False, cell_s=100, wall_s=300, memory_mb=4000, processes=200)
    texts = [running.own(run, number)[1] for number in range(len(CELLS))]
    assert run.execution.status is Status.OK, (run.execution.events, texts)
    squares = [49, 225, 529, 961, 1521] * 2
    assert texts[0].strip() == str(squares)
    assert texts[1].split("\n")[:2] == ["[1, 2]", "[1.0, 1.0, 1.0]"]
    assert texts[2].split() == ["Linux", "328350", "from", "a", "shell"]
    assert texts[3].split("\n")[:3] == ["0", "b'both ways' box", "4"]
    assert texts[4].split("\n")[:2] == ["[0.0, 1.0, 2.0]", "2000000.0 2000000.0"]
