"""Times one epoch of the reference's `Batches` and of a `DataLoader` with torchvision's `ToTensor`, without training.

Alternates the two in one process and prints medians and their ratio. Run by `make bench-data`.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import DataLoader
from torchvision import datasets, transforms

from grader.exercises.vae_mnist.data.mnist import ensure_mnist

ROUNDS, BATCH_SIZE = 5, 128


def main() -> None:
    """Prints one line per data path, and the ratio."""
    times = measure()
    medians = {name: statistics.median(values) for name, values in times.items()}
    for name, values in times.items():
        print(f"{name:10} median {medians[name]:.3f} s an epoch, from {min(values):.3f} to {max(values):.3f} s")
    print(f"ratio      {medians['DataLoader'] / medians['Batches']:.1f}")


def measure() -> dict[str, list[float]]:
    """Seconds per epoch of each path, without training."""
    root = ensure_mnist(print)
    notebook = json.loads(Path("reference/vae_mnist.ipynb").read_text())
    (cell,) = (cell for cell in notebook["cells"] if cell.get("id") == "data")
    batches_class = "".join(cell["source"]).split("def load_mnist")[0]
    scope: dict[str, Any] = {"torch": torch}
    exec(compile(batches_class, "the reference's data cell", "exec"), scope)
    mnist = datasets.MNIST(str(root), train=True)
    images, labels = mnist.data.unsqueeze(1).float().div(255), mnist.targets
    dataset = datasets.MNIST(str(root), train=True, transform=transforms.ToTensor())
    paths: dict[str, Any] = {
        "Batches": scope["Batches"](images, labels, BATCH_SIZE),
        "DataLoader": DataLoader(dataset, batch_size=BATCH_SIZE, shuffle=True),
    }
    times: dict[str, list[float]] = {name: [] for name in paths}
    for _ in range(ROUNDS):
        for name, batches in paths.items():
            times[name].append(_seconds(lambda batches=batches: sum(float(x[0, 0, 0, 0]) for x, _ in batches)))
    return times


def _seconds(run: Callable[[], Any]) -> float:
    started = time.perf_counter()
    run()
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
