"""The audit's workers end with the audit, however it ends."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import psutil

POOL = """
import multiprocessing, os, time
from concurrent.futures import ProcessPoolExecutor
from grader.audit.runs import _pin

if __name__ == "__main__":
    context = multiprocessing.get_context("spawn")
    cores = context.Queue()
    cores.put(min(os.sched_getaffinity(0)))
    with ProcessPoolExecutor(1, mp_context=context, initializer=_pin, initargs=(cores,)) as pool:
        print(pool.submit(os.getpid).result(), flush=True)
        pool.submit(time.sleep, 600).result()
"""


def test_a_killed_audit_leaves_no_worker(tmp_path: Path) -> None:
    script = tmp_path / "audit.py"
    script.write_text(POOL)
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    with subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, text=True, env=environment) as audit:
        assert audit.stdout is not None
        worker = psutil.Process(int(audit.stdout.readline()))
        audit.kill()
        gone, _ = psutil.wait_procs([worker], timeout=20)
        assert gone == [worker]
