"""`make gpu-check WHEELS=dir OUT=dir`: does grading work on this machine's GPU, and how fast is it?

For a bare machine with a Python and a PyTorch of its own, and no network. What else is needed comes from the folder of
wheels (`benchmarks.gpu_wheels` fills it) into an environment that is thrown away. Then `benchmarks.gpu_measure`
measures in it, within what is left of the time. This file imports nothing but Python's own modules.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.gpu_wheels import ROOT, Refused, environment, place_for_environment

BUDGET_S = 540.0


def main(arguments: Sequence[str]) -> int:
    """Exit code 0: every result is as expected; 1: some result is not; 2: nothing could be measured."""
    began = time.monotonic()
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu_check", description=__doc__)
    parser.add_argument("--wheels", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=Path("build/gpu-check"))
    parser.add_argument("--budget-s", type=float, default=BUDGET_S, help="for everything, in seconds")
    asked = parser.parse_args(arguments)
    wheels, out = asked.wheels.absolute(), asked.out.absolute()
    os.umask(0o022)  # a box that root starts has another user, who has to read the environment
    place = place_for_environment(ROOT / "build")
    try:
        print(f"gpu-check: an environment from {asked.wheels}", flush=True)
        python = environment(wheels, place / "environment")  # which boxes see, and nothing beside it
        spent = time.monotonic() - began
        print(f"gpu-check: ready after {spent:.0f} s", flush=True)
        command = [str(python), "-m", "benchmarks.gpu_measure", "--wheels", str(wheels), "--out", str(out)]
        command += ["--work", str(place / "work"), "--spent-s", f"{spent:.1f}", "--budget-s", str(asked.budget_s)]
        # The machine's own packages are named in the environment; a caller's PYTHONPATH would stand before them.
        kept = {key: value for key, value in os.environ.items() if key not in {"PYTHONPATH", "PYTHONHOME"}}
        return subprocess.run(command, cwd=ROOT, env=kept).returncode
    except Refused as error:
        print(error, file=sys.stderr)
        return 2
    finally:
        shutil.rmtree(place, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
