"""The cost of training with threads that wait by spinning, on an idle machine and on a busy one.

`python -m benchmarks.waiting` trains the reference's VAE on some batches, in turn with PyTorch's default waiting and
with that of a box: first alone, then beside as many busy processes as there are cores.
"""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import time

import torch

from benchmarks.constants import FINALISTS, defined
from grader.audit.corpus import REFERENCE
from grader.sandbox.backend import box_environment

SPIN = "GOMP_SPINCOUNT"
WAYS = {"by default": {}, "as in a box": {SPIN: box_environment({}, "/", "/")[SPIN]}}
BATCHES = 200
ROUNDS = 3


def train() -> float:
    """Seconds for the batches, with as many threads as PyTorch takes."""
    torch.manual_seed(0)
    scope = defined(REFERENCE, FINALISTS[0])
    model = scope["VAE"](FINALISTS[0].latents)
    optimizer = torch.optim.Adam(model.parameters(), lr=FINALISTS[0].learning_rate)
    began = time.perf_counter()
    for number, (x, _) in enumerate(scope["train_batches"]):
        if number == BATCHES:
            break
        x_hat, mu, logvar = model(x)
        loss, _, _ = scope["vae_loss"](x_hat, x, mu, logvar)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return time.perf_counter() - began


def _spin() -> None:
    while True:
        pass


def _measured(way: str) -> float:
    line = [sys.executable, "-m", "benchmarks.waiting", "once"]
    done = subprocess.run(line, env={**os.environ, **WAYS[way]}, capture_output=True, text=True, check=True)
    return float(done.stdout)


def main() -> None:
    """Prints the seconds of each round."""
    for busy in (0, os.cpu_count() or 1):
        others = [multiprocessing.Process(target=_spin, daemon=True) for _ in range(busy)]
        for other in others:
            other.start()
        for _ in range(ROUNDS):
            times = ", ".join(f"{way} {_measured(way):.1f} s" for way in WAYS)
            print(f"beside {busy} busy processes: {times}", flush=True)
        for other in others:
            other.kill()


if __name__ == "__main__":
    if sys.argv[1:] == ["once"]:
        print(train())
    else:
        main()
