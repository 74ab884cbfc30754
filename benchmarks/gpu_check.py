"""`make gpu-check WHEELS=dir OUT=dir`: checks whether grading works on this machine's GPU, and how fast it is.

It is for a bare machine with Python and PyTorch, but without a network. All other packages are unpacked from the folder
of wheels, which `benchmarks.gpu_wheels` fills, into a temporary environment. `benchmarks.gpu_measure` runs there, in
the time that is left. This file imports only the standard library.
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
    """Returns the exit code: 0 if all results are as expected, 1 if not, 2 if nothing could be measured."""
    began = time.monotonic()
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu_check", description=__doc__)
    parser.add_argument("--wheels", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=Path("build/gpu-check"))
    parser.add_argument("--budget-s", type=float, default=BUDGET_S, help="for everything, in seconds")
    asked = parser.parse_args(arguments)
    wheels, out = asked.wheels.absolute(), asked.out.absolute()
    os.umask(0o022)  # boxes that root starts have another user, who must be able to read the environment
    place = place_for_environment(ROOT / "build")
    try:
        print(f"gpu-check: an environment from {asked.wheels}", flush=True)
        python = environment(wheels, place / "environment")  # boxes see this folder, and nothing beside it
        spent = time.monotonic() - began
        print(f"gpu-check: ready after {spent:.0f} s", flush=True)
        command = [str(python), "-m", "benchmarks.gpu_measure", "--wheels", str(wheels), "--out", str(out)]
        command += ["--work", str(place / "work"), "--spent-s", f"{spent:.1f}", "--budget-s", str(asked.budget_s)]
        # The environment lists the machine's packages; a caller's PYTHONPATH would come before them.
        kept = {key: value for key, value in os.environ.items() if key not in {"PYTHONPATH", "PYTHONHOME"}}
        return subprocess.run(command, cwd=ROOT, env=kept).returncode
    except Refused as error:
        print(error, file=sys.stderr)
        return 2
    finally:
        shutil.rmtree(place, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
