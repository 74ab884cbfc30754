"""The audit starts at most one worker per core, and none outlives the audit."""

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

CROWD = """
import os
from pathlib import Path
from grader.audit.runs import CorpusRun, run_all

if __name__ == "__main__":
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    wanted = [CorpusRun(name, ()) for name in ("nobody", "no_one", "none")]
    print([result.error for result in run_all(wanted, Path("no-such-rubric.yaml"), 8, lambda _: None)])
"""


def test_more_jobs_than_cores_do_not_wait_forever(tmp_path: Path) -> None:
    script = tmp_path / "audit.py"
    script.write_text(CROWD)
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    process = subprocess.run([sys.executable, script], capture_output=True, text=True, env=environment, timeout=120)
    assert process.stdout.count("no-such-rubric.yaml") == 3, process.stderr


def test_a_killed_audit_leaves_no_worker(tmp_path: Path) -> None:
    script = tmp_path / "audit.py"
    script.write_text(POOL)
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    with subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, text=True, env=environment) as audit:
        assert audit.stdout is not None
        worker = psutil.Process(int(audit.stdout.readline()))
        audit.kill()
        ended, _ = psutil.wait_procs([worker], timeout=20)
        assert ended == [worker]
