"""`python -m grader.classifier.train`: the judge trained anew on MNIST, and measured on its test set.

The test set is looked at once, after the last step: no epoch and no weight is chosen by it. The lines printed
at the end go into `published.py` and MODEL_CARD.md by hand, so that new weights are a decision.
"""

from __future__ import annotations

import argparse
import hashlib
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from grader.classifier.augment import Strength, augmented
from grader.classifier.export import as_onnx
from grader.classifier.network import Network
from grader.classifier.published import FOLDER, PUBLISHED
from grader.data import ensure_mnist, load_mnist
from grader.records import Array


@dataclass(frozen=True, slots=True)
class Recipe:
    """How one network is trained."""

    seed: int
    epochs: int
    strength: Strength
    label_smoothing: float
    batch: int = 128
    peak_learning_rate: float = 0.15
    weight_decay: float = 5e-4


RECIPES = {
    "judge": Recipe(seed=1, epochs=11, strength=Strength(2.0, 10, 0.1, 0.25, 0.9, 0.1), label_smoothing=0.05),
    "judge_b": Recipe(seed=2, epochs=11, strength=Strength(1.5, 15, 0.15, 0.4, 1.2, 0.05), label_smoothing=0.0),
}


def train(images: Tensor, labels: Tensor, widths: tuple[int, int, int], recipe: Recipe) -> Network:
    """A network of `widths` trained by `recipe` on `images` `(N, 1, 28, 28)` in [0, 1] and `labels` `(N,)`.

    Raises: nothing of its own.
    """
    torch.manual_seed(recipe.seed)
    generator = torch.Generator().manual_seed(recipe.seed)
    network = Network(widths).train()
    steps = len(images) // recipe.batch * recipe.epochs
    optimizer = torch.optim.SGD(
        network.parameters(), lr=0.01, momentum=0.9, nesterov=True, weight_decay=recipe.weight_decay
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, recipe.peak_learning_rate, total_steps=steps, pct_start=0.2
    )
    for epoch in range(recipe.epochs):
        started, total = time.monotonic(), 0.0
        order = torch.randperm(len(images), generator=generator)
        batches = [part for part in torch.split(order, recipe.batch) if len(part) == recipe.batch]
        for part in batches:
            x = augmented(images[part], recipe.strength, generator)
            loss = functional.cross_entropy(network(x), labels[part], label_smoothing=recipe.label_smoothing)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
            total += loss.item()
        seconds = time.monotonic() - started
        print(f"epoch {epoch + 1}/{recipe.epochs}: loss {total / len(batches):.4f}, {seconds:.0f} s", flush=True)
    return network.eval()


def report(network: Network, images: Tensor, labels: Tensor) -> str:
    """One line: the accuracy on `images` `(N, 1, 28, 28)`, overall and of each class, in percent."""
    with torch.inference_mode():
        predicted = torch.cat([network(part).argmax(dim=1) for part in torch.split(images, 500)])
    right = (predicted == labels).double()
    classes = " ".join(f"{digit}:{100 * right[labels == digit].mean():.2f}" for digit in range(10))
    return f"{100 * right.mean():.2f} % ({classes})"


def _tensor(images: Array) -> Tensor:
    return torch.from_numpy(np.asarray(images, dtype=np.float32)[:, None] / 255)


def main() -> None:
    """Weights are written, their checksum and accuracy printed."""
    parser = argparse.ArgumentParser(prog="python -m grader.classifier.train")
    parser.add_argument("names", nargs="*", default=list(RECIPES), help="which networks; all by default")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, default=FOLDER)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.use_deterministic_algorithms(True)
    data = load_mnist(ensure_mnist(print))
    for name in arguments.names:
        network = train(
            _tensor(data.train_images), torch.tensor(data.train_labels), PUBLISHED[name].widths, RECIPES[name]
        )
        arguments.out.mkdir(parents=True, exist_ok=True)
        path = arguments.out / PUBLISHED[name].file
        path.write_bytes(as_onnx(network))
        accuracy = report(network, _tensor(data.test_images), torch.tensor(data.test_labels))
        print(f"{name}: test accuracy {accuracy}")
        print(f"{name}: {path.stat().st_size} bytes, SHA-256 {hashlib.sha256(path.read_bytes()).hexdigest()}")


if __name__ == "__main__":
    main()
